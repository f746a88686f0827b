"""CPU or GPU."""

import torch


def choose_device(use_gpu: bool) -> torch.device:
    """CUDA when `use_gpu` asks for it and there is one, else the CPU."""
    return torch.device("cuda" if use_gpu and torch.cuda.is_available() else "cpu")


def repeat_exactly(device: torch.device) -> None:
    """Let a GPU compute the same in every run, and fp32 as fp32: cuDNN shortens it to 10 bits (TF32) by default."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False
