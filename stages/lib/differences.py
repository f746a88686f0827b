"""How far two versions of an output are apart: weights, figures, tables."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.lib.layout import PAGES

# In models_meta.json.
MEMBER_HASH = re.compile(r"ensembles\.\w+\.members\.\d+\.sha256")


@dataclass
class Difference:
    """How two files differ.

    Attributes
    ----------
    largest : float
        The largest absolute difference of two numbers, in the unit of the numbers.
    where : str
        Which number.
    others : list of str
        A line for each difference that is none of numbers.
    """

    largest: float = 0.0
    where: str = ""
    others: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = f"numbers differ by up to {self.largest:.3g} ({self.where})" if self.where else ""
        shown = [*self.others[:3], *([f"and {len(self.others) - 3} more"] if len(self.others) > 3 else [])]
        return "; ".join(filter(None, [numbers, *shown])) or "the values are equal, the bytes are not"


def list_files(path: Path) -> dict[str, Path]:
    """The files of an output, itself or all below it, by their names there; empty where it is missing."""
    if path.is_file():
        return {"": path}
    return {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}


def compare_outputs(path: str, one: Path, other: Path) -> dict[str, Difference]:
    """For each file of the output `path` that is not the same in the repositories `one` and `other`: how far apart."""
    here, there = list_files(one / path), list_files(other / path)
    if not here:
        return {path: Difference(others=["only its hash is known here, not its content"])}
    found = {}
    for name in sorted(here.keys() | there.keys()):
        file = f"{path}/{name}" if name else path
        if name not in here or name not in there:
            found[file] = Difference(others=["is only in one"])
        elif here[name].read_bytes() != there[name].read_bytes():
            found[file] = compare_files(here[name], there[name])
    return found


def compare_files(one: Path, other: Path) -> Difference:
    """What is different between two files of the same name, value by value where they can be read.

    Read are JSON, CSV, parquet and files of torch. The SHA-256 of a member in JSON is passed over: it differs where the
    member does, which is compared itself. So are pages that are made from `evaluation.json`, which is compared itself.
    """
    try:
        here, there = _values(one), _values(other)
    except Exception as error:  # whatever a reader makes of a damaged file
        return Difference(others=[f"cannot be read: {next(iter(str(error).splitlines()), type(error).__name__)}"])
    found = Difference(others=[f"{name} is only in one" for name in sorted(here.keys() ^ there.keys())])
    for name in [name for name in here if name in there]:
        _compare_values(name, here[name], there[name], found)
    return found


def _compare_values(name: str, here: Any, there: Any, found: Difference) -> None:
    one, other = np.asarray(here), np.asarray(there)
    if (one.dtype.kind == "b") != (other.dtype.kind == "b"):
        # A truth value is no number.
        found.others.append(f"{name} differs: {str(here)[:60]} / {str(there)[:60]}")
    elif one.shape != other.shape:
        found.others.append(f"{name} has the shape {one.shape} / {other.shape}")
    elif one.dtype.kind in "fiu" and other.dtype.kind in "fiu":
        # Equal infinities, and NaN in the same place, are no difference.
        equal = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            distance = np.where(equal, 0, np.abs(one.astype(np.float64) - other.astype(np.float64)))
        largest = float(np.where(np.isnan(distance), np.inf, distance).max(initial=0))
        if largest > found.largest:
            found.largest, found.where = largest, name
    elif not np.array_equal(one, other):
        shown = f"{str(here)[:60]} / {str(there)[:60]}" if one.ndim == 0 else f"{(one != other).sum()} of {one.size}"
        found.others.append(f"{name} differs: {shown}")


def _values(path: Path) -> dict[str, Any]:
    """The values in a file by their names."""
    if path.name in PAGES:
        return {}
    if path.suffix == ".json":
        return {name: value for name, value in _leaves(json.loads(path.read_text())) if not MEMBER_HASH.fullmatch(name)}
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        return {name: table[name].to_numpy() for name in table.columns}
    if path.suffix in (".pt", ".pth"):
        # Imported here: seconds that are spent only where a model differs.
        import torch

        found = dict(_leaves(torch.load(path, weights_only=True, map_location="cpu")))
        dtypes = {f"{name} dtype": str(value.dtype) for name, value in found.items() if isinstance(value, torch.Tensor)}
        # NumPy knows no bfloat16.
        return dtypes | {
            name: value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
            for name, value in found.items()
        }
    return {"content": path.read_bytes()}


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict | list) or not content:
        yield prefix, content
        return
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
