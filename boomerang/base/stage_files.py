"""Files that an earlier stage wrote, read back as data from outside: checked before they are believed."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pyarrow import parquet
from pydantic import TypeAdapter, ValidationError

from boomerang.base.checks import describe_faults
from boomerang.base.errors import ArtifactError
from boomerang.base.links import check_link

Kind = TypeVar("Kind")


def read_artifact(path: Path) -> bytes:
    """The bytes of a file that an earlier stage wrote.

    Raises
    ------
    ArtifactError
        If it is missing, cannot be read, or is a link that `check_link` refuses.
    """
    check_link(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None


def sha256_of_artifact(path: Path) -> str:
    """The SHA-256 of a file that an earlier stage wrote, read piece by piece; raises what `read_artifact` does."""
    check_link(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None


def read_json(path: Path, kind: type[Kind]) -> Kind:
    """The content of a JSON file that an earlier stage wrote, read as `parse_json` does."""
    return parse_json(read_artifact(path), str(path), kind)


def parse_json(content: bytes, name: str, kind: type[Kind]) -> Kind:
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
    return validate_json(found, name, kind)


def validate_json(content: Any, name: str, kind: type[Kind]) -> Kind:
    """`content` as a value of the type `kind`; raises ArtifactError with its first fault."""
    with refusing_invalid(name):
        return TypeAdapter(kind).validate_python(content)


@contextmanager
def refusing_invalid(name: str) -> Iterator[None]:
    """Turn what breaks a rule of a type in the body into an ArtifactError with the first fault; `name` is the file."""
    try:
        yield
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


def read_table(path: Path, columns: list[str], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """The `columns` of a parquet file that an earlier stage wrote, and after them those of `optional` that it has.

    Raises
    ------
    ArtifactError
        If it is missing, damaged or without one of `columns`.
    """
    content = io.BytesIO(read_artifact(path))
    try:
        if optional:
            columns = [*columns, *(name for name in optional if name in parquet.read_schema(content).names)]
        table = parquet.read_table(content, columns=columns)
        # Text that is no UTF-8 would be found out only when it is looked at.
        table.validate(full=True)
        # What pandas noted of itself in the file could turn columns into an index.
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        if list(frame.columns) != columns:
            raise ValueError(f"it must hold the columns {columns} once each")
    except Exception as error:  # pyarrow and pandas raise whatever the damaged bytes lead them into
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{path} is not a table as its stage writes it: {reason}") from None
    return frame
