"""Further columns of a history that a program gives, and of the purchase just made."""

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from boomerang.base.columns import code_of, raw_of
from boomerang.base.errors import DataError
from boomerang.features.columns import ColumnRules
from boomerang.features.known_past import PastRules
from boomerang.reading.asked import AskedColumns
from boomerang.serving.histories import find_named, to_text
from boomerang.serving.value_counts import ValueCounts, count_made, count_rows


class FurtherColumns:
    """What a history has in the further columns that the training read, checked.

    Parameters
    ----------
    history : DataFrame
        Purchases in time order; its columns have the names that the training's file had.
    columns : ColumnRules
        Of the training.
    past : PastRules or None
        Of the training.
    counts : ValueCounts or None
        What `prepare` counted, where `history` does not tell how often what is alike came back.

    Raises
    ------
    DataError
        If a column is missing or stands twice, or a numeric one holds what is no number.
    """

    def __init__(
        self, history: pd.DataFrame, columns: ColumnRules, past: PastRules | None, counts: ValueCounts | None
    ) -> None:
        self._columns, self._past, self._counts = columns, past, counts
        self._cells: dict[str, np.ndarray] = {}
        self._categories: dict[str, list[str]] = {}
        for name in columns.names:
            named = find_named(history, name)
            if len(named) != 1:
                raise DataError(f"history: the column {name} of the training is needed once (found {len(named)})")
            cells = history.iloc[:, named[0]]
            if name in columns.numeric:
                self._cells[raw_of(name)] = _read_amounts(name, cells)
            else:
                self._cells[code_of(name)], self._categories[name] = _number_values(name, cells)

    def of_rows(self, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns to add to `table`, which holds the purchases of the history, or the first of them."""
        cells = {name: values[: len(table["returned"])] for name, values in self._cells.items()}
        return cells | count_rows({**table, **cells}, self._categories, self._columns, self._past, self._counts)

    def of_made(self, table: Mapping[str, np.ndarray], made: Any, moment: np.datetime64) -> dict[str, float | int]:
        """The same of the purchase just made.

        Parameters
        ----------
        table : mapping of str to ndarray
            The history with what `of_rows` adds.
        made : mapping of str to object
            By column, what the purchase has there.
        moment : datetime64
            When it is made, by the clock that tells the order of `table`.

        Raises
        ------
        DataError
            If a column is missing, or holds what none can hold.
        """
        names = self._columns.names
        # As in a file, upper and lower case are the same in names.
        called = {name.lower(): name for name in names}
        if isinstance(made, Mapping):
            made = {called.get(str(name).lower(), name): value for name, value in made.items()}
        if not isinstance(made, Mapping) or set(made) != set(names):
            kind = "nothing" if made is None else type(made).__name__
            found = str(sorted(map(str, made)))[:200] if isinstance(made, Mapping) else kind
            raise DataError(f"made: must say what the purchase has in {', '.join(names)} (found {found})")
        cells: dict[str, float | int] = {raw_of(name): _read_amount(name, made[name]) for name in self._columns.numeric}
        values = {name: to_text(name, made[name]) for name in self._columns.categorical}
        for name, value in values.items():
            known = self._categories[name]
            cells[code_of(name)] = known.index(value) if value in known else -1
        asked = AskedColumns(cells, values)
        return cells | count_made(table, asked, moment, self._columns, self._past, self._counts)


def _read_amounts(name: str, cells: pd.Series) -> np.ndarray:
    """The numbers of a column, float64, NaN where none is given; raises DataError for anything else."""
    if pd.api.types.is_float_dtype(cells) or pd.api.types.is_integer_dtype(cells):
        amounts = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isinf(amounts).any():
            return amounts
    return np.array([_read_amount(name, cell) for cell in cells], dtype=np.float64)


def _read_amount(name: str, cell: object) -> float:
    """A number, NaN where none is given; raises DataError for anything else."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return np.nan
    try:
        number = float(cell) if isinstance(cell, numbers.Real) and not isinstance(cell, bool | np.bool) else np.inf
    except OverflowError:
        number = np.inf
    if np.isinf(number):
        raise DataError(f"{name} must be a finite number, or missing, in every row (found {str(cell)[:100]!r})")
    return number


def _number_values(name: str, cells: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The codes of a column's values, int64, and the values, each as a file would have it."""
    # Few values stand in many rows: each is made text once.
    places, different = pd.factorize(cells, use_na_sentinel=False)
    texts = np.array([to_text(name, value) for value in different], dtype=object)
    codes, values = pd.factorize(texts)
    return codes.astype(np.int64)[places], values.tolist()
