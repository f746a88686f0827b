"""What we ask of the system for our processes: to begin and end well, and to keep the memory they reuse."""

import ctypes
import os
import signal
import sys

from boomerang.base.errors import exit_on_missing_library
from boomerang.base.numerics import fix_environment

STDERR = 2
PR_SET_PDEATHSIG = 1
# Parameters of glibc's mallopt.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def begin() -> None:
    """Prepare a process that has just started: called before what takes long to import.

    On Windows it ends at once, with a line that says why: there a training would fail where it writes its first file. A
    closed stdin, stdout or stderr is opened on nothing: the next file that is opened would take its place and get
    what is meant for the console. Ctrl-C ends the process without a traceback, until `exit_on_error` takes over, and so
    does a library that is missing, as where no environment is activated. The numeric environment is fixed, which
    libraries read when they are imported.
    """
    if sys.platform == "win32":
        sys.exit("error: Boomerang needs Linux or macOS: Windows lacks calls that it writes files by (WSL has them)")
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 (for as long as the process lives)
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    exit_on_missing_library()
    fix_environment()


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to kill this process when its parent ends; elsewhere do nothing.

    DVC killed with -9 leaves the stage's process running, and a stage its workers: they would go on beside the next
    run's.

    Parameters
    ----------
    parent : int, optional
        The parent's process number, where it is known for sure: it may have ended before this call.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = parent or os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before the request was made.
        os.kill(os.getpid(), signal.SIGKILL)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next use; with another C library do nothing.

    An LSTM in training takes its workspace anew at every step. glibc hands blocks of that size back to the system and
    gets them again page by page: 33,000 page faults a step at batch 1024 and L = 24.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # A glibc that refuses the first would, with the second alone, map every larger block anew.
    if mallopt and mallopt(M_MMAP_THRESHOLD, 1 << 30):
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def give_freed_memory_back() -> None:
    """Hand what `keep_freed_memory` kept back to the system; with another C library do nothing.

    joblib takes a process that has grown by 300 MB from task to task for one that leaks, warns, and starts another.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim:
        malloc_trim(0)
