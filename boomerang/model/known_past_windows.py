"""Windows of up to L purchases that were known when their target was made."""

from dataclasses import dataclass

import numpy as np
import torch

from boomerang.base.settings import MAX_LENGTH
from boomerang.model import tensors
from boomerang.model.window_inputs import WindowInputs, validate_bounds, window_ids


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


def validate(windows: KnownPastWindows) -> None:
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
    validate_bounds(windows.bounds, n_windows)
