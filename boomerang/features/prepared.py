"""The purchases that `prepare` wrote, read back and checked."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, model_validator

from boomerang.base.checks import Section, int_between, shown
from boomerang.base.columns import Columns, code_of, known_of, raw_of
from boomerang.base.datetime_settings import Reading
from boomerang.base.ensembles import (
    KNOWN_PAST_FEATURES,
    PARTS,
    RETURNED_LAG1,
    SCALED_FEATURES,
    EnsembleSpec,
    Part,
    choose_ensembles,
    order_column,
)
from boomerang.base.errors import ArtifactError
from boomerang.base.paths import VALUES_FILE
from boomerang.base.settings import TestSplit, ValSplit
from boomerang.base.stage_files import read_table
from boomerang.features.columns import ColumnRules
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
    columns: ColumnRules | None = None

    @property
    def further(self) -> tuple[str, ...]:
        """The features of further columns."""
        return self.columns.features if self.columns else ()

    @property
    def specs(self) -> dict[str, EnsembleSpec]:
        """What members of each ensemble read."""
        return choose_ensembles(self.past is not None, self.further)


def read_prepared(path: Path, columns: Columns | None = None) -> pd.DataFrame:
    """Purchases in time order: `datetime`, `returned` 0 or 1, `part`, and the scaled features, float32.

    `columns` are the further columns of the training, whose features are read too.

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
    further = columns.features if columns else ()
    table = read_table(path, ["datetime", "returned", "part", *SCALED_FEATURES, *further], optional=optional)
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
    features = table[[name for name in dict.fromkeys((*SCALED_FEATURES, *of_past, *further)) if name in table]]
    if set(features.dtypes) != {np.dtype("float32")} or not np.isfinite(features.to_numpy()).all():
        raise ArtifactError(f"{path}: {', '.join(map(str, features))} must be finite float32 in every row")
    for name, least in (("group", NOBODY), ("n_known", 0)):
        if name in table and (table[name].dtype != np.int64 or (table[name] < least).any()):
            raise ArtifactError(f"{path}: {name} must be int64, {least} or more, in every row")
    return table


def read_unscaled(path: Path, columns: Columns | None = None) -> pd.DataFrame:
    """What the CSV says of each purchase beside its time and label, before it is scaled.

    Parameters
    ----------
    path : Path
        `purchases.parquet`.
    columns : Columns, optional
        The further columns of the training.

    Returns
    -------
    DataFrame
        `number` (float64); each numeric column as `raw_of` calls it (float64, NaN where not given), each categorical
        one as `code_of` does (int64), and how many labels of its value were known, as `known_of` does (int64).

    Raises
    ------
    ArtifactError
        As `read_prepared`.
    """
    raw = [raw_of(name) for name in columns.numeric] if columns else []
    counted = [name for of_one in (columns.categorical if columns else ()) for name in _whole_numbers_of(of_one)]
    table = read_table(path, ["number", *raw, *counted])
    numbers = table[["number", *raw]]
    is_wrong = set(numbers.dtypes) != {np.dtype("float64")} or numbers["number"].isna().any()
    if is_wrong or np.isinf(numbers.to_numpy()).any():
        names = ", ".join(["number", *raw])
        raise ArtifactError(f"{path}: {names} must be finite float64, and number be in every row")
    for name in counted:
        if table[name].dtype != np.int64 or (table[name] < 0).any():
            raise ArtifactError(f"{path}: {name} must be int64, 0 or more, in every row")
    return table


def _whole_numbers_of(name: str) -> tuple[str, str]:
    """What is kept of a categorical column in whole numbers: its codes, and how many labels were known."""
    return code_of(name), known_of(name)[0]


def read_history(prepared_dir: Path, columns: Columns | None = None) -> tuple[pd.DataFrame, dict[str, int]]:
    """The purchases as `prepare` had read them, before it split them, and the rows of each part.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    columns : Columns, optional
        The further columns of the training.

    Returns
    -------
    DataFrame
        As the table of `Purchases`: `datetime`, `instant` where the CSV had offsets, `returned`, `group` where there is
        a group column, `number`, and further columns, in time order.
    dict of str to int
        Rows of `train`, `val` and `test`, each with those of the embargo after it.

    Raises
    ------
    ArtifactError
        As `read_prepared`, or where a number is not finite.
    """
    path = prepared_dir / "purchases.parquet"
    table = read_prepared(path)
    history = table[[name for name in ("datetime", "instant", "returned", "group") if name in table]]
    unscaled = read_unscaled(path, columns)
    if columns and columns.categorical:
        n_values = read_values(prepared_dir, columns)["column"].value_counts()
        for name in columns.categorical:
            if unscaled[code_of(name)].max() >= n_values[name]:
                raise ArtifactError(f"{path}: {code_of(name)} must be up to {n_values[name] - 1} in every row")
        # `prepare` counts anew how many labels are known.
        unscaled = unscaled.drop(columns=[known_of(name)[0] for name in columns.categorical])
    return pd.concat([history, unscaled], axis=1), _count_split(table["part"])


def read_values(prepared_dir: Path, columns: Columns) -> pd.DataFrame:
    """How often purchases of each value of the categorical columns came back, as `tally` counts it.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged or of other columns.
    """
    path = prepared_dir / VALUES_FILE
    values = read_table(path, ["column", "value", "n_known", "n_returned"])
    is_text = all(pd.api.types.is_string_dtype(values[name]) for name in ("column", "value"))
    if not is_text or values[["column", "value"]].isna().any(axis=None):
        raise ArtifactError(f"{path}: column and value must be text in every row")
    if list(values["column"].unique()) != columns.categorical or values.duplicated(["column", "value"]).any():
        raise ArtifactError(f"{path} must hold the values of {', '.join(columns.categorical)}, each once")
    n_known, n_returned = values["n_known"], values["n_returned"]
    if {n_known.dtype, n_returned.dtype} != {np.dtype("int64")} or not (
        (n_returned >= 0) & (n_returned <= n_known)
    ).all():
        raise ArtifactError(f"{path}: n_known and n_returned must be counts, int64, of which n_returned is the smaller")
    return values


def _count_split(parts: pd.Series) -> dict[str, int]:
    """Rows that the split gave to each part: what is in the embargo was in the part before."""
    begins = [int((parts == part).argmax()) if (parts == part).any() else len(parts) for part in ("val", "test")]
    bounds = [0, *begins, len(parts)]
    return dict(zip(PARTS, np.diff(bounds).tolist(), strict=True))
