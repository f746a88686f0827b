"""Windows of past purchases, each with its target: whether a purchase after them was returned.

In one stream of the whole shop a window is the L purchases before its target. Where each purchase has a past of its
own, it is the latest of its group that were known by then, up to L.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from boomerang.base.ensembles import PARTS
from boomerang.base.errors import ArtifactError
from boomerang.model import known_past_windows, tensors
from boomerang.model.known_past_windows import KnownPastWindows
from boomerang.model.window_inputs import WindowInputs, validate_bounds, window_ids


@dataclass(frozen=True)
class Windows:
    """All windows of one length, each of L purchases in a row.

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

    @property
    def n_features(self) -> int:
        """Features of a purchase."""
        return self.inputs.shape[2]

    @property
    def width(self) -> int:
        """The most steps that a window has."""
        return self.inputs.shape[1]

    def gather(self, chosen: torch.Tensor) -> WindowInputs:
        """The windows of these numbers, of shape (n,), int64."""
        return WindowInputs.whole(self.inputs[chosen])

    def number_windows(self, first: int, end: int) -> np.ndarray | None:
        """Numbers of shape (end - first,), int64, which are the same for equal windows, from window `first` on.

        None for windows of several features, which are hardly ever equal.
        """
        # Windows of `returned` alone are strings of bits, many of which are equal.
        if self.n_features > 1 or first == end:
            return None
        inputs = self.inputs[first:end]
        stream = torch.cat([inputs[:, 0, 0], inputs[-1, 1:, 0]]).numpy()
        return window_ids(stream, np.zeros(len(stream), dtype=np.int64), self.width)[self.width - 1 :]

    def to_bytes(self) -> bytes:
        """The content of a file for `read_windows`; its size grows with the number of purchases, not with L."""
        # The purchases that the windows share are stored once, because torch saves the storage under a view.
        return tensors.save(vars(self))


AnyWindows = Windows | KnownPastWindows


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


def read_windows(path: Path) -> AnyWindows:
    """Read a file that `to_bytes` of windows made, memory-mapped, so that only what is used takes memory.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged or was not made by `to_bytes`.
    """
    windows: AnyWindows
    try:
        content = torch.load(path, weights_only=True, mmap=True)
        if "stream" in content:
            windows = KnownPastWindows(**content)
            known_past_windows.validate(windows)
        else:
            windows = Windows(**content)
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
    dtypes = {windows.inputs.dtype, windows.targets.dtype}
    if dtypes != {torch.float32} or windows.targets.shape != (n_windows,):
        raise ValueError(f"inputs and targets must be float32 and of one length (found {dtypes}, {n_windows})")
    if type(windows.seq_length) is not int or n_steps - windows.seq_length not in (0, 1):
        raise ValueError(f"inputs must be of L or L + 1 steps (found {n_steps} of L={windows.seq_length!r:.20})")
    validate_bounds(windows.bounds, n_windows)
