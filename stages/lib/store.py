"""The member store: how far each member's training has come, filed under what it was computed from.

An entry is a folder named by the SHA-256 of everything that determines the member. It holds `checkpoint`, replaced
after every epoch, and `history.jsonl`, for people and for the progress display. Nothing in it is needed by anyone but
the next run, so the store can be deleted at any time.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import llvmlite
import numba
import numpy as np
import torch

from stages.lib import (
    adam,
    backends,
    batches,
    checkpoints,
    compiling,
    devices,
    forest,
    lstm,
    numerics,
    recurrence,
    tensors,
    training,
    windows,
)
from stages.lib.errors import ArtifactError
from stages.lib.files import sha256, sha256_of_artifact, write_atomic
from stages.lib.settings import TrainSettings
from stages.lib.sources import at_start

# The modules whose code decides what a member becomes.
SOURCES = {
    module.__name__: Path(module.__file__).resolve()
    for module in [
        *(adam, backends, batches, checkpoints, compiling, devices, forest),
        *(lstm, numerics, recurrence, tensors, training, windows),
    ]
}


def entry_name(windows_file: Path, ensemble: str, seq_length: int, settings: TrainSettings) -> str:
    """The SHA-256 of everything that determines a member: inputs, settings, code, libraries, machine.

    Parameters
    ----------
    windows_file : Path
        The file of its windows, of any size: it is not read into memory as a whole.
    ensemble : str
        Which ensemble it belongs to.
    seq_length : int
        L.
    settings : TrainSettings
        How it is trained.

    Raises
    ------
    ArtifactError
        If the file is missing, cannot be read, or is a link that leads out of its folder.
    """
    device = devices.choose_device(settings.use_gpu)
    determined_by = {
        "windows": sha256_of_artifact(windows_file),
        "ensemble": ensemble,
        "seq_length": seq_length,
        "settings": settings.model_dump(exclude={"use_gpu"}),
        "sources": {name: at_start()[path] for name, path in SOURCES.items()},
        "libraries": {
            **{library.__name__: library.__version__ for library in (torch, np, numba, llvmlite)},
            "cudnn": torch.backends.cudnn.version(),
        },
        "compiled": compiling.IS_AVAILABLE,
        "environment": {name: os.environ.get(name) for name in numerics.VARIABLES},
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    return sha256(json.dumps(determined_by, sort_keys=True).encode())


@dataclass(frozen=True)
class Entry:
    """What the store holds of one member.

    Attributes
    ----------
    folder : Path
        Where; made when it is first written to.
    """

    folder: Path

    @property
    def history_file(self) -> Path:
        """The figures of each epoch, a line of JSON each; `stages.lib.progress` writes and reads it."""
        return self.folder / "history.jsonl"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep other runs of the same member waiting: when it is their turn they find it done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / ".lock"):
            for left_over in self.folder.glob(".*.tmp"):
                left_over.unlink()
            yield

    def read(self) -> bytes | None:
        """The last checkpoint, None where there is none.

        Raises
        ------
        ArtifactError
            If it is not what was written, bit for bit.
        """
        path = self.folder / "checkpoint"
        try:
            digest, _, checkpoint = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if digest.decode("ascii", "replace") != sha256(checkpoint):
            raise ArtifactError(f"{path}: its SHA-256 differs")
        return checkpoint

    def write(self, checkpoint: bytes) -> None:
        """Put `checkpoint` in place of the last one."""
        write_atomic(self.folder / "checkpoint", sha256(checkpoint).encode() + b"\n" + checkpoint)
