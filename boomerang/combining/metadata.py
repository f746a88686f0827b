"""The JSON files that stages leave for `meta`, and what `meta` makes of them, typed and checked."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from boomerang.base.checks import Section, int_between, within
from boomerang.base.datetime_settings import Reading
from boomerang.base.ensembles import (
    LABELS,
    SCALED_FEATURES,
    TIME_FEATURES,
    EnsembleName,
    EnsembleSpec,
    Question,
    choose_ensembles,
    ensembles_answering,
)
from boomerang.base.settings import HiddenSize, Length, NumLayers
from boomerang.features.known_past import PastRules
from boomerang.features.prepared import Source
from boomerang.features.scaler import Scaler

# Format 2 combined members by their logits, with a temperature; 3 added the context ensemble and the combination of
# ensembles; 4 added the centre of that combination; 5 what the training learned from, and the offset of its datetimes;
# 6 what the past of a purchase is, where each has one of its own.
FORMAT_VERSION = 6
HOW_TO_TRAIN = "dvc repro, python train.py or boomerang train"


def _ascend(lengths: list[int]) -> list[int]:
    if not lengths or lengths != sorted(set(lengths)):
        raise ValueError(f"must ascend (found {str(lengths)[:200]})")
    return lengths


Finite = Annotated[float, Field(allow_inf_nan=False)]
Lengths = Annotated[list[Length], AfterValidator(_ascend)]
# Names and lines that are printed: nothing in them can steer a terminal.
MeasuredName = Annotated[str, Field(pattern="^[a-z0-9_]{1,64}$")]
PrintedLine = Annotated[str, Field(pattern="^[ -~]{1,200}$")]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LengthsFile(Section):
    """`sequences/lengths.json`."""

    mode: Literal["fixed", "auto"]
    seq_lengths: Lengths
    requested_seq_lengths: list[Length]
    dropped: dict[str, str]


class TrainingFile(Section):
    """`<ensemble>/training.json`: sizes, effective precision and device."""

    hidden_size: HiddenSize
    num_layers: NumLayers
    precision: Literal["fp32", "fp16", "bf16"]
    device: Literal["cpu", "cuda"]


class MemberFigures(Section):
    """A member in `<ensemble>/metrics.json`: its best epoch."""

    epochs: Annotated[int, int_between(1, 1 << 40)]
    best_epoch: Annotated[int, int_between(1, 1 << 40)]
    train_loss: Finite
    val_loss: Finite
    val_accuracy: Finite


class MemberMetadata(MemberFigures):
    """One member: its file's SHA-256, how it was trained, its figures and its weight in the combination."""

    seq_length: Length
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    weight: Weight


class EnsembleMetadata(TrainingFile):
    """One ensemble.

    `prefix` is for other programs: ours derive file names from ensemble and length. `temperature` divides the weighted
    mean of the members' logits; `weighting` says how the temperature and the weights came about.
    """

    prefix: str
    input_size: int
    features: list[str]
    temperature: Temperature
    weighting: PrintedLine
    members: Annotated[list[MemberMetadata], Field(min_length=1)]

    @model_validator(mode="after")
    def _weigh_something(self) -> "EnsembleMetadata":
        if not any(member.weight for member in self.members):
            raise ValueError("the weight of a member must be above 0 (found 0 for all)")
        return self


class CombinationMetadata(Section):
    """How the members of all ensembles that tell about the next purchase become one probability.

    For each of these ensembles `weights` holds one weight per member, by ascending length. `centre` is the logit of the
    base rate in training, which the code calls `base_logit`. The temperature divides the distance between the weighted
    mean of the logits and that centre.
    """

    weights: dict[EnsembleName, list[Weight]]
    temperature: Temperature
    centre: Finite
    weighting: PrintedLine


class Figures(Section):
    """Figures on the validation purchases; ROC-AUC is undefined (null) where all of them are alike."""

    log_loss: Finite
    roc_auc: Finite | None


class Metadata(Section):
    """The content of `models_meta.json`."""

    format_version: Annotated[
        int,
        within(f"{FORMAT_VERSION}, or train again: {HOW_TO_TRAIN}", lambda version: version == FORMAT_VERSION),
    ]
    mode: Literal["fixed", "auto"]
    seq_lengths: Lengths
    requested_seq_lengths: list[Length]
    dropped_seq_lengths: dict[str, str]
    precision: Literal["fp32", "fp16", "bf16", "mixed"]
    scaler: Literal["MinMax"]
    scaling: Scaler
    labels: dict[str, int]
    reading: Reading
    source: Source
    past: PastRules | None
    ensembles: dict[EnsembleName, EnsembleMetadata]
    combination: CombinationMetadata
    validation: dict[Question, dict[MeasuredName, Figures]]

    @property
    def scaled_features(self) -> tuple[str, ...]:
        """What is scaled of a history before it is cut into windows.

        What tells of the purchases before depends on what is known of them, and comes with the windows where each
        purchase has a past of its own.
        """
        return SCALED_FEATURES if self.past is None else TIME_FEATURES

    @property
    def specs(self) -> dict[str, EnsembleSpec]:
        """What members of each ensemble read."""
        return choose_ensembles(self.past is not None)

    @model_validator(mode="after")
    def _agree_with_this_program(self) -> "Metadata":
        if self.labels != LABELS:
            raise ValueError(f"labels must be {LABELS} (found {str(self.labels)[:200]})")
        if self.scaling.counts != (self.past is not None):
            raise ValueError("scaling must have the count of known purchases if and only if past is not null")
        for name, spec in self.specs.items():
            if name not in self.ensembles:
                raise ValueError(f"ensembles must hold {name} (found {sorted(self.ensembles)})")
            ensemble = self.ensembles[name]
            expected = (f"{name}/{spec.prefix}", list(spec.features), len(spec.features))
            if (found := (ensemble.prefix, ensemble.features, ensemble.input_size)) != expected:
                raise ValueError(
                    f"ensembles.{name} must have prefix, features, input_size {expected} (found {str(found)[:200]})"
                )
            lengths = [member.seq_length for member in ensemble.members]
            if lengths != self.seq_lengths:
                raise ValueError(
                    f"ensembles.{name}.members must be of L = {self.seq_lengths} (found {str(lengths)[:200]})"
                )
        return self

    @model_validator(mode="after")
    def _combine_every_member(self) -> "Metadata":
        weights = self.combination.weights
        found = {name: len(values) for name, values in weights.items()}
        if found != (expected := {name: len(self.seq_lengths) for name in ensembles_answering("next")}):
            raise ValueError(f"combination.weights must be so many: {expected} (found {found})")
        if not any(map(any, weights.values())):
            raise ValueError("a weight of combination.weights must be above 0 (found 0 for all)")
        return self
