"""Which sequence lengths the data can carry."""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from boomerang.base.checks import Section
from boomerang.base.ensembles import most_past
from boomerang.base.settings import Length

# With a past of its own for each purchase, a length is used only if at least so many training windows are longer than
# the next shorter length: fewer tell a member nothing that the shorter one does not know.
MIN_LONGER_WINDOWS = 200
# The ladder offers a length only if the training rows hold at least this many windows that do not overlap.
MIN_DISJOINT_WINDOWS = 200


def _ascend(lengths: list[int]) -> list[int]:
    if not lengths or lengths != sorted(set(lengths)):
        raise ValueError(f"must ascend (found {str(lengths)[:200]})")
    return lengths


Lengths = Annotated[list[Length], AfterValidator(_ascend)]


class LengthsFile(Section):
    """`sequences/lengths.json`."""

    mode: Literal["fixed", "auto"]
    seq_lengths: Lengths
    requested_seq_lengths: list[Length]
    dropped: dict[str, str]


def length_ladder(n_train_rows: int, max_seq_cap: int) -> list[int]:
    """Sequence lengths that grow with the size of the data: 2, 3, 5, 8, 12, 18, ... each about 1.5 times the last.

    The ladder ends where `n_train_rows` would hold fewer than 200 windows that do not overlap, or above
    `max_seq_cap`; it has at least one rung.
    """
    highest = min(max_seq_cap, max(2, n_train_rows // MIN_DISJOINT_WINDOWS))
    lengths = [min(2, max_seq_cap)]
    while (longer := (3 * lengths[-1] + 1) // 2) <= highest:
        lengths.append(longer)
    return lengths


def usable_lengths(requested: list[int], n_train_rows: int, max_seq_cap: int) -> tuple[list[int], dict[int, str]]:
    """The `requested` lengths that the data suffice for, in ascending order, and why each other one is dropped.

    They suffice where every ensemble has a window to learn from.
    """
    dropped = {}
    for length in requested:
        if length > max_seq_cap:
            dropped[length] = f"above max_seq_cap {max_seq_cap}"
        elif (n_past := most_past(length)) >= n_train_rows:
            there_are = f"there {'is' if n_train_rows == 1 else 'are'} {n_train_rows}"
            dropped[length] = f"needs at least {n_past + 1} training purchases, {there_are}"
    return sorted(set(requested) - set(dropped)), dropped


def known_past_ladder(n_known: np.ndarray, max_seq_cap: int) -> list[int]:
    """Sequence lengths 2, 3, 5, 8, 12, ... up to `max_seq_cap`, as long as enough windows are longer than the last.

    Parameters
    ----------
    n_known : ndarray of shape (n_train,), int
        Known past purchases of each training purchase.
    max_seq_cap : int
        No length is above it.
    """
    lengths = [min(2, max_seq_cap)]
    while (longer := (3 * lengths[-1] + 1) // 2) <= max_seq_cap:
        if (n_known > lengths[-1]).sum() < MIN_LONGER_WINDOWS:
            break
        lengths.append(longer)
    return lengths


def known_past_lengths(requested: list[int], n_known: np.ndarray, max_seq_cap: int) -> tuple[list[int], dict[int, str]]:
    """As `usable_lengths`, where a window holds up to L purchases; parameters as in `known_past_ladder`.

    The shortest length is dropped only where no training purchase has a past.
    """
    dropped, used = {}, [0]
    for length in sorted(set(requested)):
        n_longer = int((n_known > used[-1]).sum())
        if length > max_seq_cap:
            dropped[length] = f"above max_seq_cap {max_seq_cap}"
        elif n_longer < (MIN_LONGER_WINDOWS if used[-1] else 1):
            many = f"at least {MIN_LONGER_WINDOWS} training purchases" if used[-1] else "a training purchase"
            dropped[length] = f"needs {many} with more than {used[-1]} known purchases before (found {n_longer})"
        else:
            used.append(length)
    return used[1:], dropped
