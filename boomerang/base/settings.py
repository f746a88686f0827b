"""`params.yaml` as checked, typed settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model, model_validator

from boomerang.base import costs
from boomerang.base.checks import Section, describe_faults, int_between, shown, within
from boomerang.base.columns import ColumnList, ColumnName, Columns, find_twice
from boomerang.base.datetime_settings import DatetimeSettings
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import SettingsError
from boomerang.base.yaml_file import read_yaml


def _name_once(lengths: Literal["auto"] | list[int]) -> bool:
    if isinstance(lengths, str):
        return True
    return 0 < len(lengths) == len(set(lengths)) and all(1 <= length <= MAX_LENGTH for length in lengths)


MAX_LENGTH = 10_000
SeqLengths = Annotated[
    Literal["auto"] | list[int],
    within(f"auto or a list of different whole numbers from 1 to {MAX_LENGTH}", _name_once),
]
# Ranges that the metadata of a training keeps to as well.
Length = Annotated[int, int_between(1, MAX_LENGTH)]
HiddenSize = Annotated[int, int_between(1, 4096)]
NumLayers = Annotated[int, int_between(1, 16)]
# NaN is in no range.
LearningRate = Annotated[float, within("a number above 0 and up to 10", lambda rate: 0 < rate <= 10)]
ValSplit = Annotated[float, within("a share above 0 and below 1", lambda share: 0 < share < 1)]
# In nats: a good model and the share of returns are some tenths of them apart.
Margin = Annotated[float, within("a number above 0 and up to 1", lambda margin: 0 < margin <= 1)]
# A century: whoever waits longer for a label has none.
MICROSECONDS_A_DAY = 86_400_000_000
DelayDays = Annotated[float, within("a number of days from 0 to 36500", lambda days: 0 <= days <= 36_500)]
RateStrength = Annotated[float, within("a number above 0 and up to 1e6", lambda strength: 0 < strength <= 1e6)]
TestSplit = Annotated[float, within("a share from 0 to below 1", lambda share: 0 <= share < 1)]
# Sums of costs up to this one keep their cents in float64.
MAX_COST = 1e12
Cost = Annotated[
    float | str,
    within(
        f"an amount from 0 to {MAX_COST:g}, the word number or a numeric column",
        lambda cost: costs.is_cost(cost) and (isinstance(cost, str) or cost <= MAX_COST),
    ),
]


class PastSettings(Section):
    """What the past of a purchase is, where each has one of its own.

    Attributes
    ----------
    group_column : str or None
        Whose past: that of the purchases that share a value of this column; of all purchases where it is None.
    label_delay_days : float
        How long it takes until a label is certain.
    rate_strength : float
        Purchases of the shop's average that a rate so far counts beside the group's own.
    """

    group_column: ColumnName | None
    label_delay_days: DelayDays
    rate_strength: RateStrength

    @property
    def delay(self) -> int:
        """The label delay in microseconds."""
        return round(self.label_delay_days * MICROSECONDS_A_DAY)


class ColumnSettings(Columns):
    """Further columns that are read, and how many purchases of the shop's average their rates count."""

    rate_strength: RateStrength


class PrepareSettings(DatetimeSettings):
    """How the CSV becomes scaled features in three parts."""

    data_path: Annotated[str, Field(min_length=1)]
    group_column: ColumnName | None
    numeric_columns: ColumnList
    categorical_columns: ColumnList
    max_values: Annotated[int, int_between(1, 1_000_000_000)]
    label_delay_days: DelayDays
    open_returned: bool
    rate_strength: RateStrength
    number_transform: Literal["asinh", "none"]
    val_split: ValSplit
    test_split: TestSplit
    on_bad_rows: Literal["error", "drop"]

    @property
    def past(self) -> PastSettings | None:
        """What the past of a purchase is; None without groups and delay, where all purchases are one stream."""
        if self.group_column is None and not self.label_delay_days:
            return None
        return PastSettings(**{name: getattr(self, name) for name in PastSettings.model_fields})

    @property
    def columns(self) -> ColumnSettings | None:
        """The further columns that are read; None where there are none."""
        if not self.numeric_columns and not self.categorical_columns:
            return None
        return ColumnSettings(
            numeric=self.numeric_columns, categorical=self.categorical_columns, rate_strength=self.rate_strength
        )

    @model_validator(mode="after")
    def _read_each_column_as_one_thing(self) -> "PrepareSettings":
        groups = [] if self.group_column is None else [self.group_column]
        if twice := find_twice([*groups, *self.numeric_columns, *self.categorical_columns]):
            raise ValueError(
                f"group_column, numeric_columns and categorical_columns must name a column once (found {shown(twice)} "
                f"twice)"
            )
        return self

    @model_validator(mode="after")
    def _leave_rows_to_train(self) -> "PrepareSettings":
        if self.val_split + self.test_split >= 1:
            raise ValueError(
                f"val_split + test_split must be below 1, or no row is left to train on "
                f"(found {self.val_split} + {self.test_split})"
            )
        return self


class SequencesSettings(Section):
    """Which sequence lengths are cut."""

    seq_lengths: SeqLengths
    max_seq_cap: Length

    @model_validator(mode="after")
    def _leave_a_length(self) -> "SequencesSettings":
        if self.seq_lengths != "auto" and min(self.seq_lengths) > self.max_seq_cap:
            raise ValueError(
                f"seq_lengths must have a length up to max_seq_cap, or none is left "
                f"(found {shown(self.seq_lengths)} above {self.max_seq_cap})"
            )
        return self


class TrainSettings(Section):
    """How one member is trained."""

    seed: Annotated[int, int_between(0, 2**63 - 1)]
    epochs: Annotated[int, int_between(1, 100_000)]
    batch_size: Annotated[int, int_between(1, 10_000_000)]
    lr: LearningRate
    hidden_size: HiddenSize
    num_layers: NumLayers
    grad_accum_steps: Annotated[int, int_between(1, 100_000)]
    early_stopping_patience: Annotated[int, int_between(0, 100_000)]
    lr_schedule: Literal["constant", "cosine"]
    precision: Literal["fp32", "fp16", "bf16"]
    use_gpu: bool

    @property
    def idle(self) -> list[str]:
        """What of these settings was set and does nothing, a line each."""
        found = []
        # The first epoch may be the best: as many without a better one must be over before the last.
        if self.early_stopping_patience >= max(self.epochs - 1, 1):
            found.append(
                f"early_stopping_patience {self.early_stopping_patience} does nothing with epochs {self.epochs}"
            )
        if self.lr_schedule == "cosine" and self.epochs == 1:
            found.append("lr_schedule cosine does nothing with epochs 1")
        return found


class TreesSettings(Section):
    """How boosted trees are trained."""

    rounds: Annotated[int, int_between(1, 10_000)]
    lr: Annotated[float, within("a number above 0 and up to 1", lambda rate: 0 < rate <= 1)]
    leaves: Annotated[int, int_between(2, 1000)]
    early_stopping_patience: Annotated[int, int_between(0, 10_000)]


class EvaluateSettings(Section):
    """What is measured besides the test purchases, and what a verdict takes for a difference that matters."""

    n_folds: Annotated[int, int_between(0, 1000)]
    equivalence_margin: Margin
    cost_missed: Cost | None
    cost_needless: Cost | None
    shown_columns: ColumnList

    @model_validator(mode="after")
    def _weigh_one_cost_against_the_other(self) -> "EvaluateSettings":
        found = (self.cost_missed, self.cost_needless)
        if (None in found) != (found == (None, None)):
            raise ValueError(
                f"cost_missed and cost_needless must be given together, or neither (found {found[0]} and {found[1]})"
            )
        if found == (0, 0):
            raise ValueError("cost_missed or cost_needless must be above 0 (found 0 for both)")
        return self


if TYPE_CHECKING:
    # A type checker knows nothing of a class that is made while the program runs.
    TrainOverrides = Section
else:
    # Every training setting again, each of which may stay null.
    TrainOverrides = create_model(
        "TrainOverrides",
        __base__=Section,
        **{name: (kind | None, ...) for name, kind in TrainSettings.__annotations__.items()},
    )


class Settings(Section):
    """The whole of `params.yaml`."""

    prepare: PrepareSettings
    sequences: SequencesSettings
    train: TrainSettings
    train_time: TrainOverrides
    train_simple: TrainOverrides
    train_context: TrainOverrides
    train_trees: TreesSettings
    evaluate: EvaluateSettings

    def training(self, ensemble: str) -> TrainSettings:
        """Settings that train `ensemble`: those of `train`, overridden by what `train_<ensemble>` sets."""
        overrides = getattr(self, f"train_{ensemble}").model_dump(exclude_none=True)
        return self.train.model_copy(update=overrides)

    @model_validator(mode="after")
    def _backtest_on_test_purchases(self) -> "Settings":
        if self.evaluate.n_folds and not self.prepare.test_split:
            raise ValueError(
                f"evaluate.n_folds needs test purchases: prepare.test_split above 0, or n_folds 0 "
                f"(found n_folds {self.evaluate.n_folds})"
            )
        return self

    @model_validator(mode="after")
    def _take_costs_from_columns_that_are_read(self) -> "Settings":
        asked = (self.evaluate.cost_missed, self.evaluate.cost_needless)
        if fault := costs.find_no_column(asked, self.prepare.numeric_columns):
            raise ValueError(f"evaluate.cost_missed and evaluate.cost_needless {fault}")
        return self

    @model_validator(mode="after")
    def _show_columns_that_are_read(self) -> "Settings":
        read, shown_columns = self.prepare.categorical_columns, self.evaluate.shown_columns
        if foreign := [name for name in shown_columns if name not in read]:
            raise ValueError(
                f"evaluate.shown_columns must be among prepare.categorical_columns (found {shown(foreign[0])}, not in "
                f"{shown(read)})"
            )
        if twice := find_twice(shown_columns):
            raise ValueError(f"evaluate.shown_columns must name a column once (found {shown(twice)} twice)")
        return self

    @model_validator(mode="after")
    def _train_fp16_on_a_gpu(self) -> "Settings":
        for ensemble in ENSEMBLES:
            training = self.training(ensemble)
            if training.precision == "fp16" and not training.use_gpu:
                raise ValueError(f"precision fp16 needs use_gpu (found precision fp16 on the CPU for {ensemble})")
        return self


def validate_settings(content: Any, source: str, faults: list[str] | None = None) -> Settings:
    """`content`, the mapping that `params.yaml` holds, as settings.

    Parameters
    ----------
    content : mapping
        Sections with their keys, as `read_yaml` gives them.
    source : str
        Where the content is from, for messages.
    faults : list of str, optional
        Faults found before, to be named with those found here.

    Raises
    ------
    SettingsError
        With every fault on a line of its own: path, rule and the value found.
    """
    faults = list(faults or [])
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        faults += describe_faults(error, source)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def load(path: Path = Path("params.yaml")) -> Settings:
    """The checked settings in `path`; raises SettingsError as `read_yaml` and `validate_settings` do."""
    content, faults = read_yaml(path)
    return validate_settings(content, path.name, faults)
