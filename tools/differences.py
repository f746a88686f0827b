"""How far two versions of an output are apart: weights, figures, tables."""

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# By the name of each value that differs: the largest absolute difference of its numbers, or in words how it differs.
Differences = dict[str, float | str]


def compare_output(path: str, one: Path, other: Path, derived: Sequence[str] = ()) -> dict[str, Differences]:
    """For each file of the output `path` that is not the same in the repositories `one` and `other`: how far apart.

    `derived` are patterns of files, or of values in them as `file:value`, that are made from what is compared itself.
    """
    here, there = _list_files(one, path), _list_files(other, path)
    if not here:
        return {path: {"": "the content of one version is not here"}}
    found: dict[str, Differences] = {}
    for name in sorted(here | there):
        if name not in here & there:
            found[name] = {"": "is only in one"}
        elif (one / name).read_bytes() != (other / name).read_bytes():
            patterns = [pattern.partition(":") for pattern in derived]
            passed_over = [values or "*" for files, _, values in patterns if fnmatch(name, files)]
            found[name] = compare_files(one / name, other / name, passed_over)
    return found


def _list_files(root: Path, path: str) -> set[str]:
    """The files of an output, itself or all below it, by their paths in the repository at `root`."""
    files = [root / path, *(root / path).rglob("*")]
    return {file.relative_to(root).as_posix() for file in files if file.is_file()}


def compare_files(one: Path, other: Path, passed_over: Sequence[str] = ()) -> Differences:
    """What is different between two files, value by value; names that match a pattern of `passed_over` are left out."""
    try:
        here, there = _read_values(one), _read_values(other)
    except Exception as error:  # whatever a reader makes of a damaged file
        return {"": f"cannot be read: {next(iter(str(error).splitlines()), type(error).__name__)}"}
    found: Differences = {name: f"{name} is only in one" for name in sorted(here.keys() ^ there.keys())}
    for name in [name for name in here if name in there]:
        if not any(fnmatch(name, pattern) for pattern in passed_over):
            found[name] = _compare_values(name, here[name], there[name])
    return {name: difference for name, difference in found.items() if difference}


def _compare_values(name: str, here: Any, there: Any) -> float | str:
    """The largest distance of two numbers, or what else is different in words; 0 where nothing is."""
    one, other = np.asarray(here), np.asarray(there)
    if one.shape != other.shape:
        return f"{name} has the shape {one.shape} / {other.shape}"
    if {one.dtype.kind, other.dtype.kind} <= set("fiu"):
        # Equal infinities, and NaN in the same place, are no difference.
        equal = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            distance = np.where(equal, 0, np.abs(one.astype(np.float64) - other.astype(np.float64)))
        return float(np.where(np.isnan(distance), np.inf, distance).max(initial=0))
    # A truth value is no number.
    if one.dtype.kind == other.dtype.kind and np.array_equal(one, other):
        return 0.0
    return f"{name} differs: " + (
        f"{(one != other).sum()} of {one.size}" if one.ndim else f"{here!s:.60} / {there!s:.60}"
    )


def describe(differences: Differences) -> str:
    """The largest difference of numbers and the first of the others, on a line."""
    numbers = [(number, name) for name, number in differences.items() if isinstance(number, float)]
    others = [words for words in differences.values() if isinstance(words, str)]
    said = ["numbers differ by up to {:.3g} ({})".format(*max(numbers))] if numbers else []
    said += [*others[:3], *([f"and {len(others) - 3} more"] if len(others) > 3 else [])]
    return "; ".join(said) or "the values are equal, the bytes are not"


def _read_values(path: Path) -> dict[str, Any]:
    """The values in a file by their names: of JSON, CSV, parquet and files of torch; else its bytes."""
    if path.suffix == ".json":
        return dict(_leaves(json.loads(path.read_text())))
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        return {str(name): table[name].to_numpy() for name in table.columns}
    return _read_tensors(path) if path.suffix in (".pt", ".pth") else {"content": path.read_bytes()}


def _read_tensors(path: Path) -> dict[str, Any]:
    # Imported here: seconds that are spent only where a model differs.
    import torch

    found = dict(_leaves(torch.load(path, weights_only=True, map_location="cpu")))
    for name, value in [*found.items()]:
        if isinstance(value, torch.Tensor):
            # NumPy knows no bfloat16.
            found |= {name: value.double() if value.is_floating_point() else value, f"{name} dtype": str(value.dtype)}
    return found


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict | list) or not content:
        yield prefix, content
        return
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
