"""Batches of windows for training: shuffled, each gathered at once, with equal windows of a batch merged."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from boomerang.model.window_inputs import WindowInputs
from boomerang.model.windows import AnyWindows


class Batch(NamedTuple):
    """Windows to train on together.

    Attributes
    ----------
    inputs : Tensor of shape (n, L, n_features), float32
        The windows of the batch in its order, or each different window once if equal windows are merged.
    targets : Tensor of shape (n,), float32
        The share of returns, 0 to 1, among the windows that an input stands for.
    counts : Tensor of shape (n,), float32
        How many windows an input stands for.
    n_steps : Tensor of shape (n,), int64
        How many steps each input has, up to L.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor
    n_steps: torch.Tensor


class BatchIndices(NamedTuple):
    """A batch whose inputs are not gathered yet: all fields have shape (n,), `indices` stand for the inputs."""

    indices: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor


class WindowDataset(Dataset[Batch]):
    """The windows of one part, of which a whole batch is fetched by one gather.

    Parameters
    ----------
    windows : Windows or KnownPastWindows
        All windows of one length.
    part : {"train", "val", "test"}
        The part that the dataset holds.

    Attributes
    ----------
    window_ids : ndarray of shape (n_windows,), int64, or None
        The same number for equal windows. None for windows of several features, which are hardly ever equal.
    """

    def __init__(self, windows: AnyWindows, part: str) -> None:
        self.windows, (self.first, end) = windows, windows.bounds[part]
        self.targets = windows.targets[self.first : end]
        self.window_ids = windows.number_windows(self.first, end)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, batch: BatchIndices) -> Batch:
        inputs, n_steps = self.gather(batch.indices)
        return Batch(inputs, batch.targets, batch.counts, n_steps)

    def gather(self, indices: torch.Tensor) -> WindowInputs:
        """What members read of windows, by their numbers within the part."""
        return self.windows.gather(indices + self.first)

    def distinct_windows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Leave out repeated windows.

        Returns
        -------
        chosen : Tensor of shape (n_distinct,), int64
            The number of each different window, once.
        positions : Tensor of shape (n_windows,), int64
            Where each window is in `chosen`.
        """
        if self.window_ids is None:
            return torch.arange(len(self)), torch.arange(len(self))
        _, first, positions = np.unique(self.window_ids, return_index=True, return_inverse=True)
        return torch.from_numpy(first), torch.from_numpy(positions)


class ShuffledBatches(Sampler[BatchIndices]):
    """Batches that cover all windows of `dataset` once, in a new random order at each iteration.

    If the dataset has window ids, equal windows of a batch are merged. The sum of losses over the batch and its
    gradient stay the same up to float rounding.
    """

    def __init__(self, dataset: WindowDataset, batch_size: int, generator: torch.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[BatchIndices]:
        # The whole order is drawn at once, so loader processes that fetch ahead draw nothing more.
        order = torch.randperm(len(self.dataset), generator=self.generator)
        if self.dataset.window_ids is not None:
            yield from self._merged_batches(order.numpy(), self.dataset.window_ids)
            return
        ones = torch.ones(self.batch_size)
        for indices in torch.split(order, self.batch_size):
            yield BatchIndices(indices, self.dataset.targets[indices], ones[: len(indices)])

    def _merged_batches(self, order: NDArray[np.int64], window_ids: NDArray[np.intp]) -> Iterator[BatchIndices]:
        batch_numbers = np.arange(len(order)) // self.batch_size
        keys = batch_numbers * (window_ids.max() + 1) + window_ids[order]
        _, first, positions, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        n_returned = np.bincount(positions, weights=self.dataset.targets.numpy()[order])
        fields = (order[first], (n_returned / counts).astype(np.float32), counts.astype(np.float32))
        # Keys ascend, so the merged windows of one batch lie together.
        sizes = np.bincount(batch_numbers[first]).tolist()
        yield from map(BatchIndices, *(torch.split(torch.from_numpy(values), sizes) for values in fields))
