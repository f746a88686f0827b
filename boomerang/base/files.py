"""Files that are written whole or not at all, and their hashes."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` as `writing` does."""
    with writing(path) as write:
        write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes pieces to `path`, of which a reader sees the old content or the new one, never a part.

    The bytes go to a temporary file in the same folder, are synced, renamed over `path`, and the folder is synced
    (the order that SQLite's "atomic commit" page gives its reasons for).

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; it names `path`, and the earlier `path` is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        try:
            yield partial(_write_all, path, descriptor)
            with _naming(path):
                _finish(descriptor)
        finally:
            os.close(descriptor)
        with _naming(path):
            os.replace(temporary, path)  # noqa: PTH105 (tests let single calls of `os` fail)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    with _naming(path):
        sync_folder(path.parent)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an OSError name `path`: a full disk is reported without a name, a temporary file with its own."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_all(path: Path, descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    with _naming(path):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _finish(descriptor: int) -> None:
    # mkstemp makes files only their owner can read; artifacts follow the umask like any other output.
    umask = os.umask(0)
    os.umask(umask)
    os.fchmod(descriptor, 0o666 & ~umask)
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` last beyond a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Add a line to `path` by one short write, which a reader sees whole or not at all.

    Raises
    ------
    OSError
        If the disk is full; it names `path`.
    """
    try:
        with path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` as sorted, indented JSON; NaN and infinity are refused with ValueError."""
    text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def sha256(content: bytes) -> str:
    """SHA-256 of `content` in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
