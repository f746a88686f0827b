"""`params.yaml` as checked, typed settings."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import joblib
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from stages.lib.errors import SettingsError


def _number_from_text(value: Any) -> Any:
    """YAML 1.1 reads `1e-3` as text because it has no dot; what is plainly a number is taken as one."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
SeqLength = Annotated[int, Field(ge=1, le=10_000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PrepareSettings(_Section):
    """How the CSV becomes scaled features in three parts."""

    data_path: Annotated[str, Field(min_length=1)]
    number_transform: Literal["asinh", "none"]
    val_split: Annotated[Real, Field(gt=0, lt=1)]
    test_split: Annotated[Real, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _leave_rows_to_train(self) -> "PrepareSettings":
        if self.val_split + self.test_split >= 1:
            raise ValueError(
                f"val_split + test_split must be below 1, or no row is left to train on "
                f"(found {self.val_split} + {self.test_split})"
            )
        return self


class SequencesSettings(_Section):
    """Which sequence lengths are cut."""

    seq_lengths: Literal["auto"] | Annotated[list[SeqLength], Field(min_length=1)]
    max_seq_cap: SeqLength

    @model_validator(mode="after")
    def _name_each_length_once(self) -> "SequencesSettings":
        if self.seq_lengths != "auto" and len(set(self.seq_lengths)) < len(self.seq_lengths):
            raise ValueError(f"seq_lengths must name each length once (found {self.seq_lengths})")
        return self


class TrainSettings(_Section):
    """How one member is trained."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=1, le=10_000_000)]
    lr: Annotated[Real, Field(gt=0, le=10)]
    hidden_size: Annotated[int, Field(ge=1, le=4096)]
    num_layers: Annotated[int, Field(ge=1, le=16)]
    grad_accum_steps: Annotated[int, Field(ge=1, le=100_000)]
    precision: Literal["fp32", "fp16", "bf16"]
    use_gpu: bool


# Every training setting again, each of which may stay null.
TrainOverrides = create_model(
    "TrainOverrides",
    __base__=_Section,
    **{name: (kind | None, ...) for name, kind in TrainSettings.__annotations__.items()},
)


class Settings(_Section):
    """The whole of `params.yaml`."""

    prepare: PrepareSettings
    sequences: SequencesSettings
    train: TrainSettings
    train_time: TrainOverrides
    train_simple: TrainOverrides

    def training(self, ensemble: str) -> TrainSettings:
        """Settings that train `ensemble`: those of `train`, overridden by what `train_<ensemble>` sets."""
        overrides = getattr(self, f"train_{ensemble}").model_dump(exclude_none=True)
        return self.train.model_copy(update=overrides)


class Execution(_Section):
    """How the work is carried out: none of it changes a byte of the result, so none of it is a DVC param."""

    jobs: Annotated[int, Field(ge=1, le=1024, description="members trained side by side; default: one per core")]
    num_workers: Annotated[int, Field(ge=0, le=1024, description="data loader processes per member")] = 0
    pin_memory: Annotated[bool, Field(description="copy batches through page-locked memory to the GPU")] = False
    prefetch_factor: Annotated[int, Field(ge=1, le=1024, description="batches fetched ahead per loader process")] = 2
    quiet: Annotated[bool, Field(description="no line per epoch and no bar")] = False

    @classmethod
    def from_environment(cls, **given: Any) -> "Execution":
        """Values from `BOOMERANG_JOBS`, `BOOMERANG_NUM_WORKERS` and so on; `given` that are not None come first.

        Raises
        ------
        SettingsError
            If a value is not of its field's type or range.
        """
        found = {"jobs": str(joblib.cpu_count())}
        for name in cls.model_fields:
            if text := os.environ.get(f"BOOMERANG_{name.upper()}"):
                found[name] = text
        found |= {name: str(value) for name, value in given.items() if value is not None}
        try:
            return cls.model_validate_strings(found)
        except ValidationError as error:
            raise SettingsError(_describe(error, "BOOMERANG_ settings")) from None


def _describe(error: ValidationError, source: str) -> str:
    """All faults of `error`, one a line: source, path, rule, value."""
    lines = []
    for fault in error.errors():
        where = ".".join(str(step) for step in fault["loc"])
        if fault["type"] == "missing":
            lines.append(f"{source}: {where} is missing")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{source}: {where} is not a setting")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            found = "" if "(found" in message else f" (found {fault['input']!r})"
            lines.append(f"{source}: {where}: {message}{found}")
    return "\n".join(lines)


def check(content: Any, source: str) -> Settings:
    """`content`, the mapping that `params.yaml` holds, as settings.

    Parameters
    ----------
    content : mapping
        Sections with their keys, as `yaml.safe_load` gives them.
    source : str
        Where the content is from, for messages.

    Raises
    ------
    SettingsError
        With every fault on a line of its own: path, rule and the value found.
    """
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(_describe(error, source)) from None


def read_params(path: Path) -> Any:
    """What the YAML file at `path` holds, unchecked.

    Raises
    ------
    SettingsError
        If the file is missing or is not plain YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: run from the folder that holds params.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} is not plain YAML: {reason}") from None


def load(path: Path = Path("params.yaml")) -> Settings:
    """The checked settings in `path`; raises SettingsError as `read_params` and `check` do."""
    return check(read_params(path), path.name)
