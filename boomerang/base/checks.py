"""Values from outside as typed, checked values; every message names path, rule and the value found."""

import re
import reprlib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator


class Section(BaseModel):
    """Named values, each of exactly its type; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def shown(value: Any) -> str:
    """The beginning of the value's repr, made without the rest: aliases make a few lines of YAML a tree without end."""
    shortener = reprlib.Repr()
    shortener.maxlevel, shortener.maxlist, shortener.maxdict = 3, 20, 20
    shortener.maxstring = shortener.maxother = shortener.maxlong = 200
    return shortener.repr(value)[:200]


def within(rule: str, holds: Callable[[Any], bool]) -> WrapValidator:
    """A validator whose message names the whole rule and the value, whatever part of the rule is broken."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """The value as its type has it, if the rule holds of it."""
        try:
            parsed = handler(_number_from_text(value))
        except ValidationError:
            parsed = None
        if parsed is None or not holds(parsed):
            raise ValueError(f"must be {rule} (found {shown(value)})")
        return parsed

    return WrapValidator(validate)


def _number_from_text(value: Any) -> Any:
    """YAML 1.1 reads `1e-3` as text because it has no dot; what is plainly such a number is taken as one."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]*[.]?[0-9]+[eE][+-]?[0-9]+", value) else value


def int_between(low: int, high: int) -> WrapValidator:
    """A validator of whole numbers from `low` to `high`: `Annotated[int, int_between(1, 9)]`."""
    return within(f"a whole number from {low} to {high}", lambda number: bool(low <= number <= high))


def describe_faults(error: ValidationError, source: str) -> list[str]:
    """A printable line for each fault in `error`: source, path, rule, value."""
    lines = []
    for fault in error.errors():
        # Names come from outside too, and could hold line breaks or what a terminal takes for commands.
        where = ".".join(map(str, fault["loc"])).encode("unicode_escape").decode()[:200]
        place = f"{where}: " if where else ""
        found = shown(fault["input"])
        if fault["type"] == "missing":
            lines.append(f"{source}: {where} is missing")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{source}: {where} is not a setting (found {found})")
        elif fault["type"] == "value_error":
            lines.append(f"{source}: {place}{str(fault['ctx']['error'])[:400]}")
        elif fault["type"] in ("model_type", "dict_type"):
            lines.append(f"{source}: {where + ' ' if where else ''}must be a mapping of settings (found {found})")
        else:
            lines.append(f"{source}: {place}{fault['msg'][0].lower()}{fault['msg'][1:]} (found {found})")
    return lines
