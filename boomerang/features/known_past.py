"""Which purchases of its group were known when a purchase was made, and what they tell of it.

Without a group column and without a label delay, all purchases are one group, and those above a purchase in the file
are known. Else a purchase is known at a time t if it was made before t, at or before t less the delay, and its label is
not open. What is not known is not there: no step of a window, gap, count or rate comes from it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from boomerang.base.ensembles import order_column
from boomerang.base.settings import PastSettings
from boomerang.features.calendar import Table

# The code of a purchase whose group is not known.
NOBODY = -1


def to_microseconds(table: Table) -> np.ndarray:
    """When each purchase was made, of shape (n_rows,), int64: microseconds of the clock that tells their order."""
    moments: np.ndarray = np.asarray(table[order_column(table)]).astype("datetime64[us]").astype(np.int64)
    return moments


class PastRules(PastSettings):
    """The settings of the past, and what the training purchases add to them.

    Attributes
    ----------
    base_rate : float
        The share of returns among the training purchases, which a rate so far starts from. It is one number for all
        purchases, so that nothing that other groups do changes the prediction for one.
    """

    base_rate: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _give_each_its_own(self) -> Self:
        if self.group_column is None and not self.label_delay_days:
            raise ValueError("group_column or label_delay_days must be given, or all be null (found neither)")
        return self


class PastView(NamedTuple):
    """What is known before each of some purchases.

    Attributes
    ----------
    at : ndarray of shape (n,), int64
        Their rows in the table.
    last : ndarray of shape (n,), int64
        Row of the latest known purchase of the group before each, -1 where there is none.
    n_known, n_returned : ndarray of shape (n,), int64
        Known purchases of the group before each, and how many of them came back.
    """

    at: np.ndarray
    last: np.ndarray
    n_known: np.ndarray
    n_returned: np.ndarray


@dataclass(frozen=True)
class KnownPast:
    """For each purchase of a table, which ones of its group are known when it is made.

    Attributes
    ----------
    returned : ndarray of shape (n_rows,), int
        0 or 1; what stands for an open label is not read.
    rows : ndarray of shape (n_stream,), int64
        The stream: all purchases of a known group and label, group by group, in time order within each.
    firsts : ndarray of shape (n_stream,), int64
        Where in the stream the group of each begins.
    starts, ends : ndarray of shape (n_rows,), int64
        The known past of a row is the stream from `starts` to `ends`.
    """

    returned: np.ndarray
    rows: np.ndarray
    firsts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def n_known(self) -> np.ndarray:
        """Known purchases before each row, of shape (n_rows,), int64."""
        counts: np.ndarray = self.ends - self.starts
        return counts

    def of_rows(self) -> PastView:
        """What each row of the table knows: for the purchase in question."""
        return self._view(np.arange(len(self.ends)), self.starts, self.ends)

    def of_stream(self) -> PastView:
        """What each purchase of the stream has before it there: for a step of a window.

        A window holds purchases that are known at the time of its target, and then each knows all that come before it
        in the window, also where its own time was too early for that.
        """
        return self._view(self.rows, self.firsts, np.arange(len(self.rows)))

    @cached_property
    def _n_returned(self) -> np.ndarray:
        """How many of the stream's purchases before each place in it came back, of shape (n_stream + 1,)."""
        return np.concatenate([[0], np.cumsum(self.returned[self.rows], dtype=np.int64)])

    def _view(self, at: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> PastView:
        last = np.full(len(ends), NOBODY, dtype=np.int64)
        last[ends > starts] = self.rows[ends[ends > starts] - 1]
        return PastView(at, last, ends - starts, self._n_returned[ends] - self._n_returned[starts])


def latest_certain(moments: np.ndarray, delay: int) -> np.ndarray:
    """The latest time, in microseconds, of a purchase that is known to one made at each of `moments`: as many."""
    # Strictly before, though there be no delay: purchases of one time are never each other's past.
    latest: np.ndarray = moments - max(delay, 1)
    return latest


def find_known_past(table: Table, rules: PastSettings | None) -> KnownPast:
    """The known past of every row of a table.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order: `returned`, with rules also `datetime` or `instant`, and `group` (int, -1 for nobody)
        where there is a group column. `is_open` (bool), where it is there, tells whose `returned` is not known yet.
    rules : PastSettings or None
        As the training had them; None for one stream of the whole shop, in which ties are past in the order of the
        table.
    """
    returned = np.asarray(table["returned"]).astype(np.int64)
    n_rows = len(returned)
    if rules is None and "is_open" not in table:
        every, none = np.arange(n_rows), np.zeros(n_rows, dtype=np.int64)
        return KnownPast(returned, every, none, none, every)
    groups = np.zeros(n_rows, dtype=np.int64)
    # Labels alone, which have no time, are the known past of one group.
    if rules is not None and rules.group_column is not None and order_column(table) in table:
        groups = np.asarray(table["group"]).astype(np.int64)
    is_past = (groups != NOBODY) & ~find_open(table)
    by_group = np.argsort(groups, kind="stable")
    rows = by_group[is_past[by_group]]
    # Where each group begins in the stream: codes count from 0.
    sizes = np.bincount(groups[rows], minlength=int(groups.max(initial=0)) + 1)
    begins = np.cumsum(sizes) - sizes
    starts = np.where(groups == NOBODY, 0, begins[groups])
    # A group and a row are one number that fits 64 bits, and numbers that ascend are found fastest.
    step = n_rows + 1
    asked = groups * step + find_known_ends(table, rules)
    ends = np.empty(n_rows, dtype=np.int64)
    ends[by_group] = np.searchsorted(groups[rows] * step + rows, asked[by_group])
    ends[groups == NOBODY] = 0
    return KnownPast(returned, rows, begins[groups[rows]], starts, ends)


def find_known_ends(table: Table, rules: PastSettings | None) -> np.ndarray:
    """Above which row of the table the labels are known to each: of shape (n_rows,), int64, never falling.

    Parameters are those of `find_known_past`. What is open is not known, wherever it stands.
    """
    if rules is None or order_column(table) not in table:
        return np.arange(len(table["returned"]))
    moments = to_microseconds(table)
    return np.searchsorted(moments, latest_certain(moments, rules.delay), side="right")


def find_open(table: Table) -> np.ndarray:
    """Whose label is not known yet: of shape (n_rows,), bool."""
    if "is_open" not in table:
        return np.zeros(len(table["returned"]), dtype=bool)
    return np.asarray(table["is_open"]).astype(bool)


def select_past(table: Table, rules: PastSettings, group: int, now: np.datetime64, inclusive: bool) -> np.ndarray:
    """Rows of `table` that are the known past of one group at a time, in order.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        As for `find_known_past`.
    rules : PastSettings
        As the training had them.
    group : int
        Whose past; `NOBODY` has none.
    now : datetime64
        The time, of the same clock as the table's order.
    inclusive : bool
        Whether a purchase made at this very time can be past: so where the purchase in question is still to come.
    """
    is_past = find_certain(table, rules, now, inclusive)
    if rules.group_column is not None:
        is_past &= (np.asarray(table["group"]) == group) & (group != NOBODY)
    return np.flatnonzero(is_past)


def find_certain(table: Table, rules: PastSettings | None, now: np.datetime64, inclusive: bool) -> np.ndarray:
    """Whose labels are known at a time, of any group: of shape (n_rows,), bool; parameters as in `select_past`.

    Without rules, all that are not open: then nothing was made later.
    """
    is_known = ~find_open(table)
    if rules is not None:
        # What is still to come is made a moment after all of this time.
        at = now.astype("datetime64[us]").astype(np.int64)
        is_known &= to_microseconds(table) <= (at - rules.delay if inclusive else latest_certain(at, rules.delay))
    return is_known
