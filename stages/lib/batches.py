"""Batches of windows for training: shuffled, gathered at once, equal windows of a batch merged."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from stages.lib.windows import Windows


class Batch(NamedTuple):
    """Windows to train on together.

    Attributes
    ----------
    inputs : Tensor of shape (n, L, n_features), float32
        In the order of the batch, or, where equal windows are merged, each different window once.
    targets : Tensor of shape (n,), float32
        The share of returns, 0 to 1, among the windows that an input stands for.
    counts : Tensor of shape (n,), float32
        How many windows an input stands for.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor


class Picks(NamedTuple):
    """A batch before its inputs are gathered: their indices, each of shape (n,), in place of the windows."""

    indices: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor


def number_windows(stream: np.ndarray, seq_length: int) -> np.ndarray:
    """Numbers of the windows of `stream`, equal where and only where the windows are equal.

    Windows of 1, 2, 4, ... values are numbered by the pairs of numbers of their halves, as suffix arrays are built
    (Manber and Myers 1990, "Suffix arrays"): log2 L sorts of n numbers, with no window written out.

    Parameters
    ----------
    stream : ndarray of shape (n_rows,)
        One value per purchase.
    seq_length : int
        L, 1 to n_rows.

    Returns
    -------
    ndarray of shape (n_rows - L + 1,), int64
        0 to one less than the number of different windows.
    """
    numbers, length = np.unique(stream, return_inverse=True)[1], 1
    while length < seq_length:
        # The second half may overlap the first: both together still cover the window.
        shift = min(length, seq_length - length)
        pairs = numbers[:-shift] * (numbers.max() + 1) + numbers[shift:]
        numbers, length = np.unique(pairs, return_inverse=True)[1], length + shift
    return numbers


class WindowDataset(Dataset):
    """The windows of one part; a batch of them is fetched by one gather.

    Parameters
    ----------
    windows : Windows
        All windows of one length.
    part : {"train", "val", "test"}
        Which of them.
    """

    def __init__(self, windows: Windows, part: str) -> None:
        start, end = windows.bounds[part]
        self.inputs, self.targets = windows.inputs[start:end], windows.targets[start:end]
        self.numbers = None
        # Windows of the returned signal alone are strings of bits, many of which are equal.
        if windows.inputs.shape[2] == 1 and len(self):
            stream = torch.cat([self.inputs[:, 0, 0], self.inputs[-1, 1:, 0]])
            self.numbers = number_windows(stream.numpy(), windows.seq_length)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, picks: Picks) -> Batch:
        return Batch(self.inputs[picks.indices], picks.targets, picks.counts)

    def distinct(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The different inputs, and for each window which of them it is, of shape (n_windows,), int64."""
        if self.numbers is None:
            return self.inputs, torch.arange(len(self))
        _, first, which = np.unique(self.numbers, return_index=True, return_inverse=True)
        return self.inputs[torch.from_numpy(first)], torch.from_numpy(which)


class ShuffledBatches(Sampler[Picks]):
    """Batches that cover all windows of `dataset` once, in a new random order at each iteration.

    Where the dataset numbers its windows, those that are equal within a batch are merged: the sum of losses over the
    batch, and its gradient, are the same up to float rounding.
    """

    def __init__(self, dataset: WindowDataset, batch_size: int, generator: torch.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Picks]:
        # The whole order is drawn at once, so loader processes that fetch ahead draw nothing more.
        order = torch.randperm(len(self.dataset), generator=self.generator)
        if self.dataset.numbers is not None:
            yield from self._merge(order.numpy())
            return
        ones = torch.ones(self.batch_size)
        for indices in order.split(self.batch_size):
            yield Picks(indices, self.dataset.targets[indices], ones[: len(indices)])

    def _merge(self, order: np.ndarray) -> Iterator[Picks]:
        batch = np.arange(len(order)) // self.batch_size
        keys = batch * (self.dataset.numbers.max() + 1) + self.dataset.numbers[order]
        _, first, which, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        n_returned = np.bincount(which, weights=self.dataset.targets.numpy()[order])
        picks = (order[first], (n_returned / counts).astype(np.float32), counts.astype(np.float32))
        # Keys ascend, so the merged windows of one batch lie together.
        sizes = np.bincount(batch[first]).tolist()
        yield from map(Picks, *(torch.from_numpy(values).split(sizes) for values in picks))


class GatheredBatches:
    """What a `DataLoader` without processes of its own gives, without what that costs per batch."""

    def __init__(self, dataset: WindowDataset, batches: ShuffledBatches) -> None:
        self.dataset = dataset
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return map(self.dataset.__getitem__, self.batches)


def shuffled_loader(
    dataset: WindowDataset,
    batch_size: int,
    generator: torch.Generator,
    num_workers: int = 0,
    pin_memory: bool = False,
    prefetch_factor: int = 2,
) -> Iterable[Batch]:
    """Shuffled batches, in a new order at each iteration.

    `num_workers`, `pin_memory` and `prefetch_factor` change no batch.

    Parameters
    ----------
    generator : Generator
        Draws the order of each epoch.
    num_workers : int
        Processes that gather batches; 0 gathers in this one.
    pin_memory : bool
        Put batches into page-locked memory, for a faster way to the GPU.
    prefetch_factor : int
        Batches each process fetches ahead.
    """
    batches = ShuffledBatches(dataset, batch_size, generator)
    if not (num_workers or pin_memory):
        return GatheredBatches(dataset, batches)
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=batches,
        num_workers=num_workers,
        # Forked, the processes share the memory-mapped windows; joblib's workers would start them its own way.
        multiprocessing_context="fork" if num_workers else None,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor if num_workers else None,
        persistent_workers=num_workers > 0,
        # The loader draws a seed for its workers at each iteration: not from the generator that orders the batches.
        generator=torch.Generator().manual_seed(0),
    )
