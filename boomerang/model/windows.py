"""Windows of past purchases, each with its target: whether a purchase after them was returned.

In one stream of the whole shop a window is the L purchases before its target. Where each purchase has a past of its
own, it is the latest of its group that were known by then, up to L.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from boomerang.base.ensembles import PARTS, most_past
from boomerang.base.errors import ArtifactError
from boomerang.base.settings import MAX_LENGTH
from boomerang.model import tensors

# With a past of its own for each purchase, a length is used only if at least so many training windows are longer than
# the next shorter length: fewer tell a member nothing that the shorter one does not know.
MIN_LONGER_WINDOWS = 200
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


@dataclass(frozen=True)
class KnownPastWindows:
    """All windows of one length, each of up to L purchases that were known when its target was made.

    Attributes
    ----------
    stream : Tensor of shape (n_stream, n_features), float32
        Purchases in group order, in time order within each group.
    own : Tensor of shape (n_windows, n_features), float32, or (0, n_features)
        The last step of each window: the purchase that its target is of. Empty where windows end before it.
    starts : Tensor of shape (n_windows,), int32
        Where in the stream each window begins.
    n_steps : Tensor of shape (n_windows,), int16
        How many steps each window has, `own` included.
    targets, bounds, seq_length
        As of `Windows`.
    """

    stream: torch.Tensor
    own: torch.Tensor
    starts: torch.Tensor
    n_steps: torch.Tensor
    targets: torch.Tensor
    bounds: dict[str, tuple[int, int]]
    seq_length: int

    @classmethod
    def cut(
        cls,
        stream: np.ndarray,
        own: np.ndarray,
        spans: tuple[np.ndarray, np.ndarray],
        targets: np.ndarray,
        bounds: dict[str, tuple[int, int]],
        seq_length: int,
    ) -> "KnownPastWindows":
        """The windows of the latest purchases, up to `seq_length`, of each span of the stream.

        Parameters
        ----------
        stream, own, targets, bounds, seq_length
            As the attributes, as arrays.
        spans : (ndarray, ndarray) of shape (n_windows,), int
            Where in the stream the known past of each target begins and ends.
        """
        starts, ends = spans
        n_past = np.minimum(ends - starts, seq_length)
        return cls(
            torch.from_numpy(stream),
            torch.from_numpy(own),
            torch.from_numpy((ends - n_past).astype(np.int32)),
            torch.from_numpy((n_past + bool(len(own))).astype(np.int16)),
            torch.from_numpy(targets.astype(np.float32)),
            bounds,
            seq_length,
        )

    @property
    def n_features(self) -> int:
        """Features of a purchase."""
        return self.stream.shape[1]

    @property
    def width(self) -> int:
        """The most steps that a window may have."""
        return self.seq_length + self.n_own

    @property
    def n_own(self) -> int:
        """Steps of a window that are the purchase in question: 1 or 0."""
        return int(len(self.own) > 0)

    def gather(self, chosen: torch.Tensor) -> WindowInputs:
        """The windows of these numbers, of shape (n,), int64."""
        n_steps = self.n_steps[chosen].long()
        steps = torch.arange(self.width)
        inputs = torch.zeros((len(chosen), self.width, self.n_features))
        if len(self.stream):
            places = self.starts[chosen].long()[:, None] + steps  # (n, width)
            is_past = steps < (n_steps - self.n_own)[:, None]
            inputs[is_past] = self.stream[places[is_past]]
        if self.n_own:
            inputs[torch.arange(len(chosen)), n_steps - 1] = self.own[chosen]
        return WindowInputs(inputs, n_steps)

    def number_windows(self, first: int, end: int) -> np.ndarray | None:
        """As of `Windows`."""
        if self.n_features > 1 or first == end:
            return None
        n_steps = self.n_steps[first:end].numpy().astype(np.int64)
        if not n_steps.any():
            return np.zeros(end - first, dtype=np.int64)
        ids = window_ids(self.stream[:, 0].numpy(), self._firsts(), self.seq_length)
        numbers = np.zeros(end - first, dtype=np.int64)
        ends = self.starts[first:end].numpy().astype(np.int64) + n_steps
        # An empty window is like no other.
        numbers[n_steps > 0] = ids[ends[n_steps > 0] - 1] + 1
        return numbers

    def _firsts(self) -> np.ndarray:
        """Where in the stream the group of each purchase begins, as far as windows tell: of shape (n_stream,)."""
        # A window that is shorter than L begins with its group.
        begins = np.zeros(len(self.stream) + 1, dtype=np.int64)
        short = (self.n_steps < self.width).numpy()
        starts = self.starts.numpy()[short].astype(np.int64)
        begins[starts] = starts
        return np.maximum.accumulate(begins)[:-1]

    def to_bytes(self) -> bytes:
        """The content of a file for `read_windows`; its size grows with the number of purchases, not with L."""
        return tensors.save(vars(self))


AnyWindows = Windows | KnownPastWindows


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
            _validate_known_past(windows)
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
    _validate_bounds(windows.bounds, n_windows)


def _validate_bounds(bounds: dict[str, tuple[int, int]], n_windows: int) -> None:
    ends = [bound for part in PARTS for bound in bounds[part]]
    if ends != sorted(ends) or ends[0] != 0 or ends[-1] != n_windows:
        raise ValueError(f"bounds must divide {n_windows} windows (found {bounds})")


def _validate_known_past(windows: KnownPastWindows) -> None:
    """Raise ValueError unless `windows` is what `KnownPastWindows.cut` can make."""
    dtypes = {"stream": torch.float32, "own": torch.float32, "starts": torch.int32, "n_steps": torch.int16}
    found = {name: getattr(windows, name) for name in (*dtypes, "targets")}
    if not all(map(tensors.is_plain, found.values())):
        raise ValueError("stream, own, starts, n_steps and targets must be dense tensors on the CPU")
    if any(found[name].dtype != dtype for name, dtype in (*dtypes.items(), ("targets", torch.float32))):
        raise ValueError(
            f"tensors must be {dtypes} (found { ({name: tensor.dtype for name, tensor in found.items()}) })"
        )
    n_windows, length = len(windows.targets), windows.seq_length
    shapes = [tuple(found[name].shape) for name in ("starts", "n_steps", "targets")]
    if set(shapes) != {(n_windows,)} or windows.stream.ndim != 2 or windows.own.shape[1:] != windows.stream.shape[1:]:
        raise ValueError(f"starts, n_steps and targets must be of one length, own and stream of one width ({shapes})")
    if len(windows.own) not in (0, n_windows) or type(length) is not int or not 0 < length <= MAX_LENGTH:
        raise ValueError(f"own must be one of each window or none (found {len(windows.own)} of {n_windows})")
    n_past = windows.n_steps.long() - windows.n_own
    ends = windows.starts.long() + n_past
    if n_windows and (n_past.min() < 0 or n_past.max() > length or windows.starts.min() < 0):
        raise ValueError(f"n_steps must be 0 to L={length}, starts not negative")
    if n_windows and ends.max() > len(windows.stream):
        raise ValueError(f"windows must end within the stream (found {int(ends.max())} of {len(windows.stream)})")
    _validate_bounds(windows.bounds, n_windows)
