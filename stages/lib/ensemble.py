"""Ensembles as they lie on disk: reading their metadata and members, combining them, predicting."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.lib.errors import ArtifactError, DataError, SettingsError
from stages.lib.files import sha256
from stages.lib.layout import ENSEMBLES
from stages.lib.lstm import MemberLSTM

FORMAT_VERSION = 1
METADATA_FILE = "models_meta.json"


@dataclass(frozen=True)
class MemberPrediction:
    """What one member says: its probability of a return and its share in the combination."""

    seq_length: int
    probability: float
    weight: float


@dataclass(frozen=True)
class Prediction:
    """A combined probability of a return, the members behind it, and the lengths left out for lack of history."""

    probability: float
    members: list[MemberPrediction]
    left_out: list[int]


def combine(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over members.

    Parameters
    ----------
    probabilities : ndarray of shape (n_members, ...), float
        Each member's probabilities.
    weights : ndarray of shape (n_members,), float
        Not negative, not all 0; scaled to sum to 1 here.
    """
    weights = np.asarray(weights, dtype=np.float64)
    return np.tensordot(weights / weights.sum(), np.asarray(probabilities, dtype=np.float64), axes=1)


def read_metadata(artifacts_dir: Path) -> dict[str, Any]:
    """`models_meta.json` of a finished training.

    Raises
    ------
    ArtifactError
        If it is missing, is not JSON, or is of another format.
    """
    path = artifacts_dir / METADATA_FILE
    try:
        metadata = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: train first (dvc repro, or python train.py)") from None
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from None
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if version != FORMAT_VERSION:
        raise ArtifactError(f"{path}: format_version must be {FORMAT_VERSION} (found {version!r})")
    return metadata


def describe(metadata: dict[str, Any], artifacts_dir: Path) -> str:
    """A short table: every member with its best epoch and validation figures, and where the results lie."""
    lines = [f"{'ensemble':<9} {'L':>4} {'best epoch':>10} {'val loss':>9} {'val accuracy':>13}  file"]
    for name, ensemble in sorted(metadata["ensembles"].items(), reverse=True):
        for member in ensemble["members"]:
            path = artifacts_dir / name / ENSEMBLES[name].member_file(member["seq_length"])
            lines.append(
                f"{name:<9} {member['seq_length']:>4} {member['best_epoch']:>10} {member['val_loss']:>9.4f} "
                f"{member['val_accuracy']:>13.4f}  {path}"
            )
    for name, figures in metadata["validation"].items():
        auc = "undefined" if figures["roc_auc"] is None else f"{figures['roc_auc']:.4f}"
        lines.append(f"validation, {name}: log loss {figures['log_loss']:.4f}, ROC-AUC {auc}")
    return "\n".join([*lines, f"metadata: {artifacts_dir / METADATA_FILE}"])


def load_member(content: bytes, name: str, input_size: int, hidden_size: int, num_layers: int) -> MemberLSTM:
    """A member from the bytes of its `.pth` file, in evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If the bytes are not a plain state dict with exactly the keys, shapes and dtype of this architecture, or hold a
        value that is not finite.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damaged bytes lead it into
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{name} is not a readable state dict: {reason}") from None
    with torch.device("meta"):
        expected = MemberLSTM(input_size, hidden_size, num_layers).state_dict()
    if not isinstance(state, dict) or set(state) != set(expected):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ArtifactError(f"{name}: expected the keys {sorted(expected)} (found {found})")
    for key, tensor in expected.items():
        found = state[key]
        if not isinstance(found, torch.Tensor) or found.shape != tensor.shape or found.dtype != tensor.dtype:
            described = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, torch.Tensor) else repr(found)
            raise ArtifactError(f"{name}: {key} must be {tensor.dtype} {tuple(tensor.shape)} (found {described})")
        if not torch.isfinite(found).all():
            raise ArtifactError(f"{name}: {key} holds a value that is not finite")
    model = MemberLSTM(input_size, hidden_size, num_layers)
    model.load_state_dict(state)
    return model.eval()


class Ensemble:
    """One trained ensemble, ready to predict.

    Parameters
    ----------
    metadata : dict
        As `read_metadata` returns it.
    artifacts_dir : Path
        The folder that holds it; member files are found by ensemble and length, never by a path in the metadata.
    name : {"time", "simple"}
        Which ensemble.
    device : torch.device
        Where it predicts.

    Raises
    ------
    ArtifactError
        If a member is missing or differs from what the metadata says of it.
    """

    def __init__(self, metadata: dict[str, Any], artifacts_dir: Path, name: str, device: torch.device) -> None:
        self.device = device
        try:
            described = metadata["ensembles"][name]
            sizes = [int(described[key]) for key in ("input_size", "hidden_size", "num_layers")]
            members = {int(member["seq_length"]): member for member in described["members"]}
            self.weights = {length: float(member["weight"]) for length, member in members.items()}
            hashes = {length: str(member["sha256"]) for length, member in members.items()}
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ArtifactError(f"{METADATA_FILE} does not describe the ensemble {name}: {reason}") from None
        if sizes[0] != len(ENSEMBLES[name].features):
            raise ArtifactError(
                f"{METADATA_FILE}: input_size must be {len(ENSEMBLES[name].features)} (found {sizes[0]})"
            )
        self.models = {}
        for length in sorted(members):
            path = artifacts_dir / name / ENSEMBLES[name].member_file(length)
            self.models[length] = load_member(_read_hashed(path, hashes[length]), path.name, *sizes).to(device)

    def predict(self, history: np.ndarray, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `history` is returned.

        Parameters
        ----------
        history : ndarray of shape (n_purchases, input_size), float32
            Features of the past purchases, the latest last.
        weights : list of float, optional
            One per member by ascending sequence length, instead of those of the metadata.

        Raises
        ------
        DataError
            If the history is shorter than the shortest sequence length.
        SettingsError
            If the weights are not one per member, are negative, not finite, or all 0 for the members that are used.
        """
        lengths = list(self.models)
        fitting = [length for length in lengths if length <= len(history)]
        if not fitting:
            raise DataError(f"history must hold at least {lengths[0]} purchases (found {len(history)})")
        by_length = self.weights if weights is None else _check_weights(weights, lengths)
        used = np.array([by_length[length] for length in fitting])
        if used.sum() <= 0:
            raise SettingsError(f"weights must be above 0 for one of the members that are used: L = {fitting}")
        tensor = torch.as_tensor(history, dtype=torch.float32, device=self.device)
        with torch.inference_mode():
            logits = [self.models[length](tensor[None, -length:]).item() for length in fitting]
        probabilities = torch.tensor(logits, dtype=torch.float64).sigmoid().numpy()
        members = [
            MemberPrediction(*figures)
            for figures in zip(fitting, probabilities.tolist(), (used / used.sum()).tolist(), strict=True)
        ]
        return Prediction(float(combine(probabilities, used)), members, [n for n in lengths if n not in fitting])


def _check_weights(weights: list[float], lengths: list[int]) -> dict[int, float]:
    if len(weights) != len(lengths):
        raise SettingsError(f"weights must be one per member, L = {lengths} (found {len(weights)})")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise SettingsError(f"weights must be finite and not negative (found {weights})")
    return dict(zip(lengths, weights, strict=True))


def _read_hashed(path: Path, expected: str) -> bytes:
    """The bytes of `path`, if their SHA-256 is the expected one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
    if sha256(content) != expected:
        raise ArtifactError(f"{path} is not the member that {METADATA_FILE} names: its SHA-256 differs; train again")
    return content
