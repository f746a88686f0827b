"""Saved tensors: read as data, and checked against what is expected before they are used."""

import io
import zipfile
from typing import Any, TypeGuard

import torch

from boomerang.base.errors import ArtifactError

# The most that names, shapes and zip headers take in a file besides its tensors.
OVERHEAD_BYTES = 1 << 20


def save(content: object) -> bytes:
    """The bytes of a file for `load`; the same content gives the same bytes."""
    # Given a path, torch.save would put the file's name into the bytes.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load(content: bytes, name: str, expected: dict[str, torch.Tensor], n_extra_bytes: int = 0) -> Any:
    """Read what `save` wrote, onto the CPU; only tensors and plain values are unpickled.

    Parameters
    ----------
    content : bytes
        Content of the file.
    name : str
        What error messages call the file.
    expected : dict of str to Tensor
        Tensors of the sizes that the file should hold.
    n_extra_bytes : int
        Bytes that the file may hold besides these tensors, above the megabyte that names and shapes may take.

    Raises
    ------
    ArtifactError
        If the bytes are damaged, hold anything else, or unpack to far more than tensors like `expected`.
    """
    try:
        # A small compressed file could unpack to more than the memory holds.
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(content)).infolist())
        if unpacked > sum(tensor.nbytes for tensor in expected.values()) + OVERHEAD_BYTES + n_extra_bytes:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than its tensors need")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can make torch raise any exception
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{name} is not a readable state dict: {reason}") from None


def validate_state(state: object, name: str, expected: dict[str, torch.Tensor]) -> None:
    """Refuse anything but plain, finite tensors with the keys, shapes and dtypes of `expected`.

    Parameters
    ----------
    state : object
        What `load` returned.
    name : str
        What error messages call the file.
    expected : dict of str to Tensor
        The tensors may be on any device.

    Raises
    ------
    ArtifactError
        Says the key, what it must be and what was found.
    """
    if not isinstance(state, dict) or set(state) != set(expected):
        keys = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ArtifactError(f"{name}: expected the keys {sorted(expected)} (found {str(keys)[:200]!r})")
    for key, tensor in expected.items():
        found = state[key]
        rule = f"{tensor.dtype} {tuple(tensor.shape)}"
        described = f"{found.dtype} {tuple(found.shape)}" if is_plain(found) else _describe_kind(found)
        if described != rule:
            raise ArtifactError(f"{name}: {key} must be {rule} (found {described[:200]})")
        if not torch.isfinite(found).all():
            raise ArtifactError(f"{name}: {key} holds a value that is not finite")


def is_plain(value: object) -> TypeGuard[torch.Tensor]:
    """Whether the value is a dense tensor on the CPU, and not of a subclass of `Tensor`."""
    if type(value) is not torch.Tensor:
        return False
    return value.layout == torch.strided and not value.is_nested and value.device.type == "cpu"


def _describe_kind(value: object) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return f"{type(value).__name__}, {value.layout}, {value.device}{', nested' if value.is_nested else ''}"
