"""The machine that computes: what a last bit can depend on."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from boomerang.base.errors import ArtifactError
from boomerang.base.numerics import INSTRUCTION_LIMITS
from boomerang.base.stage_files import read_json

# Beside dvc.lock.
MACHINE_FILE = "machine.json"
CPUINFO = Path("/proc/cpuinfo")
# Instructions that torch and its libraries choose their code by.
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
# What `machine.json` holds.
Machine = dict[str, str | list[str] | dict[str, str]]


def read_record(path: Path) -> Machine:
    """The machine on record; empty where there is none. A file with merge-conflict markers is not a valid record."""
    try:
        machine: Machine = read_json(path, Machine)
    except ArtifactError:
        return {}
    return machine


def describe_machine(root: Path, requirements: str | None, outputs: str) -> Machine:
    """The machine that this runs on.

    Parameters
    ----------
    root : Path
        The repository.
    requirements : str or None
        The file in it that pins the libraries whose versions can change a byte.
    outputs : str
        The digest of the outputs that the machine has made.
    """
    cpuinfo = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    pins = read_pins(root / requirements) if requirements else {}
    return {
        "outputs": outputs,
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if flags and name in flags[1].split()],
        # What fp32 is limited to.
        "limits": {name: os.environ.get(name, value) for name, value in INSTRUCTION_LIMITS.items()},
        "system": " ".join((platform.system(), platform.machine(), *platform.libc_ver())).strip(),
        "python": platform.python_version(),
        "libraries": {name: installed_version(name) or "not installed" for name in pins},
    }


def compare_machines(one: Machine, other: Machine) -> list[str]:
    """A line for each thing in which they differ."""
    here, there = _flatten(one), _flatten(other)
    names = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    return [f"{name}: {here.get(name, 'none')} / {there.get(name, 'none')}" for name in names]


def _flatten(machine: Machine) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in machine.items():
        found |= value if isinstance(value, dict) else {name: value if isinstance(value, str) else ", ".join(value)}
    return found


def read_pins(requirements: Path) -> dict[str, str]:
    """Libraries and versions that a requirements file, and those that it includes, pin by `name==version`."""
    found: dict[str, str] = {}
    for line in requirements.read_text().splitlines():
        if included := re.match(r"-r\s+(\S+)", line):
            found |= read_pins(requirements.parent / included[1])
        elif pinned := re.match(r"([\w.-]+)==([^\s;#]+)", line):
            found[pinned[1]] = pinned[2]
    return found


def check_installed(requirements: Path) -> list[str]:
    """A line for each pinned library of which another version is installed, or none."""
    found = {name: (installed_version(name) or "none", pinned) for name, pinned in read_pins(requirements).items()}
    return [
        f"{name}: {installed} is installed, {requirements.name} pins {pinned}"
        for name, (installed, pinned) in found.items()
        if installed.partition("+")[0] != pinned
    ]


def installed_version(library: str) -> str | None:
    """The version that this Python would import, with what names a build (`2.13.0+cpu`); None for none."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
