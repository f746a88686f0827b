"""Files that are either whole or not there, and their hashes."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import parquet
from pydantic import TypeAdapter, ValidationError

from stages.lib.checks import describe_faults
from stages.lib.errors import ArtifactError


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


def read_artifact(path: Path) -> bytes:
    """The bytes of a file that an earlier stage wrote.

    Raises
    ------
    ArtifactError
        If it is missing, cannot be read, or is a link that leads out of its folder.
    """
    check_inside(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None


def sha256_of_artifact(path: Path) -> str:
    """The SHA-256 of a file that an earlier stage wrote, read piece by piece; raises what `read_artifact` does."""
    check_inside(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None


def check_inside(path: Path) -> None:
    """Refuse, with ArtifactError, a link that leads out of the folder it lies in."""
    try:
        inside = path.resolve().is_relative_to(path.parent.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ArtifactError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    if not inside:
        raise ArtifactError(f"{path} is a link that leads out of {path.parent}: it is not followed")


def read_json(path: Path, kind: Any) -> Any:
    """The content of a JSON file that an earlier stage wrote, read as `parse_json` does."""
    return parse_json(read_artifact(path), str(path), kind)


def parse_json(content: bytes, name: str, kind: Any) -> Any:
    """JSON as a value of the type `kind`, such as a `Section`.

    Raises
    ------
    ArtifactError
        If the bytes are no JSON, are JSON in which a key stands twice, or are not of `kind`.
    """
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} is not JSON: {error}") from None
    return check(found, name, kind)


def check(content: Any, name: str, kind: Any) -> Any:
    """`content` as a value of the type `kind`; raises ArtifactError with its first fault."""
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise ArtifactError(describe_faults(error, name)[0]) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; Python's reader would let the last of equal keys win."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:200]!r} stands twice")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """The `columns` of a parquet file that an earlier stage wrote.

    Raises
    ------
    ArtifactError
        If it is missing, damaged or without one of `columns`.
    """
    content = io.BytesIO(read_artifact(path))
    try:
        table = parquet.read_table(content, columns=columns)
        # Text that is no UTF-8 would be found out only when it is looked at.
        table.validate(full=True)
        # What pandas noted of itself in the file could turn columns into an index.
        frame = table.to_pandas(ignore_metadata=True)
        if list(frame.columns) != columns:
            raise ValueError(f"it must hold the columns {columns} once each")
    except Exception as error:  # pyarrow and pandas raise whatever the damaged bytes lead them into
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{path} is not a table as its stage writes it: {reason}") from None
    return frame


def sha256(content: bytes) -> str:
    """SHA-256 of `content` in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
