"""Outputs that one process at a time replaces as a whole or not at all."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from boomerang.base.errors import ArtifactError, BusyError
from boomerang.base.files import sha256, sync_folder
from boomerang.base.links import check_link
from boomerang.base.ownership import check_is_ours
from boomerang.base.paths import LEFTOVERS, METADATA_FILE, OUTPUT_FOLDERS, REPLACED, STAGED

LOCK_FILE = ".lock"
# A run moves its outputs into place within milliseconds; so long a reader waits for it.
PATIENCE_SECONDS = 1.0


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to write new outputs into; when the body has ended well they take the place of those in `folder`.

    What the body wrote at its top level, files and whole subfolders, replaces what has the same name in `folder`; the
    rest of `folder` stays. The earlier metadata leaves first and the new comes last. So a process that is killed while
    its outputs move leaves none, and `read_output` says that the same command must be run again; one that fails then
    puts the earlier outputs back. What a killed run has left behind is never read, only cleared: other outputs may
    stand here since, of a checkout for one.

    Parameters
    ----------
    folder : Path
        Where the outputs shall lie; made if it is missing.

    Yields
    ------
    Path
        An empty folder inside `folder`.

    Raises
    ------
    BusyError
        If another process writes into `folder`.
    ArtifactError
        If there lies, where this writes or clears, what no run has written.
    OSError
        If `folder` or a folder in it cannot be written: found out now, not after the training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyError(f"{folder}: another run is writing here; start again when it has ended") from None
    staged = folder / STAGED
    try:
        with _naming(folder):
            check_is_ours(folder)
            _check_writable(folder)
            for name in LEFTOVERS:
                if (folder / name).exists():
                    shutil.rmtree(folder / name)
            staged.mkdir()
        try:
            yield staged
            with _naming(folder):
                _move_into_place(staged, folder)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
    finally:
        lock.release()


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Let an OSError name `folder` where it names nothing: some calls report a full or failing disk without a name."""
    try:
        yield
    except OSError as error:
        raise error if error.filename else OSError(error.errno, error.strerror, str(folder)) from error


def _check_writable(folder: Path) -> None:
    inside = [folder / name for name in OUTPUT_FOLDERS]
    # A link is replaced itself.
    for written in (folder, *(path for path in inside if path.is_dir() and not path.is_symlink())):
        tempfile.TemporaryFile(dir=written).close()


def _move_into_place(staged: Path, folder: Path) -> None:
    """Move each entry of `staged` to `folder`, all or, if a call fails, none."""
    replaced = folder / REPLACED
    # Metadata vouches for the rest: it comes last.
    names = sorted((path.name for path in staged.iterdir()), key=lambda name: (name == METADATA_FILE, name))
    replaced.mkdir()
    try:
        for name in reversed(names):
            if os.path.lexists(folder / name):
                os.replace(folder / name, replaced / name)  # noqa: PTH105 (tests let single calls of `os` fail)
        for name in names:
            os.replace(staged / name, folder / name)  # noqa: PTH105
        sync_folder(folder)
    except BaseException:
        _move_back(names, staged, folder)
        raise
    # The new outputs stand, whatever becomes of what is left to remove; the next run removes it.
    for path in (staged, replaced):
        shutil.rmtree(path, ignore_errors=True)


def _move_back(names: list[str], staged: Path, folder: Path) -> None:
    replaced = folder / REPLACED
    for name in reversed(names):
        if not os.path.lexists(staged / name):
            os.replace(folder / name, staged / name)  # noqa: PTH105
    for name in names:
        if os.path.lexists(replaced / name):
            os.replace(replaced / name, folder / name)  # noqa: PTH105
    shutil.rmtree(replaced)


def read_output(folder: Path, name: str, digest: str | None = None) -> bytes:
    """The bytes of `folder`/`name` of a finished run.

    While a run moves its outputs into place, this waits for it.

    Parameters
    ----------
    folder : Path
        Where `replacing` put it.
    name : str
        Its path in `folder`.
    digest : str, optional
        The SHA-256 it should have.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ArtifactError
        If it cannot be read, is a link that is not followed, has another SHA-256, or a run was interrupted while its
        outputs moved into place.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        # Looked for before and after: the moves may end, or begin, in between.
        is_moving = (folder / REPLACED).exists()
        try:
            return _read_once(folder, name, digest)
        except (ArtifactError, FileNotFoundError):
            if not is_moving and not (folder / REPLACED).exists():
                raise
        if time.monotonic() > deadline:
            raise ArtifactError(
                f"{folder}: a run was interrupted while its outputs moved into place: run the same command again"
            )
        time.sleep(0.01)


def _read_once(folder: Path, name: str, digest: str | None) -> bytes:
    path = folder / name
    check_link(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
    if digest is not None and sha256(content) != digest:
        raise ArtifactError(f"{path} is not the file that {METADATA_FILE} names: its SHA-256 differs; train again")
    return content
