"""The device, CPU or GPU, and how it is made to give the same results in every run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
def predicting() -> Iterator[None]:
    """Let torch compute without gradients, and on this thread alone.

    A member is too small for a second thread to help, and its last bit would depend on how many there are. Besides, the
    threads that torch has started are gone in a forked process, which then waits for them for ever: a service loads a
    `Predictor` and forks. The number of threads that the caller has chosen is back when the context ends; torch keeps
    one for each thread of the caller.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(n_threads)
