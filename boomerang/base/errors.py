"""What can go wrong through no fault of the code, and the exit code that tells it to a script."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from boomerang.base.paths import IS_INSTALLED, ROOT
from boomerang.base.wording import reword


class BoomerangError(ValueError):
    """An error whose message alone tells a person what to change."""

    exit_code = 1


class SettingsError(BoomerangError):
    """Settings or flags that cannot be used."""

    exit_code = 2


class DataError(BoomerangError):
    """A purchase history that cannot be read or is too short."""

    exit_code = 3


class ArtifactError(BoomerangError):
    """Artifacts that are missing, damaged or not ours."""

    exit_code = 4


class TrainingError(BoomerangError):
    """A training that cannot go on."""

    exit_code = 5


class BusyError(BoomerangError):
    """Outputs that another process is writing."""

    exit_code = 6


class ChangedError(BoomerangError):
    """Sources, settings or inputs that changed while something was computed from them."""

    exit_code = 7


@contextmanager
def about(what: object) -> Iterator[None]:
    """Put `what`, such as a file, in front of the message of a DataError in the body, which does not know it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from None


@contextmanager
def exit_on_error(debug: bool = False) -> Iterator[None]:
    """Turn errors into lines on stderr and an exit code; SIGTERM ends the body as Ctrl-C does.

    Parameters
    ----------
    debug : bool
        Let the error through with its traceback; the environment variable `BOOMERANG_DEBUG` does the same.
    """
    # Python's own reaction to SIGTERM is to vanish, with temporary files and workers left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            yield
        finally:
            _flush_results()
    except (Exception, KeyboardInterrupt) as error:
        if debug or os.environ.get("BOOMERANG_DEBUG"):
            raise
        if isinstance(error, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        if isinstance(error, BrokenPipeError):
            # Whoever reads the results has seen enough.
            sys.exit(1)
        if missing := _explain_missing(error):
            print(f"error: {missing}", file=sys.stderr)
        elif isinstance(error, BoomerangError | OSError):
            print(f"error: {reword(str(error))}", file=sys.stderr)
        else:
            # Not foreseen: the kind of error is all that a person can look up.
            print(f"error: {type(error).__name__}: {error} (--debug or BOOMERANG_DEBUG=1 shows where)", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 1))


def exit_on_missing_library() -> None:
    """From now on let the import of a library that is missing end the program with one line, not a traceback."""
    sys.excepthook = _explain_or_show


def _explain_or_show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Python's hook for an error that nobody caught: one line for a missing library, else the traceback."""
    missing = None if os.environ.get("BOOMERANG_DEBUG") else _explain_missing(error)
    if missing:
        print(f"error: {missing}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _explain_missing(error: BaseException) -> str | None:
    """What to do where a library cannot be imported, in one line; None for any other error."""
    # That a module of ours cannot be imported is a fault of the code.
    ours = ("", "boomerang", "stages", "tools", "tests")
    if not isinstance(error, ImportError) or (error.name or "").partition(".")[0] in ours:
        return None
    activate = ROOT / ".venv" / "bin" / "activate"
    if IS_INSTALLED:
        how = "install the package boomerang-returns again"
    elif activate.exists():
        how = f"activate the environment first, `source {activate}`"
    else:
        how = "`make` installs what is needed"
    return f"{error} for {sys.executable}: {how} (BOOMERANG_DEBUG=1 shows where)"


def _flush_results() -> None:
    """Find out now whether stdout takes what was printed; Python would try at the very end, with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
