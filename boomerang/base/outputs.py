"""Outputs that one process at a time replaces as a whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from boomerang.base.errors import ArtifactError, BusyError
from boomerang.base.files import sha256, sync_folder
from boomerang.base.links import check_link
from boomerang.base.paths import METADATA_FILE, OUTPUT_FOLDERS

LOCK_FILE = ".lock"
# A new set of outputs in the making; the same, finished, on its way into place; the files it replaces.
STAGED, PUBLISHING, REPLACED = ".staged", ".publishing", ".replaced"


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to write new outputs into; when the body has ended well they take the place of those in `folder`.

    What the body wrote at its top level, files and whole subfolders, replaces what has the same name in `folder`; the
    rest of `folder` stays. Renaming the finished outputs to `.publishing` decides: killed before it, the earlier
    outputs stand untouched; killed after it, `read_output` finds the new ones there until the next run has moved them
    into place.

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
    OSError
        If `folder` or a folder in it cannot be written: found out now, not after the training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyError(f"{folder}: another run is writing here; start again when it has ended") from None
    staged, publishing = folder / STAGED, folder / PUBLISHING
    try:
        _check_writable(folder)
        if publishing.exists():
            _move_into_place(publishing, folder)
        if staged.exists():
            shutil.rmtree(staged)
        staged.mkdir()
        try:
            yield staged
            os.replace(staged, publishing)  # noqa: PTH105 (tests let single calls of `os` fail)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        sync_folder(folder)
        _move_into_place(publishing, folder)
    except OSError as error:
        # Some calls report a full or failing disk without a name.
        raise error if error.filename else OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        lock.release()


def _check_writable(folder: Path) -> None:
    inside = [folder / name for name in OUTPUT_FOLDERS]
    # A link is replaced itself.
    for written in (folder, *(path for path in inside if path.is_dir() and not path.is_symlink())):
        tempfile.TemporaryFile(dir=written).close()


def _move_into_place(publishing: Path, folder: Path) -> None:
    """Move each entry of `publishing` to `folder`, folders first; an interrupted call can be made again."""
    replaced = folder / REPLACED
    if replaced.exists():
        shutil.rmtree(replaced)
    replaced.mkdir()
    for path in sorted(publishing.iterdir(), key=lambda path: (path.is_file(), path.name)):
        target = folder / path.name
        if target.is_dir():
            # A folder that holds files cannot be replaced in one step; meanwhile the new one is read where it is.
            os.replace(target, replaced / path.name)  # noqa: PTH105
        os.replace(path, target)  # noqa: PTH105
    sync_folder(folder)
    publishing.rmdir()
    shutil.rmtree(replaced)


def read_output(folder: Path, name: str, digest: str | None = None) -> bytes:
    """The bytes of `folder`/`name` of a finished run, also while, or after a kill while, it moves into place.

    Parameters
    ----------
    folder : Path
        Where `replacing` put it.
    name : str
        Its path in `folder`.
    digest : str, optional
        The SHA-256 it should have. What a killed run left half-way may be newer than, or, after a checkout, older than
        what lies in place: the one with this digest is read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ArtifactError
        If it cannot be read, is a link that is not followed, or has another SHA-256.
    """
    found = False
    for path in (folder / PUBLISHING / name, folder / name):
        try:
            check_link(path)
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
        if digest is None or sha256(content) == digest:
            return content
        found = True
    if found:
        raise ArtifactError(
            f"{folder / name} is not the file that {METADATA_FILE} names: its SHA-256 differs; train again"
        )
    raise FileNotFoundError(f"{folder / name} does not exist")
