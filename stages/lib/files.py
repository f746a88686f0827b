"""Files that are either whole or not there, and their hashes."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, are synced, renamed over `path`, and the folder is synced
    (the order that SQLite's "atomic commit" page gives its reasons for).

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; the earlier `path` is intact then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files only their owner can read; artifacts follow the umask like any other output.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as sorted, indented JSON; NaN and infinity are refused with ValueError."""
    text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def remove_others(folder: Path, pattern: str, keep: set[str]) -> None:
    """Remove the files in `folder` that match the glob `pattern` and whose names are not in `keep`.

    A run with fewer sequence lengths must not leave an earlier run's members beside its own.
    """
    for path in folder.glob(pattern):
        if path.name not in keep:
            path.unlink()


def sha256(content: bytes) -> str:
    """SHA-256 of `content` in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
