"""What training wrote, read back as data from outside: checked before it is believed."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError, model_validator

from stages.lib import tensors
from stages.lib.checks import Section, describe_faults, whole
from stages.lib.errors import ArtifactError
from stages.lib.files import sha256
from stages.lib.layout import ENSEMBLES, LABELS, METADATA_FILE
from stages.lib.lstm import MemberLSTM
from stages.lib.outputs import read_output

FORMAT_VERSION = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]
Length = whole(1, 10_000)


class MemberMetadata(Section):
    """One member: its file's SHA-256, how it was trained, its figures and its weight in the combination."""

    seq_length: Length
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    epochs: whole(1, 1 << 40)
    best_epoch: whole(1, 1 << 40)
    train_loss: Finite
    val_loss: Finite
    val_accuracy: Finite
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EnsembleMetadata(Section):
    """One ensemble; `prefix` is for other programs, ours derive file names from ensemble and length."""

    prefix: str
    input_size: int
    features: list[str]
    hidden_size: whole(1, 4096)
    num_layers: whole(1, 16)
    precision: Literal["fp32", "fp16", "bf16"]
    device: Literal["cpu", "cuda"]
    members: Annotated[list[MemberMetadata], Field(min_length=1)]


class Reading(Section):
    """How datetimes of the CSV were read; a CSV to predict from is read the same way."""

    datetime_format: str | None
    timezone: str | None


class Metadata(Section):
    """The content of `models_meta.json`."""

    format_version: Literal[FORMAT_VERSION]
    mode: Literal["fixed", "auto"]
    seq_lengths: list[Length]
    requested_seq_lengths: list[Length]
    dropped_seq_lengths: dict[str, str]
    precision: str
    scaler: Literal["MinMax"]
    scaling: dict[str, Any]
    labels: dict[str, int]
    reading: Reading
    ensembles: dict[Literal[tuple(ENSEMBLES)], EnsembleMetadata]
    validation: dict[str, dict[str, float | None]]

    @model_validator(mode="after")
    def _agree_with_this_program(self) -> "Metadata":
        if self.seq_lengths != sorted(set(self.seq_lengths)) or self.labels != LABELS:
            raise ValueError(
                f"seq_lengths must ascend, labels must be {LABELS} (found {self.seq_lengths}, {self.labels})"
            )
        for name, layout in ENSEMBLES.items():
            if name not in self.ensembles:
                raise ValueError(f"ensembles must hold {name} (found {sorted(self.ensembles)})")
            ensemble = self.ensembles[name]
            expected = (f"{name}/{layout.prefix}", list(layout.features), len(layout.features))
            if (found := (ensemble.prefix, ensemble.features, ensemble.input_size)) != expected:
                raise ValueError(f"ensembles.{name} must have prefix, features, input_size {expected} (found {found})")
            lengths = [member.seq_length for member in ensemble.members]
            if lengths != self.seq_lengths:
                raise ValueError(f"ensembles.{name}.members must be of L = {self.seq_lengths} (found {lengths})")
        return self


def read_metadata(artifacts_dir: Path) -> Metadata:
    """`models_meta.json` of a finished training.

    Raises
    ------
    ArtifactError
        If it is missing, is not JSON, is of another format, or contradicts itself or this program.
    """
    path = artifacts_dir / METADATA_FILE
    try:
        content = read_output(artifacts_dir, METADATA_FILE)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: train first (dvc repro, or python train.py)") from None
    try:
        return Metadata.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(describe_faults(error, str(path))[0]) from None


def load_member(content: bytes, name: str, input_size: int, hidden_size: int, num_layers: int) -> MemberLSTM:
    """A member from the bytes of its `.pth` file, in evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If the bytes are not a plain state dict with exactly the keys, shapes and dtype of this architecture, or hold a
        value that is not finite.
    """
    with torch.device("meta"):
        expected = MemberLSTM(input_size, hidden_size, num_layers).state_dict()
    state = tensors.load(content, name, expected)
    tensors.check(state, name, expected)
    model = MemberLSTM(input_size, hidden_size, num_layers)
    model.load_state_dict(state)
    return model.eval()


def read_member(folder: Path, ensemble: str, member: MemberMetadata, sizes: tuple[int, int, int]) -> MemberLSTM:
    """The member that the metadata describes, from a folder that holds all ensembles.

    Raises
    ------
    ArtifactError
        If its file is missing, is not the one whose SHA-256 the metadata names, or is not of these sizes.
    """
    name = f"{ensemble}/{ENSEMBLES[ensemble].member_file(member.seq_length)}"
    try:
        content = read_output(folder, name)
    except FileNotFoundError as error:
        raise ArtifactError(str(error)) from None
    if sha256(content) != member.sha256:
        raise ArtifactError(
            f"{folder / name} is not the member that {METADATA_FILE} names: its SHA-256 differs; train again"
        )
    return load_member(content, name, *sizes)
