"""Where a member trains and in which precision, and whether this machine can."""

import torch

from stages.lib.errors import SettingsError
from stages.lib.lstm import MemberLSTM

AUTOCAST_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(use_gpu: bool) -> torch.device:
    """CUDA when `use_gpu` asks for it and there is one, else the CPU."""
    return torch.device("cuda" if use_gpu and torch.cuda.is_available() else "cpu")


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
        with autocast(device, precision):
            loss = model(torch.zeros(2, 3, 1, device=device)).sum()
        loss.backward()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"precision {precision} does not run on {device.type} here: {reason}") from None
