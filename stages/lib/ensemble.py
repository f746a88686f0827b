"""Ensembles: combining members, predicting with them, describing them."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from stages.lib.artifacts import read_member
from stages.lib.calibration import combine, normalise
from stages.lib.errors import DataError, SettingsError
from stages.lib.layout import ENSEMBLES, METADATA_FILE, QUESTIONS
from stages.lib.metadata import Metadata


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


def describe(metadata: Metadata, artifacts_dir: Path) -> str:
    """A short table: every member with its best epoch and validation figures, and where the results lie."""
    lines = [f"{'ensemble':<9} {'L':>4} {'best epoch':>10} {'val loss':>9} {'val accuracy':>13}  file"]
    for name, layout in ENSEMBLES.items():
        for member in metadata.ensembles[name].members:
            path = artifacts_dir / name / layout.member_file(member.seq_length)
            lines.append(
                f"{name:<9} {member.seq_length:>4} {member.best_epoch:>10} {member.val_loss:>9.4f} "
                f"{member.val_accuracy:>13.4f}  {path}"
            )
    for name in ENSEMBLES:
        ensemble = metadata.ensembles[name]
        lines.append(f"weights of {name}: {ensemble.weighting}, temperature {ensemble.temperature:g}")
    together = metadata.combination
    names = " and ".join(together.weights)
    lines.append(f"weights of {names} together: {together.weighting}, temperature {together.temperature:g}")
    for question, measured in metadata.validation.items():
        lines.append(f"validation, {QUESTIONS[question]}")
        for name, figures in measured.items():
            auc = "undefined" if figures.roc_auc is None else f"{figures.roc_auc:.4f}"
            lines.append(f"  {name:<14} log loss {figures.log_loss:.4f}, ROC-AUC {auc}")
    return "\n".join([*lines, f"metadata: {artifacts_dir / METADATA_FILE}"])


class Ensemble:
    """One trained ensemble, ready to predict.

    Parameters
    ----------
    metadata : Metadata
        As `read_metadata` returns it.
    artifacts_dir : Path
        The folder that holds it; member files are found by ensemble and length, never by a path in the metadata.
    name : {"time", "simple", "context"}
        Which ensemble.
    device : torch.device
        Where it predicts.

    Raises
    ------
    ArtifactError
        If a member is missing or differs from what the metadata says of it.
    """

    def __init__(self, metadata: Metadata, artifacts_dir: Path, name: str, device: torch.device) -> None:
        self.device = device
        described = metadata.ensembles[name]
        sizes = (described.input_size, described.hidden_size, described.num_layers)
        self.layout = ENSEMBLES[name]
        self.temperature = described.temperature
        self.weights = {member.seq_length: member.weight for member in described.members}
        self.models = {
            member.seq_length: read_member(artifacts_dir, name, member, sizes).to(device)
            for member in described.members
        }

    def predict(self, history: np.ndarray, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `history`, or for `context` its last one, is returned.

        Parameters
        ----------
        history : ndarray of shape (n_purchases, input_size), float32
            Features of the past purchases, the latest last; for `context` those of the purchase in question follow.
        weights : list of float, optional
            One per member by ascending sequence length, instead of those of the metadata; without the temperature,
            which is for those.

        Raises
        ------
        DataError
            If the history is shorter than the shortest sequence length whose weight is above 0.
        SettingsError
            If the weights are not one per member, are negative, not finite, or all 0.
        """
        lengths = list(self.models)
        by_length, temperature = self.weights, self.temperature
        if weights is not None:
            by_length, temperature = _check_weights(weights, lengths), 1.0
        n_past = len(history) - self.layout.n_steps(0)
        fitting = [length for length in lengths if length <= n_past]
        if weights is None and not any(by_length[length] for length in fitting):
            # The members that fit a short history may weigh nothing beside longer ones; alone they are all there is.
            by_length = dict.fromkeys(lengths, 1.0)
        if n_past < (needed := next(length for length in lengths if by_length[length] > 0)):
            raise DataError(f"history must hold at least {needed} purchases (found {n_past})")
        used = np.array([by_length[length] for length in fitting])
        tensor = torch.as_tensor(history, dtype=torch.float32, device=self.device)
        with torch.inference_mode():
            windows = [(length, tensor[None, -self.layout.n_steps(length) :]) for length in fitting]
            logits = np.array([self.models[length](window).item() for length, window in windows])
        members = [
            MemberPrediction(*figures)
            for figures in zip(fitting, expit(logits).tolist(), normalise(used).tolist(), strict=True)
        ]
        return Prediction(float(combine(logits, used, temperature)), members, [n for n in lengths if n not in fitting])


def _check_weights(weights: list[float], lengths: list[int]) -> dict[int, float]:
    if len(weights) != len(lengths):
        raise SettingsError(f"weights must be one per member, L = {lengths} (found {len(weights)})")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise SettingsError(f"weights must be finite, not negative and not all 0 (found {weights})")
    return dict(zip(lengths, weights, strict=True))
