"""What boosted trees read of a purchase: the knowledge that the ensembles have of it, as one row of numbers."""

from functools import cache
from typing import NamedTuple

import numpy as np

from boomerang.base.ensembles import (
    KNOWN_PAST_FEATURES,
    LOG_GAP_SCALED,
    RETURNED_LAG1,
    SCALED_FEATURES,
    choose_ensembles,
    most_past,
)
from boomerang.features.calendar import Table
from boomerang.features.inputs import Inputs, describe_counts, stack_inputs
from boomerang.features.known_past import KnownPast, PastRules, find_known_past
from boomerang.features.scaler import Scaler

# Labels that trees read at most: more of them cost memory and gain nothing.
MAX_LABELS = 64
# Purchases before, of which they read gap and number beside the label where the purchase in question has been made;
# those of older ones gain nothing. Where it is still to come, they read those of the last one alone: more are noise.
MAX_DESCRIBED = 8
DESCRIBED = (LOG_GAP_SCALED, "number_scaled")
# What they read of the last purchase where the next is asked about. Its year, month and day tell when it was, which is
# never again: trees that read them predict later purchases worse.
RECURRING = ("hour", "weekday", *DESCRIBED)
# The label of a purchase before, as either question calls it.
LABELS = ("returned", RETURNED_LAG1)
# Rows that are read at a time.
BLOCK = 1 << 14


class TreeInput(NamedTuple):
    """One number that trees read.

    Attributes
    ----------
    feature : str
        What is read, by the name that the ensembles have for it.
    lag : int
        Of which purchase: 0 is the one in question, 1 the latest known one of its group, and so on. As for `context`,
        the label of lag k is the feature `returned_before` of lag k - 1 where the purchase in question has been made.
    """

    feature: str
    lag: int

    @property
    def name(self) -> str:
        """As metadata and files have it: `number_scaled`, `returned_lag3`."""
        return f"{self.feature}_lag{self.lag}" if self.lag else self.feature


def count_labels(longest: int) -> int:
    """Labels that trees read beside ensembles whose longest sequence length is `longest`."""
    return min(longest, MAX_LABELS)


@cache
def list_inputs(question: str, own_past: bool, longest: int, further: tuple[str, ...] = ()) -> tuple[TreeInput, ...]:
    """What trees read, in the order of their columns.

    Parameters
    ----------
    question : {"next", "made"}
        What they answer.
    own_past : bool
        Whether each purchase has a past of its own: then the count, and the share of returns, of all its known past
        are read as well.
    longest : int
        The longest sequence length of the ensembles.
    further : tuple of str
        What is read of further columns, as `Columns.features` has it.
    """
    n_labels = count_labels(longest)
    found = [TreeInput(name, 0) for name in KNOWN_PAST_FEATURES] if own_past else []
    if question == "next":
        found += [TreeInput(name, 1) for name in RECURRING]
        found += [TreeInput("returned", lag) for lag in range(1, n_labels + 1)]
        return tuple(found)
    found += [TreeInput(name, 0) for name in (*SCALED_FEATURES, *further)]
    found += [TreeInput(RETURNED_LAG1, lag) for lag in range(n_labels)]
    found += [TreeInput(name, lag) for name in DESCRIBED for lag in range(1, min(longest, MAX_DESCRIBED) + 1)]
    return tuple(found)


def read_features(own_past: bool, further: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What is known of each purchase: the features of `context`."""
    return choose_ensembles(own_past, further)["context"].features


def fewest_past(own_past: bool, longest: int) -> int:
    """Past purchases that must be known for trees to answer.

    In one stream of the whole shop as many as for every ensemble with windows of the labels that trees read; none
    where each purchase has a past of its own, for then what is not there is something that trees have learned of.
    """
    return 0 if own_past else most_past(count_labels(longest))


class TreeTable:
    """The purchases of a table as trees read them.

    Parameters
    ----------
    past : KnownPast
        Of the rows of the table.
    inputs : Inputs
        Of the rows, with the features of `context`.
    features : tuple of str
        Of `context`, as `read_features` gives them.
    """

    def __init__(self, past: KnownPast, inputs: Inputs, features: tuple[str, ...]) -> None:
        self._past, self._own, self._features = past, inputs.own, features
        labels = past.returned[past.rows].astype(np.float32)
        self._stream = np.column_stack([inputs.stream, labels])  # (n_stream, n_features + 1)

    @classmethod
    def of(
        cls,
        table: Table,
        past: KnownPast,
        scaler: Scaler,
        rules: PastRules | None,
        further: tuple[str, ...] = (),
    ) -> "TreeTable":
        """From a table; parameters as in `stack_inputs` and `list_inputs`."""
        features = read_features(rules is not None, further)
        return cls(past, stack_inputs(table, features, past, scaler, rules), features)

    @classmethod
    def after(cls, table: Table, counts: tuple[int, int], scaler: Scaler, rules: PastRules | None) -> "TreeTable":
        """The one purchase that is still to come after those of a table.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            Its known past, or the latest purchases of it, at least one more than trees read labels.
        counts : (int, int)
            How many purchases all of its known past has, and how many of them came back.
        scaler, rules
            As in `stack_inputs`.
        """
        past, features = find_known_past(table, None), read_features(rules is not None)
        stream = stack_inputs(table, features, past, scaler, rules).stream
        # Of a purchase that is still to come only the counts of its past are read.
        own = np.full((1, len(features)), np.nan, dtype=np.float32)
        if rules is not None:
            for name, values in describe_counts(np.array(counts[:1]), np.array(counts[1:]), scaler, rules).items():
                own[:, features.index(name)] = values
        starts, ends = np.zeros(1, dtype=np.int64), np.array([len(past.rows)])
        return cls(KnownPast(past.returned, past.rows, past.firsts, starts, ends), Inputs(stream, own), features)

    def read(self, columns: tuple[TreeInput, ...], rows: slice | np.ndarray) -> np.ndarray:
        """What trees read of some rows: of shape (n, n_columns), float32, NaN for what is not there.

        Parameters
        ----------
        columns : tuple of TreeInput
            As `list_inputs` gives them.
        rows : slice or ndarray of int
            Of the table.
        """
        plan = _plan(columns, self._features)
        starts, ends = self._past.starts[rows], self._past.ends[rows]
        found = np.full((len(ends), len(columns)), np.nan, dtype=np.float32)
        found[:, plan.own] = self._own[rows][:, plan.of_own]
        for first in range(0, len(ends) if len(self._stream) else 0, BLOCK):
            block = slice(first, first + BLOCK)
            places = ends[block, None] - plan.back  # (n, n_past)
            is_there = places >= starts[block, None]
            values = self._stream[np.where(is_there, places, 0), plan.of_stream]
            found[block, plan.past] = np.where(is_there, values, np.float32(np.nan))
        return found


class _Plan(NamedTuple):
    """Where the numbers of the columns come from.

    Attributes
    ----------
    own, of_own : ndarray of shape (n_own,), int64
        The columns of the purchase in question, and what each is of its features.
    past, of_stream, back : ndarray of shape (n_past,), int64
        The columns of purchases before it, what each is of their features and label, and how far back.
    """

    own: np.ndarray
    of_own: np.ndarray
    past: np.ndarray
    of_stream: np.ndarray
    back: np.ndarray


@cache
def _plan(columns: tuple[TreeInput, ...], features: tuple[str, ...]) -> _Plan:
    """The plan of `columns`; the label comes after the other `features` of a purchase before."""
    own, past = [], []
    for at, (feature, lag) in enumerate(columns):
        if feature in LABELS:
            past.append((at, len(features), lag + (feature == RETURNED_LAG1)))
        elif lag:
            past.append((at, features.index(feature), lag))
        else:
            own.append((at, features.index(feature)))
    return _Plan(*np.array(own, dtype=np.int64).reshape(-1, 2).T, *np.array(past, dtype=np.int64).T)
