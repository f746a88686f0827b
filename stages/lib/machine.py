"""The machine that computes: what a last bit can depend on."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from stages.lib.checks import Section
from stages.lib.errors import ArtifactError
from stages.lib.files import read_json
from stages.lib.numerics import INSTRUCTION_LIMITS

# Beside dvc.lock.
MACHINE_FILE = "machine.json"
CPUINFO = Path("/proc/cpuinfo")
# Instructions that torch and its libraries choose their code by.
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


class Machine(Section):
    """A machine.

    Attributes
    ----------
    cpu : str
        Its model.
    instructions : list of str
        Those of `INSTRUCTIONS` that it has.
    limits : dict of str to str
        What fp32 is limited to, as environment variables.
    system : str
        Operating system, architecture and C library.
    python : str
        Version.
    libraries : dict of str to str
        Installed version of each library that can change a byte.
    """

    cpu: str
    instructions: list[str]
    limits: dict[str, str]
    system: str
    python: str
    libraries: dict[str, str]


class RecordedMachine(Machine):
    """The machine that made what `dvc.lock` records; `outputs` is the `stages.lib.pipeline.outputs_digest` of that."""

    outputs: str


def read_record(path: Path) -> RecordedMachine | None:
    """The machine on record; None where there is none, or what a merge left is not one."""
    try:
        return read_json(path, RecordedMachine)
    except ArtifactError:
        return None


def this_machine(requirements: Path) -> Machine:
    """The machine that this runs on; `requirements` names the libraries."""
    cpuinfo = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return Machine(
        cpu=model[1] if model else platform.processor() or platform.machine(),
        instructions=[name for name in INSTRUCTIONS if flags and name in flags[1].split()],
        limits={name: os.environ.get(name, value) for name, value in INSTRUCTION_LIMITS.items()},
        system=" ".join((platform.system(), platform.machine(), *platform.libc_ver())).strip(),
        python=platform.python_version(),
        libraries={name: installed_version(name) or "not installed" for name in pins(requirements)},
    )


def compare_machines(one: Machine, other: Machine) -> list[str]:
    """A line for each thing in which they differ."""
    here, there = _flat(one.model_dump()), _flat(other.model_dump())
    return [
        f"{name}: {here.get(name, 'none')} / {there.get(name, 'none')}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]


def _flat(content: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= value
        else:
            found[name] = ", ".join(value) if isinstance(value, list) else value
    return found


def pins(requirements: Path) -> dict[str, str]:
    """Libraries and versions that a requirements file, and those that it includes, pin by `name==version`."""
    found = {}
    for line in requirements.read_text().splitlines():
        if included := re.match(r"-r\s+(\S+)", line):
            found |= pins(requirements.parent / included[1])
        elif pinned := re.match(r"([\w.-]+)==([^\s;#]+)", line):
            found[pinned[1]] = pinned[2]
    return found


def check_installed(requirements: Path) -> list[str]:
    """A line for each pinned library of which another version is installed, or none."""
    found = {name: installed_version(name) or "none" for name in pins(requirements)}
    return [
        f"{name}: {found[name]} is installed, {requirements.name} pins {version}"
        for name, version in pins(requirements).items()
        if found[name].partition("+")[0] != version
    ]


def installed_version(library: str) -> str | None:
    """The version that this Python would import, with what names a build (`2.13.0+cpu`); None for none."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
