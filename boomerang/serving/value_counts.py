"""How often what is alike came back: in the history that is given, or as `prepare` counted it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base.columns import code_of, known_of
from boomerang.features.calendar import Table
from boomerang.features.columns import ColumnRules, count_asked, count_columns
from boomerang.features.known_past import PastRules
from boomerang.features.prepared import read_values
from boomerang.reading.asked import AskedColumns


class ValueCounts:
    """Known labels by value of each categorical column, as of the last time that `prepare` ran.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    columns : ColumnRules
        Of the training.

    Raises
    ------
    ArtifactError
        If the counts are missing, damaged or of other columns.
    """

    def __init__(self, prepared_dir: Path, columns: ColumnRules) -> None:
        self._columns: dict[str, tuple[pd.Index, np.ndarray]] = {}
        values = read_values(prepared_dir, columns) if columns.categorical else pd.DataFrame({"column": []})
        for name, of_column in values.groupby("column"):
            counts = of_column[["n_known", "n_returned"]].to_numpy()
            # The last row is that of a value never seen, which `get_indexer` calls -1.
            self._columns[str(name)] = pd.Index(of_column["value"]), np.vstack([counts, [[0, 0]]])

    def look_up(self, name: str, values: Sequence[str]) -> dict[str, np.ndarray]:
        """The counts of some values of a column, as `known_of` calls them: int64, 0 for a value never seen."""
        index, counts = self._columns[name]
        found = counts[index.get_indexer(pd.Index(list(values), dtype="str"))]
        return dict(zip(known_of(name), found.T, strict=True))


def count_rows(
    table: Table,
    categories: Mapping[str, list[str]],
    columns: ColumnRules,
    past: PastRules | None,
    counts: ValueCounts | None,
) -> dict[str, np.ndarray]:
    """What is known of the values of each row, as columns of the names that `known_of` gives.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order, as `Purchases.table`.
    categories : mapping of str to list of str
        As in `Purchases`.
    columns, past
        Of the training.
    counts : ValueCounts or None
        What `prepare` counted, which is then said of every row, whenever it was made; by default each row knows what
        was certain by then in `table`.
    """
    if counts is None:
        return count_columns(table, columns, past)
    found: dict[str, np.ndarray] = {}
    for name in columns.categorical:
        codes, by_code = np.asarray(table[code_of(name)]), counts.look_up(name, categories[name])
        found |= {column: of_values[codes] for column, of_values in by_code.items()}
    return found


def count_made(
    table: Table,
    asked: AskedColumns,
    moment: np.datetime64,
    columns: ColumnRules,
    past: PastRules | None,
    counts: ValueCounts | None,
) -> dict[str, int]:
    """The same of a purchase that is made at `moment`, after those of `table`, with the values of `asked`."""
    if counts is None:
        codes = {name: int(asked.cells[code_of(name)]) for name in columns.categorical}
        return count_asked(table, columns, past, codes, moment)
    found: dict[str, int] = {}
    for name in columns.categorical:
        found |= {column: int(value[0]) for column, value in counts.look_up(name, [asked.values[name]]).items()}
    return found
