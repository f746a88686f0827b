"""The device, CPU or GPU, and how it is made to give the same results in every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


def choose_device(use_gpu: bool) -> torch.device:
    """CUDA if `use_gpu` asks for it and there is a GPU, else the CPU."""
    return torch.device("cuda" if use_gpu and torch.cuda.is_available() else "cpu")


def make_deterministic(device: torch.device) -> None:
    """Make a GPU compute the same in every run, and fp32 in full precision."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        # By default, cuDNN shortens the factors of fp32 products to 10 bits (TF32).
        torch.backends.cudnn.allow_tf32 = False


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on the calling thread alone until the context ends; other threads keep their number.

    A process that is forked inherits OpenMP's memory of its pool of threads, but not the threads: it would wait for
    them for ever. With one thread there is nobody to wait for, and no pool comes into being. `torch.set_num_threads`
    would do more than that: a thread that meets torch meanwhile would keep one thread for good.
    """
    # A thread that meets torch for the first time is given torch's number of threads, which would undo the limit.
    torch.get_num_threads()
    with _openmp().limit(limits=1):
        yield


@cache
def _openmp() -> ThreadpoolController:
    """The OpenMP libraries of this process; to look for them takes 10 ms, to limit them 10 microseconds."""
    return ThreadpoolController().select(user_api="openmp")
