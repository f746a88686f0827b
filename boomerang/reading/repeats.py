"""Rows that stand several times, and stretches of time that do so as a whole: two exports that overlap."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# A stretch has at least so many datetimes: one order that was keyed in twice is none.
FEWEST_DATETIMES = 3
# A stretch is told of only if chance makes one so long less often than once in so many files.
FALSE_ALARMS = 1e-6
WORDS = {2: "twice", 3: "three times"}
MAX_SHOWN = 3


@dataclass(frozen=True)
class Stretch:
    """All rows from one datetime to another, where each different row stands `times` times, or a multiple of that.

    Where `or_more` holds, some stand more often: a row with a twin in one export stands four times in two.
    """

    first: str
    last: str
    rows: int
    times: int
    or_more: bool


@dataclass(frozen=True)
class Repeats:
    """How many rows are exact copies of rows above them, and stretches of time that stand twice as a whole."""

    rows: int
    stretches: list[Stretch]

    @property
    def warnings(self) -> list[str]:
        """One sentence for people if whole stretches stand twice; none else."""
        if not self.stretches:
            return []
        shown = []
        for stretch in self.stretches[:MAX_SHOWN]:
            how_often = ("at least " if stretch.or_more else "") + WORDS.get(stretch.times, f"{stretch.times} times")
            shown.append(f"the {stretch.rows:,} rows from {stretch.first} to {stretch.last} stand {how_often}")
        more = len(self.stretches) - len(shown)
        if more:
            shown.append(f"{more} more {'stretch does' if more == 1 else 'stretches do'} so")
        return [
            f"{'; '.join(shown)}, alike in every column, as where two exports overlap. Each copy tells the answer of "
            f"the other, so all figures look better than they are: leave the copies out"
        ]


def number_cells(table: pa.Table) -> np.ndarray:
    """A number for each row of text, of shape (n_rows,), int64: the same one for rows alike in every column.

    Blanks around a cell tell no rows apart.
    """
    cells = (pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns)
    return number_rows(len(table), [column.dictionary_encode().indices.to_numpy() for column in cells])


def number_rows(n_rows: int, columns: Sequence[np.ndarray]) -> np.ndarray:
    """A number for each row, of shape (n_rows,), int64: the same one for rows whose values are equal in all columns."""
    numbers = np.zeros(n_rows, dtype=np.int64)
    for column in columns:
        codes = pd.factorize(column)[0].astype(np.int64)
        # Both are below the number of rows, so their pair fits 64 bits.
        numbers = pd.factorize(numbers * (codes.max(initial=0) + 1) + codes)[0].astype(np.int64)
    return numbers


def find_repeats(times: np.ndarray, numbers: np.ndarray) -> Repeats:
    """Count copies, and find stretches in which no row stands alone.

    Single rows repeat by right: of order lines in three columns, three quarters have a twin. That in a row of datetimes
    every different row has one is chance less often the more of them there are: below q^n for n different rows,
    where q is the share of twins among all others. A stretch is one that chance makes less often than `FALSE_ALARMS`.

    Parameters
    ----------
    times : ndarray of shape (n_rows,), datetime64
        In order.
    numbers : ndarray of shape (n_rows,), int
        As of `number_rows`.
    """
    _, rows, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    counts = np.bincount(numbers)
    starts = np.flatnonzero(np.r_[True, times[1:] != times[:-1]])
    # By datetime, how many different rows there are.
    place = np.searchsorted(starts, rows, side="right") - 1
    n_different = np.bincount(place, minlength=len(starts))
    stretches = []
    is_told = np.zeros(len(starts), dtype=bool)
    # A stretch that stands 4 or 6 times is found by a prime factor of that.
    factors = _find_factors(counts)
    for factor in factors:
        n_repeated = np.bincount(place[counts % factor == 0], minlength=len(starts))
        n_total, n_of_factor, n_often = len(counts), int(n_repeated.sum()), int((counts >= factor).sum())
        for first, end in _find_runs((n_repeated == n_different) & ~is_told, FEWEST_DATETIMES):
            n_inside = int(n_different[first:end].sum())
            share = (n_of_factor - n_inside + 1) / (n_total - n_inside + 2)
            # Of the counts that are large enough, one in `factor` is a multiple of it by chance.
            least = (n_often - n_inside + 1) / (n_total - n_inside + 2) / factor
            n_tries = len(starts) * len(factors)
            if math.log(n_tries) + n_inside * math.log(max(share, least)) <= math.log(FALSE_ALARMS):
                is_told[first:end] = True
                end_row = starts[end] if end < len(starts) else len(times)
                begin, last = (str(times[row].astype("datetime64[s]")) for row in (starts[first], starts[end - 1]))
                inside = counts[(first <= place) & (place < end)]
                n_times = int(np.gcd.reduce(inside))
                is_more = bool(inside.max() > n_times)
                stretches.append(Stretch(begin, last, int(end_row - starts[first]), n_times, is_more))
    return Repeats(len(times) - len(rows), sorted(stretches, key=lambda stretch: stretch.first))


def _find_factors(counts: np.ndarray) -> list[int]:
    """The prime factors of how often rows stand, in order, each of enough different rows to make a stretch."""
    found: Counter[int] = Counter()
    for count, n_rows in zip(*np.unique(counts, return_counts=True), strict=True):
        rest, factor = int(count), 2
        while rest > 1:
            # What has no factor up to its root is prime.
            factor = factor if factor * factor <= rest else rest
            if rest % factor == 0:
                found[factor] += int(n_rows)
            while rest % factor == 0:
                rest //= factor
            factor += 1
    return sorted(factor for factor, n_rows in found.items() if n_rows >= FEWEST_DATETIMES)


def _find_runs(is_in: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """First and end of each run of at least so many true values."""
    edges = np.diff(np.r_[False, is_in, False].astype(np.int8))
    firsts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    is_long = ends - firsts >= shortest
    return list(zip(firsts[is_long].tolist(), ends[is_long].tolist(), strict=True))
