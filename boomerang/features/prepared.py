"""The purchases that `prepare` wrote, read back and checked."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, model_validator

from boomerang.base.checks import Section, int_between, shown
from boomerang.base.datetime_settings import Reading
from boomerang.base.ensembles import (
    KNOWN_PAST_FEATURES,
    PARTS,
    RETURNED_LAG1,
    SCALED_FEATURES,
    Part,
    order_column,
)
from boomerang.base.errors import ArtifactError
from boomerang.base.settings import TestSplit, ValSplit
from boomerang.base.stage_files import read_table
from boomerang.features.known_past import NOBODY, PastRules

# The longest name that a file system takes is of 255 bytes.
MAX_NAME = 255


def _exist(text: str) -> str:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}", text):
        raise ValueError(f"must be like 2024-03-31T18:05:00 (found {shown(text)})")
    datetime.fromisoformat(text)
    return text


IsoDatetime = Annotated[str, AfterValidator(_exist)]


class Split(Section):
    """Shares of the rows that `prepare` gave to `val` and `test`."""

    val_split: ValSplit
    test_split: TestSplit


class PartFigures(Section):
    """One part of the purchases: rows, share of returns, first and last datetime as ISO 8601."""

    rows: Annotated[int, int_between(1, 1 << 40)]
    base_rate: Annotated[float, Field(ge=0, le=1)]
    first: IsoDatetime
    last: IsoDatetime

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        """The figures of purchases in time order, at least one; `returned` is 0 or 1."""
        first, last = rows["datetime"].iloc[[0, -1]].dt.strftime("%Y-%m-%dT%H:%M:%S")
        return cls(rows=len(rows), base_rate=round(float(rows["returned"].mean()), 6), first=first, last=last)


def printable_name(path: Path) -> str:
    """The name of a file without its folders, with what could steer a terminal, or is no UTF-8, written out."""
    name = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path.name)
    return name[:MAX_NAME] or "unnamed"


def _name_no_path(name: str) -> str:
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and "/" not in name):
        raise ValueError(f"must be the printable name of a file, without folders (found {shown(name)})")
    return name


class Source(Section):
    """What a training learned from: the name of its file, without folders, and the parts of its purchases."""

    file: Annotated[str, AfterValidator(_name_no_path)]
    # JSON files are sorted; parts are told in the order of time.
    parts: Annotated[dict[Part, PartFigures], AfterValidator(lambda parts: {n: parts[n] for n in PARTS if n in parts})]

    @model_validator(mode="after")
    def _have_parts_to_learn_from(self) -> Self:
        if missing := {"train", "val"} - set(self.parts):
            raise ValueError(f"parts must hold train and val (found none named {min(missing)})")
        return self

    @property
    def n_purchases(self) -> int:
        """Purchases of all parts together."""
        return sum(part.rows for part in self.parts.values())

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last datetime of all parts, as ISO 8601."""
        found = list(self.parts.values())
        return found[0].first, found[-1].last


class SummaryFile(Source, extra="ignore"):
    """`summary.json`: what later stages read of it."""

    reading: Reading
    split: Split
    # What readers of the figures must know of the file first.
    warnings: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(default_factory=list)
    past: PastRules | None = None


def read_prepared(path: Path) -> pd.DataFrame:
    """Purchases in time order: `datetime`, `returned` 0 or 1, `part`, and the scaled features, float32.

    Where the datetimes of the CSV had offsets, their order is that of a further column, `instant`. Where each purchase
    has a past of its own there are also `group` (int, -1 for nobody; with a group column), `n_known` (int), and the
    features that tell of that past.

    Raises
    ------
    ArtifactError
        If the file cannot be read, lacks a column, or holds what `prepare` never writes there.
    """
    of_past = (RETURNED_LAG1, *KNOWN_PAST_FEATURES)
    optional = ("instant", "group", "n_known", *of_past)
    table = read_table(path, ["datetime", "returned", "part", *SCALED_FEATURES], optional=optional)
    order = order_column(table)
    no_times = [name for name in ("datetime", order) if table[name].dtype.kind != "M" or table[name].isna().any()]
    if no_times or not table[order].is_monotonic_increasing:
        raise ArtifactError(f"{path}: {(*no_times, order)[0]} must be naive datetimes, none before the one above it")
    if not pd.api.types.is_integer_dtype(table["returned"]) or not table["returned"].isin((0, 1)).all():
        raise ArtifactError(f"{path}: returned must be 0 or 1 in every row")
    counts = [int((table["part"] == part).sum()) for part in PARTS]
    in_parts = table["part"][table["part"] != "embargo"] if "n_known" in table else table["part"]
    if in_parts.tolist() != np.repeat(PARTS, counts).tolist() or 0 in counts[:2]:
        found = ", ".join(f"{part} {count}" for part, count in zip(PARTS, counts, strict=True))
        raise ArtifactError(f"{path}: part must be train, then val, then test (found {found} of {len(table)} rows)")
    features = table[[name for name in dict.fromkeys((*SCALED_FEATURES, *of_past)) if name in table]]
    if set(features.dtypes) != {np.dtype("float32")} or not np.isfinite(features.to_numpy()).all():
        raise ArtifactError(f"{path}: {', '.join(map(str, features))} must be finite float32 in every row")
    for name, least in (("group", NOBODY), ("n_known", 0)):
        if name in table and (table[name].dtype != np.int64 or (table[name] < least).any()):
            raise ArtifactError(f"{path}: {name} must be int64, {least} or more, in every row")
    return table


def read_number(path: Path) -> pd.Series:
    """`number` of each purchase as the CSV has it, float64; raises ArtifactError as `read_history` does."""
    number = read_table(path, ["number"])["number"]
    if number.dtype != np.float64 or not np.isfinite(number.to_numpy()).all():
        raise ArtifactError(f"{path}: number must be finite float64 in every row")
    return number


def read_history(prepared_dir: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """The purchases as `prepare` had read them, before it split them, and the rows of each part.

    Returns
    -------
    DataFrame
        As the table of `Purchases`: `datetime`, `instant` where the CSV had offsets, `returned`, `group` where there is
        a group column, and `number`, in time order.
    dict of str to int
        Rows of `train`, `val` and `test`, each with those of the embargo after it.

    Raises
    ------
    ArtifactError
        As `read_prepared`, or where a number is not finite.
    """
    path = prepared_dir / "purchases.parquet"
    table, number = read_prepared(path), read_number(path)
    columns = [name for name in ("datetime", "instant", "returned", "group") if name in table]
    return table[columns].assign(number=number), _count_split(table["part"])


def _count_split(parts: pd.Series) -> dict[str, int]:
    """Rows that the split gave to each part: what is in the embargo was in the part before."""
    begins = [int((parts == part).argmax()) if (parts == part).any() else len(parts) for part in ("val", "test")]
    bounds = [0, *begins, len(parts)]
    return dict(zip(PARTS, np.diff(bounds).tolist(), strict=True))
