"""How the work is carried out: none of it changes a byte of the result, so none of it is a DVC param."""

import os
import sys
from typing import Any

import joblib
from pydantic import ValidationError

from stages.lib.checks import Section, describe_faults, whole
from stages.lib.errors import SettingsError


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
        No line per epoch and no bar.
    """

    jobs: whole(1, 1024)
    num_workers: whole(0, 1024) = 0
    pin_memory: bool = False
    prefetch_factor: whole(1, 1024) = 2
    quiet: bool = False

    @classmethod
    def from_environment(cls, **given: Any) -> "Execution":
        """Values from `BOOMERANG_JOBS`, `BOOMERANG_NUM_WORKERS` and so on; `given` that are not None come first.

        Raises
        ------
        SettingsError
            If a value is not of its field's type or range.
        """
        found = {"jobs": joblib.cpu_count()}
        for name in cls.model_fields:
            if text := os.environ.get(f"BOOMERANG_{name.upper()}"):
                found[name] = text
        found |= {name: value for name, value in given.items() if value is not None}
        try:
            execution = cls.model_validate(found, strict=False)
        except ValidationError as error:
            raise SettingsError("\n".join(describe_faults(error, "execution"))) from None
        if "prefetch_factor" in found and execution.num_workers == 0:
            print("warning: prefetch_factor does nothing without num_workers", file=sys.stderr)
        return execution
