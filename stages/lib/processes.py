"""Processes that do not outlive the one that needs them."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


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
