"""How many purchases each part gets, and how many purchases a training takes."""

import math


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
