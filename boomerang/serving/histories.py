"""Histories that a program gives: tables, or labels alone, which no reader of ours has checked."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from boomerang.base.ensembles import order_column
from boomerang.base.errors import DataError, SettingsError

COLUMNS = ("datetime", "returned", "number")
# When purchases were made, in UTC: it tells their order where local time, which goes back in autumn, does not.
INSTANT = "instant"
EVERY = slice(None)
# A table of purchases, or the labels alone.
History = pd.DataFrame | Sequence[int] | np.ndarray | pd.Series


def read_history(
    history: History, needed: Sequence[str] = COLUMNS, part: slice = EVERY, made: Any = None
) -> dict[str, np.ndarray]:
    """The columns of a history, checked.

    Parameters
    ----------
    history : DataFrame or sequence of {0, 1}
        Past purchases in time order, or their labels alone, which are a table of `returned`. Where a table has
        `instant`, as `read_purchases` makes it of datetimes with offsets, that is the order.
    needed : sequence of str
        Which of `COLUMNS` there must be; others of them are read where they are there.
    part : slice
        Which purchases to read and check; all by default.
    made : (datetime, number), optional
        A purchase just made, which is added as the last one. Beside `instant` its datetime may
        have an offset; else it is taken to have that of the purchase before.

    Returns
    -------
    dict of str to ndarray of shape (n_purchases,)
        `returned` as int8, `datetime` and, where it is there, `instant` as datetime64, `number` as float64.

    Raises
    ------
    DataError
        If a column is missing or stands twice, or what they hold is no history.
    """
    if isinstance(history, pd.DataFrame):
        columns = {name: history[name].to_numpy()[part] for name in _find_columns(history, needed)}
    else:
        columns = {"returned": _read_labels(history, part)}
        if missing := [name for name in needed if name not in columns]:
            raise DataError(f"history: a table with {', '.join(needed)} is needed (found labels, without {missing[0]})")
    columns = _check(columns)
    if made is None:
        return columns
    purchase = read_made(made, columns)
    return _check({name: np.append(values, purchase[name]) for name, values in columns.items()})


def _find_columns(table: pd.DataFrame, needed: Sequence[str]) -> list[str]:
    names = list(table.columns)
    if missing := [name for name in needed if name not in names]:
        raise DataError(f"history: the columns {', '.join(needed)} are needed (found none named {missing[0]})")
    if twice := [name for name in (*COLUMNS, INSTANT) if names.count(name) > 1]:
        raise DataError(f"history: each column must stand once (found {names.count(twice[0])} named {twice[0]})")
    return [name for name in (*COLUMNS, INSTANT) if name in names]


def _read_labels(history: Any, part: slice) -> np.ndarray:
    """The labels of a list, an array or a Series; text and mappings are none."""
    try:
        # Of a long list only what is read is made an array; to take the part of a part once more changes nothing.
        labels = np.asarray(history[part] if isinstance(history, list | tuple) else history)
    except ValueError:  # lists of different lengths
        labels = np.empty((0, 0))
    if labels.ndim != 1:
        found = type(history).__name__
        raise DataError(f"history: must be a table of purchases or a sequence of labels 0 and 1 (found {found})")
    return labels[part]


def read_made(made: Any, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """The purchase just made, as a value for each column; `columns` are the checked ones of its past.

    Where they have instants, its datetime may be aware: local time with its offset. A naive one is taken to have the
    offset of the purchase before.
    """
    rule = "made: must be the datetime and the number of one purchase"
    try:
        moment, number = made
        when = pd.Timestamp(moment)
    except (TypeError, ValueError):
        raise DataError(f"{rule} (found {made!r:.200})") from None
    if pd.isna(when):
        raise DataError(f"{rule} (found no time, {made!r:.200})")
    instant = when
    if when.tzinfo is not None:
        if INSTANT not in columns:
            raise DataError(f"made: the datetime must be naive local time, as in the history (found {when})")
        instant, when = when.tz_convert(None), when.tz_localize(None)
    elif len(columns.get(INSTANT, ())) and "datetime" in columns:
        instant = when - pd.Timedelta(columns["datetime"][-1] - columns[INSTANT][-1])
    if not isinstance(number, numbers.Real):
        raise DataError(f"{rule} (found the number {number!r:.200})")
    return {"datetime": when.to_datetime64(), "returned": 0, "number": number, INSTANT: instant.to_datetime64()}


def _check(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns in their types; raises DataError where one holds anything else."""
    order = order_column(columns)
    checks = {"returned": _check_labels, "number": _check_numbers}
    return {
        name: checks[name](values) if name in checks else _check_times(name, values, name == order)
        for name, values in columns.items()
    }


def _check_labels(values: np.ndarray) -> np.ndarray:
    try:
        is_label = np.asarray((values == 0) | (values == 1), dtype=bool)
    except (TypeError, ValueError):  # pandas' missing value is neither equal nor not
        is_label = np.zeros(len(values), dtype=bool)
    if not is_label.all():
        raise DataError("history: returned must be 0 or 1 in every row")
    return values.astype(np.int8)


def _check_times(name: str, values: np.ndarray, is_order: bool) -> np.ndarray:
    is_time = values.dtype.kind == "M" and not np.isnat(values).any()
    if not is_time or (is_order and not (values[1:] >= values[:-1]).all()):
        also = ", none before the one above it" if is_order else ""
        raise DataError(f"history: {name} must be naive datetimes{also}")
    return values


def _check_numbers(values: np.ndarray) -> np.ndarray:
    try:
        # Text is no number, though numpy would read it as one.
        has_text = values.dtype.kind not in "biuf" and any(isinstance(value, str | bytes) for value in values)
        found = np.full(1, np.nan) if has_text or values.dtype.kind in "cMmSU" else values.astype(np.float64)
    except (TypeError, ValueError):
        found = np.full(1, np.nan)
    if not np.isfinite(found).all():
        raise DataError("history: number must be finite in every row")
    return found


def find_named(history: pd.DataFrame, name: str) -> list[int]:
    """Where the columns of a name stand, or, where there is none, those of the name in other case, as in a file."""
    names = [str(column).strip() for column in history.columns]
    exact = [place for place, column in enumerate(names) if column == name]
    return exact or [place for place, column in enumerate(names) if column.lower() == name.lower()]


def to_text(name: str, value: object) -> str:
    """A value of the column `name` as a file would have it: a whole number without its `.0`, blank where missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if not isinstance(value, str | numbers.Real) or isinstance(value, bool | np.bool):
        raise SettingsError(f"{name}: must be text or a whole number, as in the {name} column (found {value!r:.100})")
    if isinstance(value, float | np.floating):
        number = float(value)
        return "" if np.isnan(number) else str(int(number) if number.is_integer() else number)
    return str(value).strip()
