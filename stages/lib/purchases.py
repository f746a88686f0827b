"""A purchase history from CSV to a checked table.

Every cell is read as text and then parsed by the rules below, so nothing is guessed: what is not clearly meant is
refused with file, row, column, the value found and what was expected.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from stages.lib.csv_cells import read_cells
from stages.lib.datetimes import hint_at_form, parse_datetimes
from stages.lib.errors import DataError, SettingsError

YES = ("yes", "y", "true", "t", "1")
NO = ("no", "n", "false", "f", "0")
# The columns, and what a cell is like that is surely meant as one of theirs.
COLUMNS = {"datetime": ".*[0-9].*", "returned": "|".join(YES + NO), "number": ".*[0-9].*"}
# A float64 written out in full has 309 digits and then some; one cell of a megabyte would widen all others.
MAX_CELL = 400
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
BAD_DATE = "datetime not a date"
# Whole numbers up to this one are exact in float64.
MAX_EXACT = 2**53


@dataclass(frozen=True)
class Purchases:
    """A purchase history in time order.

    Attributes
    ----------
    table : DataFrame
        `datetime` (datetime64[us], naive local time), `returned` (int8, 0 or 1) and `number` (float64, finite), sorted
        by datetime, ties in file order.
    rows : ndarray of shape (n_purchases,), int
        Where each stood in the file, as an editor numbers its rows.
    others : DataFrame of str
        The other columns of the file, row by row, where they were to be kept.
    normalised : list of str
        What was not in the plain form and how it was read.
    dropped : dict of str to int
        Rows left out, by reason.
    """

    table: pd.DataFrame
    rows: np.ndarray
    others: pd.DataFrame
    normalised: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What a person should know of the reading, a line each."""
        return [*self.normalised, *(f"rows left out, {reason}: {count}" for reason, count in self.dropped.items())]


@dataclass(frozen=True)
class _Fault:
    """Rows that break the same rule: their numbers, the first one's value, and the rule."""

    reason: str
    rows: np.ndarray
    value: str
    expected: str


def read_purchases(
    path: Path,
    datetime_format: str | None = None,
    timezone: str | None = None,
    on_bad_rows: str = "error",
    keep_others: bool = False,
) -> Purchases:
    """Read the CSV, or gzipped CSV, at `path`.

    Parameters
    ----------
    path : Path
        The file.
    datetime_format : str, optional
        A strptime pattern, where dates are not ISO 8601.
    timezone : str, optional
        An IANA zone, such as `Europe/London`: datetimes with an offset are converted to its local time.
    on_bad_rows : {"error", "drop"}
        Refuse the file at its first bad row, or leave bad rows out and count them.
    keep_others : bool
        Keep the other columns too.

    Raises
    ------
    DataError
        If the file cannot be read as purchases; the message names row, column, value and rule.
    """
    notes: list[str] = []
    cells = read_cells(path, COLUMNS, notes, keep_others)
    faults: list[_Fault] = []
    if cells.misshapen:
        rows, counts, texts = zip(*cells.misshapen, strict=True)
        expected = f"expected as many cells as the header has, {cells.n_columns}, not {counts[0]}"
        faults.append(_Fault("cells too few or too many", np.array(rows), texts[0], expected))
    text = cells.table.apply(lambda column: column.str.strip())
    if (text != cells.table).any(axis=None):
        notes.append("cells: outer blanks left out")
    repeated = pd.concat([text[name].str.lower() == name for name in COLUMNS], axis=1).all(axis=1)
    _note(faults, cells.table["datetime"], repeated, "repeated header", "expected a purchase, not the header again")
    for name in COLUMNS:
        is_long = text[name].str.len() > MAX_CELL
        _note(faults, text[name], is_long, f"{name} too long", f"{name} must have at most {MAX_CELL} characters")
        text[name] = text[name].mask(is_long, "")
        _note(faults, cells.table[name], text[name] == "", f"{name} blank", f"{name} must not be blank")

    labels = text["returned"].str.lower()
    expected = f"returned must be one of {'/'.join(YES + NO)}"
    _note(faults, cells.table["returned"], ~labels.isin(YES + NO), "returned not a label", expected)
    if not cells.table["returned"].isin(("yes", "no")).all():
        notes.append("returned: labels other than plain yes/no were read by their meaning")
    times, expected = parse_datetimes(path.name, text["datetime"], notes, datetime_format, timezone)
    _note(faults, cells.table["datetime"], times.isna(), BAD_DATE, expected)
    numbers = _parse_numbers(text["number"], faults)

    dropped = _count_dropped(faults)
    if dropped and on_bad_rows == "error":
        raise DataError(f"{path.name} {_describe(faults, datetime_format)}")
    table = pd.DataFrame({"datetime": times, "returned": labels.isin(YES).astype("int8"), "number": numbers})
    table = table.drop(index=np.concatenate([np.array([], int), *(fault.rows for fault in faults)]), errors="ignore")
    if table.empty:
        raise DataError(
            f"{path.name}: no purchase is left, every row is bad; the first: {_describe(faults, datetime_format)}"
        )
    if not table["datetime"].is_monotonic_increasing:
        notes.append("datetime: rows out of order were sorted; ties keep the order of the file")
    table["datetime"] = table["datetime"].astype("datetime64[us]")
    table = table.sort_values("datetime", kind="stable")
    others = cells.others.loc[table.index].reset_index(drop=True)
    return Purchases(table.reset_index(drop=True), table.index.to_numpy(), others, notes, dropped)


def append_purchase(
    table: pd.DataFrame,
    next_datetime: str,
    next_number: str,
    datetime_format: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Past purchases and, as last row, one just made; its `returned`, not known yet, is 0.

    Parameters
    ----------
    table : DataFrame
        The past ones, as in `Purchases`.
    next_datetime, next_number : str
        Of the one just made, written as in a CSV.
    datetime_format, timezone : str, optional
        As for `read_purchases`.

    Raises
    ------
    SettingsError
        If a CSV would be refused with it, or it is earlier than the last past purchase.
    """
    made = parse_datetimes("next_datetime", pd.Series([next_datetime.strip()]), [], datetime_format, timezone)[0].iloc[
        0
    ]
    last = table["datetime"].iloc[-1]
    if pd.isna(made) or made < last:
        expected = f"a datetime as in the training, {last} (the last purchase) or later"
        raise SettingsError(f"next_datetime must be {expected} (found {next_datetime!r})")
    faults: list[_Fault] = []
    numbers = _parse_numbers(pd.Series([next_number.strip()]), faults)
    if faults:
        raise SettingsError(f"next_{faults[0].expected} (found {next_number!r})")
    row = pd.DataFrame({"datetime": [made], "returned": [0], "number": numbers}).astype(table.dtypes)
    return pd.concat([table, row], ignore_index=True)


def parse_labels(text: str) -> np.ndarray:
    """Labels written as `yes,no,yes` as an array of shape (n,), int8, 1 for yes.

    Raises
    ------
    DataError
        At the first label that is neither a yes nor a no.
    """
    labels = [label.strip() for label in text.split(",")]
    for position, label in enumerate(labels, start=1):
        if label.lower() not in YES + NO:
            raise DataError(f"history, label {position}: expected yes or no (found {label!r})")
    return np.array([label.lower() in YES for label in labels], dtype=np.int8)


def _note(faults: list[_Fault], column: pd.Series, bad: pd.Series, reason: str, expected: str) -> None:
    """Add a fault for the rows where `bad` holds and that have none yet."""
    positions = np.flatnonzero(bad.to_numpy())
    if positions.size:
        known = np.concatenate([np.array([], int), *(fault.rows for fault in faults)])
        positions = positions[~np.isin(column.index[positions], known)]
    if positions.size:
        faults.append(_Fault(reason, column.index[positions].to_numpy(), column.iloc[positions[0]], expected))


def _count_dropped(faults: list[_Fault]) -> dict[str, int]:
    return {fault.reason: len(fault.rows) for fault in faults}


def _describe(faults: list[_Fault], datetime_format: str | None) -> str:
    """The fault of the first bad row, and how many rows share it."""
    fault = min(faults, key=lambda fault: fault.rows[0])
    n_others = len(fault.rows) - 1
    others = f"; {n_others:,} more row{'s' if n_others > 1 else ''} like it" if n_others else ""
    hint = hint_at_form(fault.value.strip()) if fault.reason == BAD_DATE and not datetime_format else ""
    return f"row {fault.rows[0]}: {fault.expected} (found {fault.value[:200]!r}{hint}{others})"


def _parse_numbers(text: pd.Series, faults: list[_Fault]) -> pd.Series:
    """Finite float64 values, NaN where a fault was added."""
    is_number = text.str.fullmatch(NUMBER)
    with_comma = text.str.fullmatch(r"[+-]?[0-9.]*,[0-9.,]*")
    expected = "number must be a finite number like 3 or 19.90"
    _note(faults, text, with_comma, "number with a comma", f"{expected}, without decimal or thousands comma")
    # Python parses to the nearest float64, which pandas' own parser misses by a last bit now and then.
    values = pd.Series(text.where(is_number, "nan").to_numpy(dtype=object).astype(np.float64), index=text.index)
    _note(faults, text, ~np.isfinite(values), "number not a finite number", expected)
    zero = text[values == 0]
    vanished = zero.index[zero.str.contains("^[+-]?[0.]*[1-9]")]
    _note(
        faults, text, pd.Series(text.index.isin(vanished)), "number too small", f"{expected}, not too small for float64"
    )
    large = text[np.isfinite(values) & (values.abs() >= MAX_EXACT)]
    lossy = [row for row, written in large.items() if _loses_digits(written, float(values[row]))]
    expected = "number must be exact in float64, whole numbers up to 2^53"
    _note(faults, text, pd.Series(text.index.isin(lossy)), "number loses digits", expected)
    return values


def _loses_digits(written: str, value: float) -> bool:
    """Whether a large number is another than its float64; with an exponent, than its float64 as it is written."""
    number = Decimal(written)
    is_short = "e" in written.lower() and number == Decimal(repr(value))
    return not is_short and number == number.to_integral_value() and number != Decimal(value)
