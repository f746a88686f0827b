"""What can go wrong through no fault of the code, and the exit code that tells it to a script."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
    """A training that cannot start or cannot go on."""

    exit_code = 5


@contextmanager
def exit_on_error(debug: bool = False) -> Iterator[None]:
    """Turn expected errors into one line on stderr and an exit code.

    Parameters
    ----------
    debug : bool
        Let the error through with its traceback.
    """
    try:
        yield
    except (BoomerangError, OSError) as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        if debug:
            raise
        print("interrupted", file=sys.stderr)
        sys.exit(130)
