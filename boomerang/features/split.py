"""The split into parts by time: how many purchases each gets, and how many purchases a training takes."""

import math

import numpy as np

from boomerang.base.ensembles import PARTS
from boomerang.base.errors import DataError
from boomerang.base.wording import counted


def count_parts(n_rows: int, val_split: float, test_split: float) -> tuple[int, int, int]:
    """Rows of `train`, `val` and `test` among `n_rows`."""
    n_test, n_val = round(n_rows * test_split), round(n_rows * val_split)
    return n_rows - n_val - n_test, n_val, n_test


def have_rows(counts: tuple[int, int, int], n_train: int, test_split: float) -> bool:
    """Whether `train` has at least `n_train` rows, and every other part with a share above 0 at least one."""
    return counts[0] >= n_train and counts[1] >= 1 and (counts[2] >= 1 or test_split == 0)


def fewest_rows(n_train: int, val_split: float, test_split: float) -> int | None:
    """The least number of rows whose parts suffice; None where it is beyond any file.

    Parameters
    ----------
    n_train : int
        Rows that `train` must have.
    val_split, test_split : float
        Shares of the rows.
    """
    # Rounding adds half a row to a part at most, so fewer rows than these cannot do; from there on, counting is exact.
    train_split = max(1 - val_split - test_split, 1e-9)
    least = [0.5 / val_split, 0.5 / test_split if test_split else 0, (n_train - 1) / train_split]
    start = max(n_train, math.floor(max(least)) - 2)
    candidates = range(start, start + 1_000_000)
    return next((n for n in candidates if have_rows(count_parts(n, val_split, test_split), n_train, test_split)), None)


def split_parts(n_rows: int, val_split: float, test_split: float) -> np.ndarray:
    """The part of each row, in time order: `train`, then `val`, then `test`.

    Parameters
    ----------
    n_rows : int
        Rows, sorted by time.
    val_split, test_split : float
        Shares of the rows; `test` takes the last rows, `val` those before.

    Returns
    -------
    ndarray of shape (n_rows,), str

    Raises
    ------
    DataError
        If a part with a share above 0 gets no row.
    """
    counts = count_parts(n_rows, val_split, test_split)
    if not have_rows(counts, 1, test_split):
        found = ", ".join(f"{part} {count}" for part, count in zip(PARTS, counts, strict=True))
        needed = fewest_rows(1, val_split, test_split) or "far more"
        given = f"{counted(n_rows, 'purchase')} {'is' if n_rows == 1 else 'are'}"
        raise DataError(f"{given} too few: every part needs at least one, so {needed} are needed (found {found})")
    return np.repeat(PARTS, counts)
