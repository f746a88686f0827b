"""What members read of windows, whatever a window is, and which windows are equal."""

from typing import NamedTuple

import numpy as np
import torch

from boomerang.base.ensembles import PARTS


class WindowInputs(NamedTuple):
    """What members read of some windows.

    Attributes
    ----------
    inputs : Tensor of shape (n, width, n_features), float32
        The steps of each window, from its first on; 0 after its last.
    n_steps : Tensor of shape (n,), int64
        How many steps each has, 0 to `width`.
    """

    inputs: torch.Tensor
    n_steps: torch.Tensor

    @classmethod
    def whole(cls, inputs: torch.Tensor) -> "WindowInputs":
        """Windows of as many steps as `inputs` have."""
        return cls(inputs, torch.full((len(inputs),), inputs.shape[1]))


def window_ids(stream: np.ndarray, firsts: np.ndarray, seq_length: int) -> np.ndarray:
    """Number the windows of a stream so that two windows have the same id if and only if they are equal.

    Windows of 1, 2, 4, ... values are numbered by the pairs of ids of their halves, as suffix arrays are built (Manber
    and Myers 1990, "Suffix arrays"): this takes log2 L sorts of n ids, and no window is written out.

    Parameters
    ----------
    stream : ndarray of shape (n_purchases,), float32
        One value per purchase.
    firsts : ndarray of shape (n_purchases,), int64
        Where in the stream the group of each begins: no window reaches back over it.
    seq_length : int
        L, 1 or more.

    Returns
    -------
    ndarray of shape (n_purchases,), int64
        Of the window of up to L values that ends with each purchase; 0 to one less than the number of different ones.
    """
    ids, length = np.unique(stream, return_inverse=True)[1], 1
    places = np.arange(len(stream))
    while length < seq_length:
        # The first half may overlap the second: both together still cover the window.
        shift = min(length, seq_length - length)
        before = places - shift
        # A window that ends at the beginning of its group has no first half, which is another thing than any half.
        earlier = np.where(before >= firsts, ids[before] + 1, 0)
        pairs = earlier * (ids.max() + 1) + ids
        ids, length = np.unique(pairs, return_inverse=True)[1], length + shift
    return ids


def validate_bounds(bounds: dict[str, tuple[int, int]], n_windows: int) -> None:
    """Raise ValueError unless the parts divide all windows among them, in order."""
    ends = [bound for part in PARTS for bound in bounds[part]]
    if ends != sorted(ends) or ends[0] != 0 or ends[-1] != n_windows:
        raise ValueError(f"bounds must divide {n_windows} windows (found {bounds})")
