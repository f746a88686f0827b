"""The JSON files that stages leave for `meta`, and what `meta` makes of them, typed and checked."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from boomerang.base.checks import Section, int_between, within
from boomerang.base.columns import FeatureName
from boomerang.base.datetime_settings import Reading
from boomerang.base.ensembles import (
    BLEND,
    LABELS,
    LSTMS,
    QUESTIONS,
    SCALED_FEATURES,
    TIME_FEATURES,
    TREES,
    AnsweringName,
    BlendedName,
    EnsembleName,
    EnsembleSpec,
    Question,
    choose_ensembles,
    ensembles_answering,
)
from boomerang.base.settings import HiddenSize, Length, NumLayers
from boomerang.features.calendar import Table
from boomerang.features.columns import ColumnRules, describe_columns
from boomerang.features.known_past import PastRules
from boomerang.features.prepared import Source
from boomerang.features.scaler import Scaler
from boomerang.model.lengths import Lengths
from boomerang.trees.inputs import TreeInput, count_labels, fewest_past, list_inputs

# Format 2 combined members by their logits, with a temperature; 3 added the context ensemble and the combination of
# ensembles; 4 added the centre of that combination; 5 what the training learned from, and the offset of its datetimes;
# 6 what the past of a purchase is, where each has one of its own; 7 the trees and the blend.
FORMAT_VERSION = 7
HOW_TO_TRAIN = "dvc repro, python train.py or boomerang train"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Names and lines that are printed: nothing in them can steer a terminal.
MeasuredName = Annotated[str, Field(pattern="^[a-z0-9_]{1,64}$")]
PrintedLine = Annotated[str, Field(pattern="^[ -~]{1,500}$")]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Wider than any that is fitted: outside of these nothing would be left of a probability.
Temperature = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
Centre = Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)]


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
    sha256: Sha256
    weight: Weight


class EnsembleMetadata(TrainingFile):
    """One ensemble.

    `prefix` is for other programs: ours derive file names from ensemble and length. `temperature` divides the weighted
    mean of the members' logits; `weighting` says how the temperature and the weights came about.
    """

    prefix: str
    input_size: int
    features: list[FeatureName]
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
    centre: Centre
    weighting: PrintedLine


class TreesFigures(Section):
    """Trees of one question in `trees/metrics.json`: rounds that were tried, and the best of them, 0 for none."""

    rounds: Annotated[int, int_between(0, 10_000)]
    best_round: Annotated[int, int_between(0, 10_000)]
    train_loss: Finite
    val_loss: Finite
    val_accuracy: Finite

    @model_validator(mode="after")
    def _be_one_of_the_rounds(self) -> "TreesFigures":
        if self.best_round > self.rounds:
            raise ValueError(f"best_round must be up to rounds, {self.rounds} (found {self.best_round})")
        return self


class TreesMetadata(TreesFigures):
    """Trees of one question: their file's SHA-256, how they were trained, and the names of what they read."""

    sha256: Sha256
    features: list[FeatureName]


class BlendMetadata(Section):
    """How all members that answer one question, and its trees, become one probability.

    `weights` holds a list for each ensemble and one weight for `trees`; `centre` and `temperature` are as in
    `CombinationMetadata`. `answered_by` is `blend` where all have a say, else the part that answers alone, and
    `weighting` says why.
    """

    weights: dict[BlendedName, list[Weight]]
    temperature: Temperature
    centre: Centre
    answered_by: AnsweringName
    weighting: PrintedLine

    @property
    def share_of_trees(self) -> float:
        """The weight of the trees, where all weights sum to 1."""
        weights = [weight for of_part in self.weights.values() for weight in of_part]
        # Divided by the largest first: the sum of very large weights may be more than float64 holds.
        return self.weights[TREES][0] / max(weights) / sum(weight / max(weights) for weight in weights)

    @model_validator(mode="after")
    def _weigh_something(self) -> "BlendMetadata":
        if not any(map(any, self.weights.values())):
            raise ValueError("a weight must be above 0 (found 0 for all)")
        return self


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
    # Left out where there are none: files of trainings without further columns are as they were before there were any.
    columns: Annotated[ColumnRules | None, Field(exclude_if=lambda columns: columns is None)] = None
    ensembles: dict[EnsembleName, EnsembleMetadata]
    combination: CombinationMetadata
    trees: dict[Question, TreesMetadata]
    blend: dict[Question, BlendMetadata]
    validation: dict[Question, dict[MeasuredName, Figures]]

    @property
    def scaled_features(self) -> tuple[str, ...]:
        """What is scaled of a history before it is cut into windows.

        What tells of the purchases before depends on what is known of them, and comes with the windows where each
        purchase has a past of its own.
        """
        return SCALED_FEATURES if self.past is None else TIME_FEATURES

    def scale(self, table: Table, with_columns: bool = True) -> dict[str, np.ndarray]:
        """What is scaled of a history, by feature: float32 of shape (n_rows,).

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            `datetime` and `number`; and, `with_columns`, what `describe_columns` needs of further columns.
        with_columns : bool
            Whether the features of further columns are wanted: those that tell of the next purchase need none.

        Raises
        ------
        DataError
            If a number lies so far outside the range seen in training that float32 cannot hold it scaled.
        """
        scaled = self.scaling.transform(table, self.scaled_features).T
        found = dict(zip(self.scaled_features, scaled, strict=True))
        columns = self.columns if with_columns else None
        return found if columns is None else found | describe_columns(table, columns, self.scaling)

    @property
    def specs(self) -> dict[str, EnsembleSpec]:
        """What members of each ensemble read."""
        return choose_ensembles(self.past is not None, self.further)

    @property
    def further(self) -> tuple[str, ...]:
        """The features of further columns."""
        return self.columns.features if self.columns else ()

    def tree_inputs(self, question: str) -> tuple[TreeInput, ...]:
        """What the trees of a question read."""
        return list_inputs(question, self.past is not None, self.seq_lengths[-1], self.further)

    @property
    def n_labels(self) -> int:
        """Labels that trees read."""
        return count_labels(self.seq_lengths[-1])

    @property
    def fewest_past_of_trees(self) -> int:
        """Past purchases that trees need."""
        return fewest_past(self.past is not None, self.seq_lengths[-1])

    @model_validator(mode="after")
    def _agree_with_this_program(self) -> "Metadata":
        if self.labels != LABELS:
            raise ValueError(f"labels must be {LABELS} (found {str(self.labels)[:200]})")
        if self.scaling.counts != (self.past is not None):
            raise ValueError("scaling must have the count of known purchases if and only if past is not null")
        if self.columns and self.past:
            of_both = {(one.base_rate, one.rate_strength) for one in (self.columns, self.past)}
            if len(of_both) > 1:
                raise ValueError(f"columns and past must have one base_rate and rate_strength (found {of_both})")
        columns = self.columns.scaled if self.columns else ()
        if (found := tuple(self.scaling.features[len(self.scaling.kind) :])) != columns:
            raise ValueError(f"scaling must have what columns need, {columns} (found {str(found)[:200]})")
        for name, spec in self.specs.items():
            if name not in self.ensembles:
                raise ValueError(f"ensembles must hold {name} (found {sorted(self.ensembles)})")
            ensemble = self.ensembles[name]
            expected = (f"{name}/{spec.prefix}", list(spec.features), len(spec.features))
            if (described := (ensemble.prefix, ensemble.features, ensemble.input_size)) != expected:
                raise ValueError(
                    f"ensembles.{name} must have prefix, features, input_size {expected} (found {str(described)[:200]})"
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

    @model_validator(mode="after")
    def _blend_every_part(self) -> "Metadata":
        for question in QUESTIONS:
            for name, found in (("trees", self.trees), ("blend", self.blend)):
                if question not in found:
                    raise ValueError(f"{name} must hold {question} (found {sorted(found)})")
            read = [one.name for one in self.tree_inputs(question)]
            if self.trees[question].features != read:
                raise ValueError(
                    f"trees.{question}.features must be {str(read)[:200]} "
                    f"(found {str(self.trees[question].features)[:200]})"
                )
            expected = {name: len(self.seq_lengths) for name in ensembles_answering(question)} | {TREES: 1}
            counts = {name: len(values) for name, values in self.blend[question].weights.items()}
            if counts != expected:
                raise ValueError(f"blend.{question}.weights must be so many: {expected} (found {counts})")
            answering = (BLEND, TREES, LSTMS[question])
            blend = self.blend[question]
            has_trees = any(blend.weights[TREES])
            has_members = any(any(blend.weights[name]) for name in ensembles_answering(question))
            said = answering[0] if has_trees and has_members else answering[1] if has_trees else answering[2]
            if blend.answered_by != said:
                raise ValueError(
                    f"blend.{question}.answered_by must be {said}, which alone has weights (found {blend.answered_by})"
                )
        return self
