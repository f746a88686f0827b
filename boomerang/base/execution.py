"""How the work is carried out: none of it changes a byte of the result, so none of it is a DVC param."""

import os
from pathlib import Path
from typing import Annotated, Any

import joblib
from pydantic import ValidationError

from boomerang.base.checks import Section, describe_faults, int_between
from boomerang.base.errors import SettingsError
from boomerang.base.paths import ROOT, store_dir
from boomerang.base.settings import TrainSettings
from boomerang.base.wording import tell


class Execution(Section):
    """How many processes work, and what they print.

    Attributes
    ----------
    jobs : int
        Members trained side by side, by default one per core.
    num_workers : int
        Data loader processes per member; 0: the member's own.
    pin_memory : bool
        Copy batches through page-locked memory to the GPU.
    prefetch_factor : int
        Batches fetched ahead per loader process.
    quiet : bool
        No line per epoch and no table.
    store : Path
        Folder of the member store.
    no_store : bool
        Train every member anew, and keep nothing for another run.
    """

    jobs: Annotated[int, int_between(1, 1024)]
    num_workers: Annotated[int, int_between(0, 1024)] = 0
    pin_memory: bool = False
    prefetch_factor: Annotated[int, int_between(1, 1024)] = 2
    quiet: bool = False
    store: Path = store_dir()
    no_store: bool = False

    @property
    def store_dir(self) -> Path | None:
        """Folder of the member store, None where there is to be none."""
        return None if self.no_store else self.store

    @classmethod
    def from_environment(cls, repository: Path = ROOT, **given: Any) -> "Execution":
        """Values from `BOOMERANG_JOBS`, `BOOMERANG_NUM_WORKERS` and so on; `given` that are not None come first.

        Parameters
        ----------
        repository : Path
            Whose cache the store lies in by default.
        **given
            Fields.

        Raises
        ------
        SettingsError
            If a value is not of its field's type or range.
        """
        found = {"jobs": joblib.cpu_count(), "store": store_dir(repository)}
        for name in cls.model_fields:
            if text := os.environ.get(f"BOOMERANG_{name.upper()}"):
                found[name] = text
        found |= {name: value for name, value in given.items() if value is not None}
        try:
            execution = cls.model_validate(found, strict=False)
        except ValidationError as error:
            lines = [_call_by_variable(line, given) for line in describe_faults(error, "execution")]
            raise SettingsError("\n".join(lines)) from None
        known = {f"BOOMERANG_{name.upper()}" for name in (*cls.model_fields, "debug")}
        for name in sorted(name for name in os.environ if name.startswith("BOOMERANG_") and name not in known):
            warn(f"{name} does nothing: what is read is {', '.join(sorted(known))}")
        if "prefetch_factor" in found and execution.num_workers == 0:
            warn("prefetch_factor does nothing without num_workers")
        if execution.no_store and execution.store != store_dir(repository):
            warn(f"store does nothing with no_store (found {execution.store})")
        return execution

    def warn_of_idle(self, configs: dict[str, TrainSettings]) -> None:
        """Say which settings do nothing in a training of the ensembles in `configs`, a line each."""
        idle: dict[str, list[str]] = {}
        for ensemble, config in configs.items():
            for reason in config.idle:
                idle.setdefault(reason, []).append(ensemble)
        for reason, ensembles in idle.items():
            warn(f"{reason} ({', '.join(ensembles)})")
        if self.pin_memory and not any(config.use_gpu for config in configs.values()):
            warn("pin_memory does nothing without use_gpu")


def warn(message: str) -> None:
    """Say on stderr that something was asked for and does nothing, which stops no run."""
    # Printable: a name or value of the environment could hold what a terminal takes for commands.
    tell(f"warning: {message if message.isprintable() else repr(message)}")


def _call_by_variable(line: str, given: dict[str, Any]) -> str:
    """A fault of a field, which is called by its variable where it was not given."""
    field, _, rest = line.removeprefix("execution: ").partition(":")
    return line if given.get(field) is not None else f"BOOMERANG_{field.upper()}:{rest}"
