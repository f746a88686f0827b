"""The pipeline as `dvc.yaml` tells it and `dvc.lock` records it."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.lib.errors import SettingsError
from stages.lib.yaml_file import read_yaml


@dataclass(frozen=True)
class LockedStage:
    """What `dvc.lock` records of one stage: the hash of each dependency and of each output, by its path."""

    deps: dict[str, str]
    outs: dict[str, str]


def read_lock(path: Path) -> dict[str, LockedStage]:
    """The stages of a `dvc.lock`, in its order.

    Raises
    ------
    SettingsError
        If it is missing, or not what DVC writes.
    """
    content, faults = read_yaml(path)
    try:
        if faults:
            raise ValueError(faults[0])
        return {
            name: LockedStage(*(_hashes(stage.get(kind, [])) for kind in ("deps", "outs")))
            for name, stage in content["stages"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SettingsError(f"{path} is not what DVC writes: {error!r}") from None


def _hashes(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["path"]: entry[entry.get("hash", "md5")] for entry in entries}


def outputs_digest(lock: dict[str, LockedStage]) -> str:
    """One SHA-256 for all outputs that a lock records: that of code which gives the same outputs is the same."""
    outputs = sorted(pair for stage in lock.values() for pair in stage.outs.items())
    return hashlib.sha256(repr(outputs).encode()).hexdigest()


def tool_environment() -> dict[str, str]:
    """This process's environment, in which `dvc` and `python` are those of this Python, activated or not."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def read_definition(path: Path) -> dict[str, dict[str, Any]]:
    """The stages of a `dvc.yaml` as they are written there; raises SettingsError as `read_lock` does."""
    content, faults = read_yaml(path)
    if faults or not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise SettingsError(faults[0] if faults else f"{path} must hold stages")
    return content["stages"]


def compare_locks(
    stages: list[str], one: dict[str, LockedStage], other: dict[str, LockedStage]
) -> list[tuple[str, str, str]]:
    """For each output: stage, path, and `same`, `differs` or `missing`; in the order of `stages` of `dvc.yaml`.

    A stage of a matrix is in a lock as `name@item`. One of `stages` that is in neither lock is `missing` as a whole.
    """
    found = {name: [] for name in stages}
    for name in [*one, *(name for name in other if name not in one)]:
        found.setdefault(name.partition("@")[0], []).append(name)
    rows = []
    for stage, names in found.items():
        if not names:
            rows.append((stage, "", "missing"))
        for name in names:
            here, there = (lock[name].outs if name in lock else {} for lock in (one, other))
            for path in sorted(here.keys() | there.keys()):
                both = path in here and path in there
                rows.append((name, path, ("same" if here[path] == there[path] else "differs") if both else "missing"))
    return rows


def changed_inputs(one: dict[str, LockedStage], other: dict[str, LockedStage]) -> list[str]:
    """What no stage makes and two locks record in different versions."""
    here, there = (
        {path: found for stage in lock.values() for path, found in stage.deps.items()} for lock in (one, other)
    )
    made = {path for stage in one.values() for path in stage.outs}
    return sorted(path for path in here.keys() & there.keys() - made if here[path] != there[path])


def check_lock(lock: dict[str, LockedStage]) -> list[str]:
    """A line for each output that a later stage depends on in another version."""
    made = {path: (name, found) for name, stage in lock.items() for path, found in stage.outs.items()}
    return [
        f"{name}: made from another {path} than {made[path][0]} has written since"
        for name, stage in lock.items()
        for path, found in stage.deps.items()
        if path in made and made[path][1] != found
    ]
