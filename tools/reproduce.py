"""Run the committed pipeline again from nothing, and see whether the same bytes come out (`make reproduce`)."""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from boomerang.base.checks import Section
from boomerang.base.errors import BoomerangError, SettingsError, exit_on_error
from boomerang.base.files import write_json
from boomerang.base.processes import die_with_parent
from tools.differences import Differences, compare_output, describe
from tools.machine import MACHINE_FILE, compare_machines, describe_machine, read_record
from tools.pipeline import LOCK, Pipeline, git_folders, is_inside, printed_by, read_options, tool_environment

# Of the caller's environment, what would lead git and DVC elsewhere.
NOT_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "DVC_ROOT", "DVC_STAGE")
# A day of local time apart at any moment, with other hash seeds, locales and user names: what depends on one of them
# differs. The clock too, where there is `faketime` (apt-get install faketime) to set it.
VARIED = {
    "TZ": ["Etc/GMT+12", "Etc/GMT-12"],
    "PYTHONHASHSEED": ["1", "2"],
    "LC_ALL": ["C", "C.UTF-8"],
    "LOGNAME": ["one", "other"],
    "USER": ["one", "other"],
}
CLOCKS: tuple[list[str], list[str]] = (["faketime", "-f", "+500d"], [])


class Options(Section):
    """The table `[tool.reproduce]` of `pyproject.toml`, which explains it."""

    requirements: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    vary: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default_factory=dict)
    derived: list[str] = Field(default_factory=list)


def clone(root: Path, folder: Path, cache_dir: Path | None = None) -> Path:
    """Clone HEAD of the git repository that `root` lies in into `folder`; where what `root` holds lies in it.

    Its DVC cache is `cache_dir`, by default an empty one of its own.
    """
    top, place = git_folders(root)
    # Git clones what has no commit yet without an error.
    printed_by(top, "git", "log", "-1")
    _run(["git", "clone", "--quiet", str(top), str(folder)], root)
    project = folder / place
    if not project.is_dir():
        raise SettingsError(f"{root} is not in git: its files are not in the last commit of {top}")
    _run(["dvc", "config", "--local", "cache.dir", str(cache_dir or project / ".dvc" / "cache")], project)
    return project


def rerun(root: Path, folder: Path, which: int, options: Options) -> Path:
    """Run the pipeline of HEAD in the new `folder` with an empty cache, in surroundings 0 or 1, which differ.

    Returns where in `folder` the project lies.
    """
    project = clone(root, folder)
    for path in Pipeline(project).inputs():
        # DVC itself fetches what has an address.
        if "://" not in path and not (project / path).exists():
            _copy_input(path, root, project)
    surroundings = {name: values[which] for name, values in (VARIED | options.vary).items()}
    clock = CLOCKS[which] if shutil.which("faketime") else []
    # Without --force an output that equals one of an earlier stage would be taken from the cache.
    command = [*clock, "dvc", "repro", "--force", "--no-run-cache"]
    _run(command, project, {"FAKETIME_DONT_FAKE_MONOTONIC": "1", **options.environment, **surroundings})
    return project


def _copy_input(path: str, root: Path, folder: Path) -> None:
    """Copy data that is not in git, or in DVC's cache alone, into the clone."""
    if not is_inside(root, path):
        raise SettingsError(f"{path} lies outside the repository, and so not in a clone: put it into data/")
    print(f"{path} is not in git: taken from here, as it is", file=sys.stderr)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if (root / path).is_dir() else shutil.copy)(root / path, folder / path)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a command that ends when this process is killed; what it prints is no result, and goes to stderr."""
    inherited = {name: value for name, value in tool_environment().items() if name not in NOT_INHERITED}
    variables, end_with_us = inherited | (environment or {}), partial(die_with_parent, os.getpid())
    done = subprocess.run(command, cwd=folder, env=variables, stdout=sys.stderr, preexec_fn=end_with_us)
    if done.returncode != 0:
        raise BoomerangError(f"`{' '.join(command[:2])}` failed in a clean clone of HEAD, for the reason above")


def reproduce(root: Path, n_runs: int, tolerance: float | None) -> bool:
    """Whether HEAD's pipeline, run from nothing, gives the same; prints how it compares.

    One run is compared with the committed `dvc.lock`, two with each other. Without a `tolerance` bytes must be the
    same; else numbers that differ by no more are taken for the same.
    """
    options = read_options(root, "reproduce", Options)
    with tempfile.TemporaryDirectory(prefix="boomerang-") as temporary:
        other = rerun(root, Path(temporary, "other"), 1, options)
        if n_runs == 2:
            one = rerun(root, Path(temporary, "one"), 0, options)
        else:
            cache_dir = (root / printed_by(root, "dvc", "cache", "dir").strip()).resolve()
            one = clone(root, Path(temporary, "one"), cache_dir)
        differing = _compare_locks(one, other)
        if not differing:
            return True
        if n_runs == 1:
            _run(["dvc", "checkout", "--quiet", "--allow-missing"], one)
        found: dict[str, Differences] = {}
        for path in differing:
            found |= compare_output(path, one, other, options.derived)
        print("\n".join(f"  {path}: {describe(differences)}" for path, differences in found.items()))
        if n_runs == 1:
            _print_machines(one, options)
    return tolerance is not None and _accept(list(found.values()), tolerance)


def _compare_locks(one: Path, other: Path) -> list[str]:
    """Print a verdict on each output by its hash, and which stage differs first; the outputs that are not the same."""
    here, there = Pipeline(one), Pipeline(other)
    verdicts = {}
    for stage, outs in here.outs.items():
        for path, digest in sorted(outs.items()):
            digests = {digest, there.outs[stage][path]}
            verdicts[stage, path] = "missing" if None in digests else "same" if len(digests) == 1 else "differs"
            print(f"{stage:<14} {path:<32} {verdicts[stage, path]}")
    recorded, found = here.inputs(), there.inputs()
    for path in [path for path, digest in recorded.items() if digest and digest != found[path]]:
        print(f"{path} is not what {LOCK} records: it was computed from another", file=sys.stderr)
    differing = [output for output, verdict in verdicts.items() if verdict != "same"]
    if differing:
        print(f"\n{differing[0][0]} differs first")
        return [path for _, path in differing]
    if (one / LOCK).read_bytes() != (other / LOCK).read_bytes():
        print(f"{LOCK} is not as a run writes it: `make status` says why", file=sys.stderr)
    print(f"{len(verdicts)} outputs, every byte the same")
    return []


def _print_machines(committed: Path, options: Options) -> None:
    """Print in what this machine differs from the one that made the committed lock."""
    recorded = read_record(committed / MACHINE_FILE)
    here = describe_machine(committed, options.requirements, Pipeline(committed).outputs_digest())
    if recorded.get("outputs") != here["outputs"]:
        print(f"\n{MACHINE_FILE} does not tell which machine made {LOCK}")
        return
    same = "the same in all that is recorded: code, settings or data differ (`make status`), or chance"
    lines = compare_machines(recorded, here) or [same]
    print("\n  ".join([f"\nthe machine that made {LOCK} / this one", *lines]))


def _accept(found: list[Differences], tolerance: float) -> bool:
    """Whether numbers alone differ, by no more than `tolerance`, and print it."""
    values = [value for differences in found for value in differences.values()]
    accepted = all(isinstance(value, float) and value <= tolerance for value in values)
    print(f"\n{'accepted' if accepted else 'not accepted'} with a tolerance of {tolerance:g}")
    return accepted


def record(root: Path) -> None:
    """Write `machine.json` anew where `dvc.lock` has other outputs than it is about."""
    options = read_options(root, "reproduce", Options)
    here = describe_machine(root, options.requirements, Pipeline(root).outputs_digest())
    path = root / MACHINE_FILE
    # What a merge left in two is no JSON, but ours.
    if path.exists() and b'"outputs"' not in path.read_bytes():
        raise SettingsError(f"{MACHINE_FILE} is no record of a machine and is not replaced: move it away")
    if read_record(path).get("outputs") != here["outputs"]:
        write_json(path, here)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.reproduce", description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, choices=(1, 2), default=1, help="2: compare two runs, not one and dvc.lock")
    parser.add_argument("--tolerance", type=float, help="take numbers that differ by no more for the same")
    parser.add_argument("--record", action="store_true", help=f"only renew {MACHINE_FILE}, if dvc.lock is new")
    return parser


def main(arguments: list[str]) -> None:
    """Read the flags and reproduce, or record."""
    parser, root = build_parser(), Path.cwd()
    flags = parser.parse_args(arguments)
    if flags.tolerance is not None and not 0 <= flags.tolerance < float("inf"):
        parser.error(f"--tolerance must be a number from 0 (found {flags.tolerance})")
    if flags.record and (flags.runs != 1 or flags.tolerance is not None):
        parser.error("--record reproduces nothing: --runs and --tolerance do not go with it")
    if flags.record:
        record(root)
        return
    changed = printed_by(root, "git", "status", "--porcelain", "--untracked-files=no", ".")
    if changed:
        print(f"not part of it, because it is not committed:\n{changed}", file=sys.stderr, end="")
    if not reproduce(root, flags.runs, flags.tolerance):
        sys.exit(1)


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
