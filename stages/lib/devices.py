"""Where a member trains and in which precision, and whether this machine can."""

import torch

from stages.lib.errors import SettingsError
from stages.lib.lstm import MemberLSTM

AUTOCAST_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(use_gpu: bool) -> torch.device:
    """CUDA when `use_gpu` asks for it and there is one, else the CPU."""
    return torch.device("cuda" if use_gpu and torch.cuda.is_available() else "cpu")


def repeat_exactly(device: torch.device) -> None:
    """Let a GPU compute the same in every run, and fp32 as fp32: cuDNN shortens it to 10 bits (TF32) by default."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which matrix products run in `precision`; weights and sums stay float32."""
    return torch.autocast(device.type, AUTOCAST_DTYPES[precision], enabled=precision != "fp32")


def check_precision(precision: str, device: torch.device) -> None:
    """Run one forward and backward step of a tiny model in `precision`.

    Raises
    ------
    SettingsError
        If this machine cannot train in `precision` on `device`, with the reason.
    """
    if precision == "fp16" and device.type == "cpu":
        raise SettingsError("precision fp16 needs a GPU (found none in use): choose fp32 or bf16, or use_gpu on one")
    try:
        model = MemberLSTM(1, 4, 1).to(device)
        inputs = torch.zeros(2, 3, 1, device=device)
        with autocast(device, precision):
            loss = model(inputs).sum()
            computed_in = model.lstm(inputs)[0].dtype
        loss.backward()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"precision {precision} does not run on {device.type} here: {reason}") from None
    # Autocast has its own idea of what an LSTM computes in: torch has known a cuDNN whose LSTMs took float16 for bf16,
    # where small gradients vanish without loss scaling.
    if computed_in != AUTOCAST_DTYPES[precision]:
        raise SettingsError(f"precision {precision} does not run on {device.type} here: an LSTM takes {computed_in}")
