"""The device, CPU or GPU, and how it is made to give the same results in every run."""

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
