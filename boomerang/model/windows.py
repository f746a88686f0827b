"""Windows of L consecutive purchases, each with its target: whether the purchase right after them was returned."""

from dataclasses import dataclass
from pathlib import Path

import torch

from boomerang.base.ensembles import PARTS, most_past
from boomerang.base.errors import ArtifactError
from boomerang.model import tensors

# The ladder offers a length only if the training rows hold at least this many windows that do not overlap.
MIN_DISJOINT_WINDOWS = 200


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


@dataclass(frozen=True)
class Windows:
    """All windows of one length.

    Attributes
    ----------
    inputs : Tensor of shape (n_windows, n_steps, n_features), float32
        A strided view over the stream of purchases that have enough before them: window i holds the purchases i to
        i + n_steps - 1 of it. `n_steps` is L, or L + 1 if the window ends with the purchase that the target is of.
    targets : Tensor of shape (n_windows,), float32
        0 or 1: whether purchase i + L of that stream was returned.
    bounds : dict of str to (int, int)
        First window and end of `train`, `val` and `test`: a window belongs to the part of its target.
    seq_length : int
        L, the past purchases in a window.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    bounds: dict[str, tuple[int, int]]
    seq_length: int

    def to_bytes(self) -> bytes:
        """The content of a file for `read_windows`; its size grows with the number of purchases, not with L."""
        # The purchases that the windows share are stored once, because torch saves the storage under a view.
        return tensors.save(vars(self))


def cut_windows(
    stream: torch.Tensor,
    returned: torch.Tensor,
    n_rows: dict[str, int],
    seq_length: int,
    n_steps: int | None = None,
    n_past: int | None = None,
) -> Windows:
    """Cut a stream of purchases into all its windows of `seq_length`.

    Parameters
    ----------
    stream : Tensor of shape (n_rows, n_features), float32
        Features of each purchase, in time order.
    returned : Tensor of shape (n_rows,), float32
        0 or 1.
    n_rows : dict of str to int
        Rows of each part, which follow each other in time; `train` must have more than `n_past`.
    seq_length : int
        L, past purchases per window.
    n_steps : int, optional
        Purchases per window: L (the default), or L + 1, which includes the purchase that the target is of.
    n_past : int, optional
        Purchases before the target of the first window: L (the default), or more, and then no window reaches back to
        the first purchases.
    """
    n_past = n_past or seq_length
    # A copy, because torch saves all of the storage under a view.
    stream = stream[n_past - seq_length :].clone() if n_past > seq_length else stream.contiguous()
    n_features, stride = stream.shape[1], stream.stride(0)
    n_windows = len(stream) - seq_length
    inputs = stream.as_strided((n_windows, n_steps or seq_length, n_features), (stride, stride, 1))
    bounds: dict[str, tuple[int, int]] = {}
    end = -n_past
    for part in PARTS:
        start, end = max(end, 0), end + n_rows[part]
        bounds[part] = (start, end)
    return Windows(inputs, returned[n_past:], bounds, seq_length)


def read_windows(path: Path) -> Windows:
    """Read a file that `Windows.to_bytes` made, memory-mapped, so that only what is used takes memory.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged or was not made by `Windows.to_bytes`.
    """
    try:
        windows = Windows(**torch.load(path, weights_only=True, mmap=True))
        _validate(windows)
    except Exception as error:  # damaged bytes can make torch raise any exception
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{path} does not hold windows: {reason}") from None
    return windows


def _validate(windows: Windows) -> None:
    """Raise ValueError unless `windows` is what `cut_windows` can make."""
    if not (tensors.is_plain(windows.inputs) and tensors.is_plain(windows.targets)):
        raise ValueError("inputs and targets must be dense tensors on the CPU")
    n_windows, n_steps, _ = windows.inputs.shape
    ends = [bound for part in PARTS for bound in windows.bounds[part]]
    dtypes = {windows.inputs.dtype, windows.targets.dtype}
    if dtypes != {torch.float32} or windows.targets.shape != (n_windows,):
        raise ValueError(f"inputs and targets must be float32 and of one length (found {dtypes}, {n_windows})")
    if type(windows.seq_length) is not int or n_steps - windows.seq_length not in (0, 1):
        raise ValueError(f"inputs must be of L or L + 1 steps (found {n_steps} of L={windows.seq_length!r:.20})")
    if ends != sorted(ends) or ends[0] != 0 or ends[-1] != n_windows:
        raise ValueError(f"bounds must divide {n_windows} windows (found {windows.bounds})")
