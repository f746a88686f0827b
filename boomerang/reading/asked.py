"""What a command line says of purchases and times, read as a file is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from boomerang.base.columns import Columns, code_of, raw_of
from boomerang.base.ensembles import order_column
from boomerang.base.errors import DataError, SettingsError
from boomerang.reading.datetimes import parse_datetimes, write_datetime
from boomerang.reading.faults import Faults
from boomerang.reading.numbers import parse_numbers
from boomerang.reading.offsets import OWN, last_offset
from boomerang.reading.purchases import MAX_CELL, NO, YES


class AskedColumns(NamedTuple):
    """What a purchase just made has in further columns.

    Attributes
    ----------
    cells : dict of str to number
        By the names of a table: numbers, NaN where not given, and codes, -1 for a value that the table has not.
    values : dict of str to str
        By categorical column, its value.
    """

    cells: dict[str, float | int]
    values: dict[str, str]


def append_purchase(
    table: pd.DataFrame, made: pd.DataFrame, next_datetime: str, datetime_format: str | None
) -> pd.DataFrame:
    """Past purchases and, as last row, one just made.

    Parameters
    ----------
    table : DataFrame
        The past ones, as in `Purchases`.
    made : DataFrame
        As `parse_purchase` makes it of `next_datetime`.
    next_datetime : str
        As it was written.
    datetime_format : str or None
        As for `read_purchases`.

    Raises
    ------
    SettingsError
        If it is earlier than the last past purchase: in time, where offsets tell it.
    """
    last = table.iloc[-1]
    if made[order_column(made)].iloc[0] < last[order_column(table)]:
        written = write_datetime(last, datetime_format)
        raise SettingsError(
            f"next_datetime must not be earlier than the last purchase, {written} (found {next_datetime!r})"
        )
    return pd.concat([table, made[list(table)]], ignore_index=True)


def parse_purchase(
    table: pd.DataFrame,
    next_datetime: str,
    next_number: str,
    datetime_format: str | None = None,
    timezone: str | None = None,
    columns: AskedColumns | None = None,
) -> pd.DataFrame:
    """A purchase just made, as a table of one row with the columns of `table`.

    Its `returned`, not known yet, is 0, and it is of no group.

    Parameters
    ----------
    table : DataFrame
        Past purchases, as in `Purchases`.
    next_datetime, next_number : str
        Of the one just made, written as in a CSV.
    datetime_format, timezone : str, optional
        As for `read_purchases`.
    columns : AskedColumns, optional
        What it has in further columns, where `table` has them.

    Raises
    ------
    SettingsError
        If a CSV would be refused with it.
    """
    times = parse_moment(table, "next_datetime", next_datetime, datetime_format, timezone)
    faults = Faults()
    numbers = parse_numbers(pd.Series([next_number.strip()]), faults)
    if faults.found:
        raise SettingsError(f"next_{faults.found[0].expected} (found {next_number!r})")
    further = {} if columns is None else columns.cells
    row = pd.DataFrame({**times, "returned": [0], "number": numbers, "is_open": [True], "group": [-1], **further})
    return row[list(table)].astype(table.dtypes)


def parse_columns(words: Sequence[str], columns: Columns, categories: Mapping[str, list[str]]) -> AskedColumns:
    """What was said of further columns of a purchase just made: `["price=2.5", "product=A"]`.

    Parameters
    ----------
    words : sequence of str
        One for each column, in any order; what follows the sign is as in a CSV, and may be blank.
    columns : Columns
        Those that the training read.
    categories : mapping of str to list of str
        As in `Purchases`.

    Raises
    ------
    SettingsError
        Unless each of `columns` is named once, and nothing else, or if a CSV would be refused with it.
    """
    said: dict[str, str] = {}
    for word in words:
        # A name may itself hold the sign: the longest that fits is meant. As in a file, its case does not matter.
        fitting = [name for name in columns.names if word.strip().lower().startswith(f"{name.lower()}=")]
        name = max(fitting, key=len, default="")
        said[name] = word.strip()[len(name) + 1 :].strip()
    if len(said) != len(words) or set(said) != set(columns.names):
        rule = f"must be given once for each of {', '.join(columns.names)}, like --next_column '{columns.names[0]}=…'"
        missing = [name for name in columns.names if name not in said]
        without = f", without {', '.join(missing)}" if words and missing else ""
        raise SettingsError(f"next_column {rule} (found {', '.join(map(repr, words))[:200] or 'none'}{without})")
    faults, cells = Faults(), dict[str, float | int]()
    for name, value in said.items():
        if len(value) > MAX_CELL:
            raise SettingsError(f"next_column: {name} must have at most {MAX_CELL} characters (found {value[:20]!r}…)")
        if name in columns.numeric:
            cells[raw_of(name)] = parse_numbers(pd.Series([value]), faults, name).iloc[0] if value else np.nan
        else:
            cells[code_of(name)] = categories[name].index(value) if value in categories[name] else -1
    if faults.found:
        raise SettingsError(f"next_column: {faults.found[0].expected} (found {faults.found[0].values[0]!r})")
    return AskedColumns(cells, {name: said[name] for name in columns.categorical})


def parse_moment(
    table: pd.DataFrame, name: str, text: str, datetime_format: str | None, timezone: str | None
) -> dict[str, pd.Series]:
    """The columns, of one row, that tell a time written as those of `table` were.

    Parameters
    ----------
    table : DataFrame
        As in `Purchases`.
    name, text : str
        What messages call it, and what was written.
    datetime_format, timezone : str or None
        As for `read_purchases`.

    Raises
    ------
    SettingsError
        If it cannot be read so, or has an offset where those of `table` have none, or the other way round.
    """
    has_offsets = "instant" in table
    offset = last_offset(table) if has_offsets and not timezone else OWN
    times, _ = parse_datetimes(name, pd.Series([text.strip()]), [], datetime_format, timezone, offset)
    if times.local.isna().any():
        form = f"in the form {datetime_format}" if datetime_format else "an ISO 8601 date"
        written = write_datetime(table.iloc[-1], datetime_format)
        raise SettingsError(f"{name} must be {form}, as in the training, like {written} (found {text!r})")
    if has_offsets != (times.instants is not None):
        how = "an offset, as the datetimes" if has_offsets else "no offset, as the datetimes"
        raise SettingsError(f"{name} must have {how} of the past purchases have (found {text!r})")
    return times.columns()


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
            raise DataError(f"label {position}: expected yes or no (found {label!r})")
    return np.array([label.lower() in YES for label in labels], dtype=np.int8)
