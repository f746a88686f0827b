"""Saved tensors from outside: read as data, and checked against what is expected before they are believed."""

import io
import zipfile
from typing import Any

import torch

from stages.lib.errors import ArtifactError

# What a file holds besides its tensors: names, shapes, zip headers.
OVERHEAD_BYTES = 1 << 20


def save(content: Any) -> bytes:
    """The bytes of a file for `load`; the same content gives the same bytes."""
    # torch.save puts a file's name into the bytes: hence the buffer.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load(content: bytes, name: str, expected: dict[str, torch.Tensor], n_more_bytes: int = 0) -> Any:
    """What the bytes of `save` hold, on the CPU; nothing is unpickled but tensors and plain values.

    Parameters
    ----------
    content : bytes
        The file.
    name : str
        What messages call it.
    expected : dict of str to Tensor
        Tensors as large as those in it.
    n_more_bytes : int
        What it may hold besides them, above the megabyte that names and shapes may take.

    Raises
    ------
    ArtifactError
        If the bytes are damaged, hold anything else, or unpack to far more than tensors like `expected`.
    """
    try:
        # Compressed, a small file could unpack to more than the memory holds.
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(content)).infolist())
        if unpacked > sum(tensor.nbytes for tensor in expected.values()) + OVERHEAD_BYTES + n_more_bytes:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than its tensors need")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damaged bytes lead it into
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{name} is not a readable state dict: {reason}") from None


def check(state: Any, name: str, expected: dict[str, torch.Tensor]) -> None:
    """Refuse anything but plain, finite tensors of the keys, shapes and dtypes of `expected`, on whatever device.

    Raises
    ------
    ArtifactError
        With the key, what it must be and what was found.
    """
    if not isinstance(state, dict) or set(state) != set(expected):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ArtifactError(f"{name}: expected the keys {sorted(expected)} (found {str(found)[:200]!r})")
    for key, tensor in expected.items():
        found = state[key]
        rule = f"{tensor.dtype} {tuple(tensor.shape)}"
        described = f"{found.dtype} {tuple(found.shape)}" if is_plain(found) else _describe_kind(found)
        if described != rule:
            raise ArtifactError(f"{name}: {key} must be {rule} (found {described[:200]})")
        if not torch.isfinite(found).all():
            raise ArtifactError(f"{name}: {key} holds a value that is not finite")


def is_plain(value: Any) -> bool:
    """Whether it is a dense tensor on the CPU, and of no subclass."""
    dense = type(value) is torch.Tensor and value.layout == torch.strided and not value.is_nested
    return dense and value.device.type == "cpu"


def _describe_kind(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return f"{type(value).__name__}, {value.layout}, {value.device}{', nested' if value.is_nested else ''}"
