"""What further columns tell of a purchase: scaled numbers, and how often what has the same value came back so far."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from boomerang.base.columns import Columns, code_of, count_of, known_of, raw_of
from boomerang.base.errors import DataError
from boomerang.base.settings import ColumnSettings, PastSettings
from boomerang.base.wording import counted
from boomerang.features.calendar import Table, log_counts, transform_number
from boomerang.features.inputs import rate_so_far
from boomerang.features.known_past import find_certain, find_known_ends, find_open
from boomerang.features.scaler import Scaler

# The count of a value is told up to here. A rate that rests on more is about as sure, and a count that grows for ever
# is a clock: trees that read one predict later purchases worse (see docs/design.md, "Columns").
MAX_COUNTED = 100
# Rows that are counted at a time: few enough that what is sorted stays in the cache of a CPU.
BLOCK = 1 << 16


class ColumnRules(ColumnSettings):
    """Further columns, and what the training purchases add to them.

    Attributes
    ----------
    base_rate : float
        As in `PastRules`: what a rate so far starts from.
    """

    base_rate: Annotated[float, Field(gt=0, lt=1)]


def check_columns(table: Table, columns: Columns, categories: Mapping[str, list[str]], max_values: int) -> list[str]:
    """Refuse columns from which nothing can be learned; what a person should know of the others, a line each.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        As `Purchases.table`.
    columns : Columns
        Those that are read.
    categories : mapping of str to list of str
        The values of the categorical ones.
    max_values : int
        Setting `prepare.max_values`.

    Raises
    ------
    DataError
        If no cell of a numeric column holds a number, or a categorical one has too many values.
    """
    n_rows, notes = len(table["returned"]), []
    for name in columns.numeric:
        if np.isnan(np.asarray(table[raw_of(name)])).all():
            raise DataError(f"numeric_columns {name}: all {counted(n_rows, 'cell')} are blank, so it tells nothing")
    for name in columns.categorical:
        n_values = len(categories[name])
        if n_values > max_values:
            raise DataError(
                f"categorical_columns {name}: at most max_values, {max_values:,}, different values are counted "
                f"(found {n_values:,} in {n_rows:,} purchases)"
            )
        if n_values == n_rows > 1:
            notes.append(f"{name}: every value stands once, as that of an order number does, so its rates tell nothing")
        if n_values == 1 < n_rows:
            notes.append(f"{name}: a single value in all purchases, so its rate is that of the shop")
    return notes


def count_known(
    codes: np.ndarray, returned: np.ndarray, is_known: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each row, how many purchases of its value are known by then, and how many of those came back.

    One pass over the rows in blocks: beside what it is given and gives back it holds two counts for each value.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), int64
        The value of each, counted from 0.
    returned : ndarray of shape (n_rows,), 0 or 1
        Labels.
    is_known : ndarray of shape (n_rows,), bool
        Whose label will be known one day: not of those that are open.
    ends : ndarray of shape (n_rows,), int64
        As `find_known_ends` gives them.

    Returns
    -------
    n_known, n_returned : ndarray of shape (n_rows,), int64
    """
    n_rows, n_values = len(codes), int(codes.max(initial=-1)) + 1
    # A value and a row are one number that fits 64 bits.
    step = n_rows + 1
    totals = np.zeros((2, n_values), dtype=np.int64)
    n_known, n_returned = np.empty((2, n_rows), dtype=np.int64)
    begin = 0
    for first in range(0, n_rows, BLOCK):
        rows = slice(first, min(first + BLOCK, n_rows))
        # What every row of the block knows is added up; what only some of them know is sorted by value and row.
        begin = _add_up(totals, codes, returned, is_known, begin, int(ends[rows][0]))
        last = int(ends[rows][-1])
        some = begin + np.flatnonzero(is_known[begin:last])
        some = some[np.argsort(codes[some], kind="stable")]
        keys = codes[some] * step + some
        came_back = np.concatenate([[0], np.cumsum(returned[some], dtype=np.int64)])
        starts = np.searchsorted(keys, codes[rows] * step)
        stops = np.searchsorted(keys, codes[rows] * step + ends[rows])
        n_known[rows] = totals[0, codes[rows]] + stops - starts
        n_returned[rows] = totals[1, codes[rows]] + came_back[stops] - came_back[starts]
    return n_known, n_returned


def _add_up(
    totals: np.ndarray, codes: np.ndarray, returned: np.ndarray, is_known: np.ndarray, begin: int, end: int
) -> int:
    """Add the rows from `begin` to `end`, block by block, to the `totals` of their values; gives `end`."""
    for first in range(begin, end, BLOCK):
        rows = slice(first, min(first + BLOCK, end))
        known = codes[rows][is_known[rows]]
        np.add.at(totals[0], known, 1)
        np.add.at(totals[1], known, returned[rows][is_known[rows]])
    return end


def count_columns(table: Table, columns: Columns, rules: PastSettings | None) -> dict[str, np.ndarray]:
    """What is known of each row's values when it is made, as columns of the names that `known_of` gives.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order, as `Purchases.table`.
    columns : Columns
        Those that are read.
    rules : PastSettings or None
        What is known when, as for `find_known_past`: the same for a value as for a group.
    """
    found: dict[str, np.ndarray] = {}
    if not columns.categorical:
        return found
    ends, is_known = find_known_ends(table, rules), ~find_open(table)
    returned = np.asarray(table["returned"]).astype(np.int64)
    for name in columns.categorical:
        counts = count_known(np.asarray(table[code_of(name)]), returned, is_known, ends)
        found |= dict(zip(known_of(name), counts, strict=True))
    return found


def count_asked(
    table: Table, columns: Columns, rules: PastSettings | None, codes: Mapping[str, int], moment: np.datetime64
) -> dict[str, int]:
    """The same of one purchase that is made at `moment` and stands in no row.

    Parameters
    ----------
    table, columns, rules
        As in `count_columns`; without rules the purchase is made after all rows.
    codes : mapping of str to int
        By categorical column, the code of its value; -1 for a value that no row has.
    moment : datetime64
        Of the clock that tells the order of the table.
    """
    found: dict[str, int] = {}
    is_known = find_certain(table, rules, moment, inclusive=False)
    returned = np.asarray(table["returned"])
    for name in columns.categorical:
        of_value = returned[is_known & (np.asarray(table[code_of(name)]) == codes[name])]
        found |= dict(zip(known_of(name), (len(of_value), int(of_value.sum())), strict=True))
    return found


def list_raw(table: Table, columns: Columns, number_transform: str) -> dict[str, np.ndarray]:
    """What is scaled of further columns, before scaling, by feature: float64 of shape (n_rows,), NaN where not given.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        With numeric columns as `raw_of` calls them, and counts as `known_of` does.
    columns : Columns
        Those that are read.
    number_transform : {"asinh", "none"}
        As for `number`.
    """
    found: dict[str, np.ndarray] = {}
    for name in columns.numeric:
        amounts = np.asarray(table[raw_of(name)], dtype=np.float64)
        both = (transform_number(amounts, number_transform), (~np.isnan(amounts)).astype(np.float64))
        found |= dict(zip(columns.features_of[name], both, strict=True))
    counts = {name: np.minimum(np.asarray(table[known_of(name)[0]]), MAX_COUNTED) for name in columns.categorical}
    return found | {count_of(name): log_counts(of_one) for name, of_one in counts.items()}


def describe_columns(table: Table, rules: ColumnRules, scaler: Scaler) -> dict[str, np.ndarray]:
    """The features of further columns by name, each of shape (n_rows,), float32.

    Where a number is not given, it is 0, and whether it was given is 0 too. What is the same in all training purchases,
    as `given` is of a column without blanks, is 0 everywhere: no weight ever learned what another value means. A value
    of which no label is known has the share of returns in training as its rate, and a count of 0.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        As for `list_raw`.
    rules : ColumnRules
        Of the training.
    scaler : Scaler
        Of the training.

    Raises
    ------
    DataError
        If a number lies so far outside the range seen in training that float32 cannot hold it scaled.
    """
    found: dict[str, np.ndarray] = {}
    raw = list_raw(table, rules, scaler.number_transform)
    for name in rules.numeric:
        value, given = rules.features_of[name]
        is_given = ~np.isnan(raw[value])
        with np.errstate(over="ignore"):
            scaled = scaler.scale_column(value, np.where(is_given, raw[value], 0.0))
        if (lost := is_given & ~np.isfinite(scaled)).any():
            number = float(np.asarray(table[raw_of(name)])[lost.argmax()])
            raise DataError(
                f"{name} must, scaled as in training, be within float32, or number_transform be asinh "
                f"(found {number!r})"
            )
        found[value] = np.where(is_given, scaled, np.float32(0))
        found[given] = scaler.scale_column(given, raw[given])
    for name in rules.categorical:
        n_known, n_returned = (np.asarray(table[column]) for column in known_of(name))
        rates = rate_so_far(n_returned, n_known, rules).astype(np.float32)
        counts = scaler.scale_column(count_of(name), raw[count_of(name)])
        scaled = np.where(n_known > 0, counts, np.float32(0))
        found |= dict(zip(rules.features_of[name], (rates, scaled), strict=True))
    return found


def add_columns(table: pd.DataFrame, found: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """`table` and further columns of it, all at once: one by one, many of them would cost pandas ever more."""
    return pd.concat([table, pd.DataFrame(dict(found), index=table.index)], axis=1)


def tally(table: pd.DataFrame, columns: Columns, categories: Mapping[str, list[str]]) -> pd.DataFrame:
    """How often purchases of each value came back, of all rows: what a prediction without their file rests on.

    Parameters
    ----------
    table : DataFrame
        As `Purchases.table`; all labels are certain.
    columns : Columns
        Those that are read.
    categories : mapping of str to list of str
        The values of the categorical ones, by code.

    Returns
    -------
    DataFrame
        A row for each value of each categorical column, in the order of the codes: `column`, `value`, `n_known`,
        `n_returned`.
    """
    parts = []
    for name in columns.categorical:
        codes, n_values = table[code_of(name)].to_numpy(), len(categories[name])
        n_known = np.bincount(codes, minlength=n_values)
        n_returned = np.bincount(codes[table["returned"].to_numpy() == 1], minlength=n_values)
        parts.append(
            pd.DataFrame({"column": name, "value": categories[name], "n_known": n_known, "n_returned": n_returned})
        )
    return pd.concat(parts, ignore_index=True)
