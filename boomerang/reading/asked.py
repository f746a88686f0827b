"""What a command line says of purchases and times, read as a file is."""

import numpy as np
import pandas as pd

from boomerang.base.ensembles import order_column
from boomerang.base.errors import DataError, SettingsError
from boomerang.reading.datetimes import parse_datetimes, write_datetime
from boomerang.reading.faults import Faults
from boomerang.reading.numbers import parse_numbers
from boomerang.reading.offsets import OWN, last_offset
from boomerang.reading.purchases import NO, YES


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
        If a CSV would be refused with it, or it is earlier than the last past purchase: in time, where offsets tell it.
    """
    made = parse_purchase(table, next_datetime, next_number, datetime_format, timezone)
    last = table.iloc[-1]
    if made[order_column(made)].iloc[0] < last[order_column(table)]:
        written = write_datetime(last, datetime_format)
        raise SettingsError(
            f"next_datetime must not be earlier than the last purchase, {written} (found {next_datetime!r})"
        )
    return pd.concat([table, made], ignore_index=True)


def parse_purchase(
    table: pd.DataFrame,
    next_datetime: str,
    next_number: str,
    datetime_format: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """A purchase just made, as a table of one row with the columns of `table`; parameters as in `append_purchase`.

    Its `returned`, not known yet, is 0, and it is of no group.

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
    row = pd.DataFrame({**times, "returned": [0], "number": numbers, "is_open": [True], "group": [-1]})
    return row[list(table)].astype(table.dtypes)


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
