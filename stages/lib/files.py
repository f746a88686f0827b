"""Files that are either whole or not there, and their hashes."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from stages.lib.errors import ArtifactError


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, are synced, renamed over `path`, and the folder is synced
    (the order that SQLite's "atomic commit" page gives its reasons for).

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; it names `path`, and the earlier `path` is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            try:
                _write_synced(descriptor, content)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)  # noqa: PTH105 (tests let single calls of `os` fail)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        sync_folder(path.parent)
    except OSError as error:
        # A full disk is reported without a name, a refused temporary file with its own.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_synced(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
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


def read_artifact(path: Path) -> bytes:
    """The bytes of a file that an earlier stage wrote.

    Raises
    ------
    ArtifactError
        If it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file that an earlier stage wrote; raises ArtifactError if it is missing or damaged."""
    try:
        return json.loads(read_artifact(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from None


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The parquet file that an earlier stage wrote.

    Raises
    ------
    ArtifactError
        If it is missing, damaged or without one of `columns`.
    """
    try:
        return pd.read_parquet(io.BytesIO(read_artifact(path)), columns=columns)
    except (ValueError, OSError, KeyError) as error:
        raise ArtifactError(f"{path} is not a table as its stage writes it: {error}") from None


def sha256(content: bytes) -> str:
    """SHA-256 of `content` in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
