"""`params.yaml` as checked, typed settings."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from boomerang.base.checks import Section, describe_faults, int_between, shown, within
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
TestSplit = Annotated[float, within("a share from 0 to below 1", lambda share: 0 <= share < 1)]


# Directives of strptime that mean the same on every machine; an abbreviated zone (%Z) may be one of several.
DIRECTIVES = "YymBbdjAaHIMSfpz%"
# Directives that give the same part of a time: of two in one pattern, strptime passes over one without a word. So it
# does over AM and PM beside the hour of 24.
RIVALS = ("Yy", "mbBj", "dj", "HI", "Hp")
# Fields of a time, from the year on, that must be known where a directive stands; the date always.
N_FIELDS = {"": 3, "H": 4, "I": 4, "p": 4, "M": 5, "S": 6, "f": 7}


def _directives(pattern: str) -> list[str]:
    """What follows each percent sign: `%%z` is a percent sign and a letter, not `%z`."""
    return re.findall("%(.?)", pattern, re.DOTALL)


def _survives(pattern: str, n_fields: int) -> bool:
    """Whether the first `n_fields` of year, month, day, hour and so on are read as they were written by `pattern`."""
    if not {"Y", "y"} & set(_directives(pattern)):
        # Python warns where strptime gets no year, and will refuse it from 3.15 on.
        return False
    moment = datetime(2003, 2, 4, 17, 6, 5, 7, tzinfo=UTC)
    try:
        read = datetime.strptime(moment.strftime(pattern), pattern)
    except (ValueError, re.error):  # a directive that stands twice
        return False
    return (*read.timetuple()[:6], read.microsecond)[:n_fields] == (*moment.timetuple()[:6], 7)[:n_fields]


class DatetimeSettings(Section):
    """How the datetimes of a CSV are written, and whose local time they become."""

    datetime_format: Annotated[str, Field(min_length=1)] | None
    timezone: Annotated[str, Field(min_length=1)] | None

    @field_validator("datetime_format")
    @classmethod
    def _lose_no_part_of_a_date(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        if unknown := [mark for mark in _directives(pattern) if mark not in DIRECTIVES]:
            raise ValueError(f"must be made of %{' %'.join(DIRECTIVES)} (found %{unknown[0]} in {pattern!r})")
        if not _survives(pattern, N_FIELDS[""]):
            raise ValueError(f"must be a strptime pattern with day, month and year, like %d/%m/%Y (found {pattern!r})")
        if not _survives(pattern, max(N_FIELDS.get(mark, 0) for mark in _directives(pattern))):
            raise ValueError(f"must keep the hour and all between, like %H:%M or %I:%M %p (found {pattern!r})")
        for rivals in RIVALS:
            given = sorted(set(_directives(pattern)) & set(rivals))
            if len(given) > 1:
                raise ValueError(f"must give each part of a time once (found %{' and %'.join(given)} in {pattern!r})")
        return pattern

    @field_validator("timezone")
    @classmethod
    def _name_a_zone(cls, name: str | None) -> str | None:
        # Other names can be paths to pandas (dateutil//etc/localtime); what `localtime` is depends on the machine.
        if name is not None and name not in available_timezones() - {"localtime"}:
            raise ValueError(f"must be an IANA zone like Europe/London (found {name!r})")
        return name

    @model_validator(mode="after")
    def _say_where_offsets_lead(self) -> "DatetimeSettings":
        pattern, has_offset = self.datetime_format, "z" in _directives(self.datetime_format or "")
        if self.timezone is None and has_offset:
            raise ValueError("datetime_format with %z needs timezone: the zone to convert to (found None)")
        if self.timezone is not None and pattern is not None and not has_offset:
            raise ValueError(
                f"timezone converts datetimes with an offset alone: datetime_format needs %z, or leave timezone out "
                f"(found {self.timezone} with {shown(pattern)})"
            )
        return self


class Reading(DatetimeSettings):
    """How the datetimes of a training were read, and so are read for a prediction.

    Attributes
    ----------
    offset : str or None
        The offset from UTC that all of them had, such as +09:00, where no timezone was given; None where they had none.
    """

    offset: Annotated[str, Field(pattern="^[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None

    @model_validator(mode="after")
    def _lead_to_one_local_time(self) -> "Reading":
        if self.offset is not None and (self.timezone is not None or self.datetime_format is not None):
            raise ValueError(f"offset must be null beside timezone or datetime_format (found {self.offset!r})")
        return self


class PrepareSettings(DatetimeSettings):
    """How the CSV becomes scaled features in three parts."""

    data_path: Annotated[str, Field(min_length=1)]
    number_transform: Literal["asinh", "none"]
    val_split: ValSplit
    test_split: TestSplit
    on_bad_rows: Literal["error", "drop"]

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


class EvaluateSettings(Section):
    """What is measured besides the test purchases, and what a verdict takes for a difference that matters."""

    n_folds: Annotated[int, int_between(0, 1000)]
    equivalence_margin: Margin


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
