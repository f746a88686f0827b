"""The member store, which keeps how far the training of each member has come.

An entry is a folder named by the SHA-256 of everything that determines the member. It holds `checkpoint`, which is
replaced after every epoch, and `history.jsonl`, for people and for the progress display. Only later runs read the
store, to save time, so it can be deleted between runs.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import llvmlite
import numba
import numpy as np
import torch

from boomerang.base import numerics
from boomerang.base.errors import ArtifactError
from boomerang.base.files import sha256, write_atomic
from boomerang.base.paths import PACKAGE, ROOT
from boomerang.base.settings import TrainSettings
from boomerang.base.sources import at_start
from boomerang.base.stage_files import sha256_of_artifact
from boomerang.model import devices, kernels

# The files whose code determines a member, by their paths in the repository.
SOURCES = {
    path.relative_to(ROOT).as_posix(): path
    for path in [
        *sorted((PACKAGE / "model").glob("*.py")),
        *sorted((PACKAGE / "training").glob("*.py")),
        PACKAGE / "base" / "numerics.py",
    ]
}
# What to do where the default cannot be written: a container may have nothing writable but the outputs.
ANOTHER_STORE = (
    "--store or BOOMERANG_STORE names another folder, --no_store or BOOMERANG_NO_STORE=true trains without one"
)


def entry_name(windows_file: Path, ensemble: str, seq_length: int, settings: TrainSettings) -> str:
    """The SHA-256 of everything that determines a member: inputs, settings, code, libraries, machine.

    Parameters
    ----------
    windows_file : Path
        The file of its windows. It may be of any size, because it is not read into memory as a whole.
    ensemble : str
        The ensemble that the member belongs to.
    seq_length : int
        L.
    settings : TrainSettings
        How the member is trained.

    Raises
    ------
    ArtifactError
        If the file is missing, cannot be read, or is a link that is not followed.
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
            # torch does not annotate `version`: hence `no-untyped-call`.
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        },
        "compiled": kernels.IS_AVAILABLE,
        "environment": numerics.read_environment(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    return sha256(json.dumps(determined_by, sort_keys=True).encode())


@dataclass(frozen=True)
class Entry:
    """The folder of one member in the store.

    Attributes
    ----------
    folder : Path
        Created when the entry is first reserved.
    """

    folder: Path

    @property
    def history_file(self) -> Path:
        """The figures of each epoch, a line of JSON each; `boomerang.training.progress` writes and reads it."""
        return self.folder / "history.jsonl"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Make other runs of the same member wait until the context ends; they then find the member done.

        A run that has to wait says so on stderr. The system frees the lock of a run that has ended, however it ended.

        Raises
        ------
        OSError
            If the store cannot be written; it says how to name another one.
        """
        lock = filelock.FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            print(f"waiting for another run, which trains the same member: {self.folder}", file=sys.stderr, flush=True)
            lock.acquire()
        except OSError as error:
            reason = f"the member store cannot be written ({error.strerror}): {ANOTHER_STORE}"
            raise OSError(error.errno, reason, str(self.folder)) from None
        try:
            for leftover in self.folder.glob(".*.tmp"):
                leftover.unlink()
            yield
        finally:
            lock.release()

    def read(self) -> bytes | None:
        """The last checkpoint, or None if there is none.

        Raises
        ------
        ArtifactError
            If the checkpoint is not what was written, bit for bit.
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
        """Replace the last checkpoint by `checkpoint`."""
        write_atomic(self.folder / "checkpoint", sha256(checkpoint).encode() + b"\n" + checkpoint)
