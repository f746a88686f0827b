import os
import signal
import sys
import threading
import time

import psutil
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from boomerang.base.errors import TrainingError
from boomerang.base.execution import Execution
from boomerang.model.windows import cut_windows
from boomerang.training.batches import ShuffledBatches, WindowDataset
from boomerang.training.loaders import LoadedBatches, shuffled_loader
from boomerang.training.trainer import MemberTrainer
from tests.training.support import SETTINGS, some_windows

RETURNED = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1], dtype=torch.float32)
N_ROWS = {"train": 12, "val": 3, "test": 1}


def bits(seq_length=2):
    return cut_windows(RETURNED[:, None], RETURNED, N_ROWS, seq_length)


def pairs(seq_length=2):
    stream = torch.arange(32, dtype=torch.float32).reshape(16, 2)
    return cut_windows(stream, RETURNED, N_ROWS, seq_length)


def test_batches_cover_every_window_once_in_a_new_order_each_time():
    batches = ShuffledBatches(WindowDataset(pairs(), "train"), 4, torch.Generator().manual_seed(0))
    first, second = list(batches), list(batches)
    assert [len(batch.indices) for batch in first] == [4, 4, 2]
    assert len(batches) == 3
    indices = torch.cat([batch.indices for batch in first])
    assert sorted(indices.tolist()) == list(range(10))
    assert indices.tolist() != torch.cat([batch.indices for batch in second]).tolist()


def test_a_batch_of_windows_that_differ_holds_their_inputs_and_targets():
    dataset = WindowDataset(pairs(), "train")
    batch_indices = next(iter(ShuffledBatches(dataset, 4, torch.Generator().manual_seed(0))))
    batch = dataset[batch_indices]
    assert torch.equal(batch.inputs, dataset.windows.inputs[batch_indices.indices])
    assert torch.equal(batch.targets, dataset.targets[batch_indices.indices])
    assert batch.counts.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 100])
def test_merged_batches_hold_the_same_windows_as_plain_ones(batch_size):
    dataset = WindowDataset(bits(), "train")
    merged = list(ShuffledBatches(dataset, batch_size, torch.Generator().manual_seed(0)))
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    for batch_indices, indices in zip(merged, order.split(batch_size), strict=True):
        expected = {}
        for index in indices:
            expected.setdefault(tuple(dataset.windows.inputs[index].flatten().tolist()), []).append(
                dataset.targets[index]
            )
        batch = dataset[batch_indices]
        windows = [tuple(window.flatten().tolist()) for window in batch.inputs]
        assert sorted(windows) == sorted(expected)
        for window, target, count in zip(windows, batch.targets, batch.counts, strict=True):
            assert count == len(expected[window])
            assert target == pytest.approx(sum(expected[window]) / len(expected[window]))


def test_the_gradient_of_a_merged_batch_is_that_of_the_plain_batch():
    dataset = WindowDataset(bits(3), "train")
    batch_indices = next(iter(ShuffledBatches(dataset, len(dataset), torch.Generator().manual_seed(0))))
    merged = dataset[batch_indices]
    assert len(merged.inputs) < len(dataset)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    gradients = []
    every = dataset.gather(torch.arange(len(dataset))).inputs
    for inputs, targets, counts in (merged[:3], (every, dataset.targets, torch.ones(len(dataset)))):
        model.zero_grad()
        logits = model(inputs).squeeze(-1)
        binary_cross_entropy_with_logits(logits, targets, weight=counts, reduction="sum").backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("windows", [bits(2), pairs(2)])
def test_distinct_windows_stand_for_every_window(windows):
    dataset = WindowDataset(windows, "train")
    chosen, positions = dataset.distinct_windows()
    every, distinct = (dataset.gather(numbers).inputs for numbers in (torch.arange(len(dataset)), chosen))
    assert torch.equal(distinct[positions], every)
    assert len(torch.unique(distinct, dim=0)) == len(distinct)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("windows", [bits(2), pairs(2)])
def test_loader_processes_change_no_batch(windows):
    epochs = []
    for num_workers in (0, 2):
        generator = torch.Generator().manual_seed(5)
        loader = shuffled_loader(WindowDataset(windows, "train"), 3, generator, num_workers, prefetch_factor=4)
        assert isinstance(loader, LoadedBatches) == bool(num_workers)
        epochs.append([batch for _ in range(2) for batch in loader])
    assert len(epochs[0]) == 8
    for batch, other in zip(*epochs, strict=True):
        assert all(torch.equal(values, others) for values, others in zip(batch, other, strict=True))


def load(num_workers=2, batch_size=1):
    return iter(shuffled_loader(WindowDataset(pairs(), "train"), batch_size, torch.Generator(), num_workers))


ENDED = r"a process that loads batches ended .* --num_workers 0"


def kill_loaders():
    """Kill the processes that load, and stay long enough in this function for an error of a signal's to come up."""
    for process in psutil.Process().children():
        if process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loader_that_is_killed_ends_the_training_within_seconds():
    batches, began = load(), time.monotonic()
    next(batches)
    kill_loaders()
    with pytest.raises(TrainingError, match=ENDED):
        list(batches)
    assert time.monotonic() - began < 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["zero_grad", "add_gradient", "logits"])
def test_a_loader_that_is_killed_disturbs_no_step_and_ends_the_training_at_the_next_batch(monkeypatch, method):
    execution = Execution(jobs=1, num_workers=1, quiet=True, no_store=True)
    trainer = MemberTrainer(some_windows(), "time", SETTINGS.model_copy(update={"batch_size": 1}), execution)
    trainer.run_epoch()
    done = getattr(trainer.backend, method)

    def kill_and_do(*arguments):
        kill_loaders()
        monkeypatch.setattr(trainer.backend, method, done)
        return done(*arguments)

    monkeypatch.setattr(trainer.backend, method, kill_and_do)
    with pytest.raises(TrainingError, match=ENDED):
        [trainer.run_epoch() for _ in range(3)]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_load_change_no_reaction_to_the_end_of_a_child():
    before = signal.getsignal(signal.SIGCHLD)
    for batches in (load(), load()):
        next(batches)
        assert signal.getsignal(signal.SIGCHLD) == before


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("error", "shown"), [(ConnectionResetError(), False), (EOFError(), False), (RuntimeError("another"), True)]
)
def test_a_thread_that_serves_a_dead_loader_prints_no_traceback(capsys, error, shown):
    batches, hook = load(), sys.excepthook
    next(batches)
    # As Python's resource sharer does.
    thread = threading.Thread(target=lambda: sys.excepthook(type(error), error, None))
    thread.start()
    thread.join()
    assert bool(capsys.readouterr().err) == shown
    list(batches)
    assert sys.excepthook == hook


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_batches_are_loaded_in_a_thread_too():
    found = []
    thread = threading.Thread(target=lambda: found.extend(load()))
    thread.start()
    thread.join()
    assert len(found) == 10


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(104, "Connection reset by peer")])
def test_what_a_dead_loader_leaves_unread_ends_the_training(error):
    class Loader:
        def __iter__(self):
            raise error

    with pytest.raises(TrainingError, match=r"could not start \((its connection broke|.*reset by peer)\)"):
        list(LoadedBatches(Loader()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("shape", [(1, 2, 2), (1,)])
def test_too_little_shared_memory_ends_the_training_in_either_process(monkeypatch, shape):
    shared = torch.Tensor.share_memory_

    def share_memory(tensor):
        # A batch of windows is shared by the process that loads it, the indices of one by the process that asks for it.
        if tensor.shape == shape:
            raise RuntimeError(
                "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"
            )
        return shared(tensor)

    monkeypatch.setattr(torch.Tensor, "share_memory_", share_memory)
    with pytest.raises(TrainingError, match=r"No space left on device .28.\): .*--shm-size"):
        list(load())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loader_that_cannot_be_started_ends_the_training(monkeypatch):
    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(TrainingError, match=r"could not start .*Resource temporarily unavailable"):
        list(load())
