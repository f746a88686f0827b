"""Rows that break a rule: collected rule by rule, so that the first one can be told and all can be counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from boomerang.reading.datetime_hints import find_telling, hint_at_form

BAD_DATE = "datetime not a date"


@dataclass(frozen=True)
class Fault:
    """Rows that break the same rule.

    Attributes
    ----------
    reason : str
        What `summary.json` counts them under.
    rows : ndarray of shape (n,), int
        Their numbers in the file, as an editor shows them.
    values : sequence of str
        The value found in each of them.
    expected : str
        The rule, for a message.
    """

    reason: str
    rows: np.ndarray
    values: Sequence[str]
    expected: str


@dataclass
class Faults:
    """The faults of a file, each row under the first rule that it breaks."""

    found: list[Fault] = field(default_factory=list)

    @property
    def rows(self) -> np.ndarray:
        """The numbers of all rows with a fault."""
        return np.concatenate([np.array([], int), *(fault.rows for fault in self.found)])

    @property
    def counts(self) -> dict[str, int]:
        """Rows by reason."""
        return {fault.reason: len(fault.rows) for fault in self.found}

    def add(self, column: pd.Series, is_bad: np.ndarray | pd.Series, reason: str, expected: str) -> None:
        """Add a fault for the rows where `is_bad` holds and that have none yet.

        Parameters
        ----------
        column : Series of str
            The cells, indexed by row number.
        is_bad : ndarray or Series of shape (n_rows,), bool
            For each cell of `column`, in its order, whether it breaks the rule.
        reason, expected : str
            As in `Fault`.
        """
        positions = np.flatnonzero(is_bad)
        if positions.size:
            positions = positions[~np.isin(column.index[positions], self.rows)]
        if positions.size:
            rows, values = column.index[positions].to_numpy(), column.iloc[positions].to_list()
            self.found.append(Fault(reason, rows, values, expected))

    def describe(self, datetime_format: str | None) -> str:
        """The fault of the first bad row, and how many share it; of dates, a row that shows how they are written."""
        fault = min(self.found, key=lambda fault: fault.rows[0])
        n_others = len(fault.rows) - 1
        others = f"; {n_others:,} more row{'s' if n_others > 1 else ''} like it" if n_others else ""
        is_unknown = fault.reason == BAD_DATE and not datetime_format
        position = find_telling(fault.values) if is_unknown else 0
        row, value = fault.rows[position], fault.values[position]
        hint = hint_at_form(value.strip()) if is_unknown else ""
        return f"row {row}: {fault.expected} (found {value[:200]!r}{hint}{others})"
