"""How batches reach a member in training: gathered in its own process, or by processes that load ahead."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Sampler

from boomerang.base.errors import TrainingError
from boomerang.base.processes import die_with_parent
from boomerang.training.batches import Batch, BatchIndices, ShuffledBatches, WindowDataset

SharedTensors = TypeVar("SharedTensors", Batch, BatchIndices)


class GatheredBatches:
    """The batches of a `DataLoader` without worker processes, without what it costs per batch."""

    def __init__(self, dataset: WindowDataset, batches: ShuffledBatches) -> None:
        self.dataset = dataset
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return map(self.dataset.__getitem__, self.batches)


def share(batch: SharedTensors) -> SharedTensors:
    """The batch with its tensors in shared memory, where another process finds them.

    Python's queues would put them there from a thread of their own, which has nobody to tell that there is no room: the
    other process would wait for ever.
    """
    for tensor in batch:
        # torch does not annotate it: hence `no-untyped-call`.
        tensor.share_memory_()  # type: ignore[no-untyped-call]
    return batch


class SharedBatches(Sampler[BatchIndices]):
    """`batches` in shared memory, for processes that load."""

    def __init__(self, batches: ShuffledBatches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[BatchIndices]:
        return map(share, self.batches)


@contextmanager
def keeping_child_handler() -> Iterator[None]:
    """Put back how this process reacts to the end of a child, which torch changes when it starts its own.

    torch would raise wherever this process happens to be, in a step or in a callback from C, which swallows it. Without
    that, the next batch tells, at most five seconds later: torch also looks whether who shall bring it is alive.
    """
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        # Elsewhere than in the main thread torch leaves it alone, and nobody may set it.
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, handler)


@contextmanager
def hiding_lost_connections() -> Iterator[None]:
    """Print no traceback where a thread of Python's, which hands tensors to other processes, finds one of them dead.

    That a process has died is told by the next batch, in one line.
    """
    show = sys.excepthook

    def show_others(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        in_thread = threading.current_thread() is not threading.main_thread()
        if not (in_thread and isinstance(error, OSError | EOFError)):
            show(kind, error, traceback)

    sys.excepthook = show_others
    try:
        yield
    finally:
        sys.excepthook = show


@dataclass(frozen=True)
class LoadedBatches:
    """The batches of `loader`; raises TrainingError where a process that loads them has died or cannot go on."""

    loader: DataLoader[Batch]

    def __iter__(self) -> Iterator[Batch]:
        try:
            with hiding_lost_connections():
                with keeping_child_handler():
                    batches = iter(self.loader)
                yield from batches
        except (RuntimeError, OSError, EOFError) as error:
            # The last line is that of the error itself; those above tell where in torch it happened.
            reason = (str(error).strip() or "its connection broke").splitlines()[-1]
            raise TrainingError(
                f"a process that loads batches ended or could not start ({reason}): memory may be too small, or shared "
                "memory (/dev/shm; of a container --shm-size), which --num_workers 0 does without"
            ) from None


def shuffled_loader(
    dataset: WindowDataset,
    batch_size: int,
    generator: torch.Generator,
    num_workers: int = 0,
    pin_memory: bool = False,
    prefetch_factor: int = 2,
) -> Iterable[Batch]:
    """Load batches of shuffled windows, in a new order at each iteration.

    `num_workers`, `pin_memory` and `prefetch_factor` do not change what the batches hold.

    Parameters
    ----------
    generator : Generator
        Draws the order of each epoch.
    num_workers : int
        Processes that gather batches; 0 gathers in this process.
    pin_memory : bool
        Put batches into page-locked memory, from which they are copied to the GPU faster.
    prefetch_factor : int
        Batches each process fetches ahead.
    """
    batches = ShuffledBatches(dataset, batch_size, generator)
    if not (num_workers or pin_memory):
        return GatheredBatches(dataset, batches)
    parent = os.getpid()
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=SharedBatches(batches) if num_workers else batches,
        collate_fn=share if num_workers else None,
        num_workers=num_workers,
        # Forked processes share the memory-mapped windows. A joblib worker has another way to start processes.
        multiprocessing_context="fork" if num_workers else None,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor if num_workers else None,
        persistent_workers=num_workers > 0,
        # By itself it would find out within seconds, or by what it cannot read any more, with a traceback.
        worker_init_fn=(lambda _: die_with_parent(parent)) if num_workers else None,
        # The loader draws a seed for its workers at each iteration, which must not change the order of the batches.
        generator=torch.Generator().manual_seed(0),
    )
    return LoadedBatches(loader)
