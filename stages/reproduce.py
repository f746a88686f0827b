"""Run the committed pipeline again from nothing, and see whether the same bytes come out (`make reproduce`)."""

if __name__ == "__main__":
    from stages.lib.processes import begin

    begin()

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from stages.lib.differences import Difference, compare_outputs
from stages.lib.errors import BoomerangError, SettingsError, exit_on_error
from stages.lib.files import write_json
from stages.lib.layout import REQUIREMENTS_FILE
from stages.lib.machine import MACHINE_FILE, RecordedMachine, compare_machines, read_record, this_machine
from stages.lib.pipeline import (
    changed_inputs,
    compare_locks,
    outputs_digest,
    read_definition,
    read_lock,
    tool_environment,
)
from stages.lib.processes import die_with_parent
from stages.lib.sources import ROOT

LOCK = "dvc.lock"
# Of the caller's environment, what would lead git and DVC elsewhere.
NOT_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "DVC_ROOT", "DVC_STAGE")
# A day of local time apart at any moment, with other hash seeds, workers, locales and user names: what depends on one
# of them differs. The clock too, where there is `faketime` (apt-get install faketime) to set it.
SURROUNDINGS = (
    {"TZ": "Etc/GMT+12", "PYTHONHASHSEED": "1", "BOOMERANG_JOBS": "1", "LC_ALL": "C", "LOGNAME": "one", "USER": "one"},
    {
        "TZ": "Etc/GMT-12",
        "PYTHONHASHSEED": "2",
        "BOOMERANG_JOBS": "2",
        "LC_ALL": "C.UTF-8",
        "LOGNAME": "other",
        "USER": "other",
    },
)


def clone(folder: Path, cache_dir: Path) -> None:
    """HEAD as a repository of its own in `folder`, its DVC cache in `cache_dir`."""
    _run(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    _run(["dvc", "config", "--local", "cache.dir", str(cache_dir)], folder)


def rerun(folder: Path, surroundings: dict[str, str], clock: str | None = None) -> None:
    """Run the pipeline of HEAD in `folder`, with an empty cache, without a member store.

    Parameters
    ----------
    folder : Path
        Is made.
    surroundings : dict of str to str
        Environment variables.
    clock : str, optional
        How far the clock is set forward, as `faketime` writes it, where that is installed.

    Raises
    ------
    BoomerangError
        If a stage fails there, or an input lies where a clone cannot have it.
    """
    clone(folder, folder / ".dvc" / "cache")
    lock = read_lock(folder / LOCK)
    made = {path for stage in lock.values() for path in stage.outs}
    for path in {path for stage in lock.values() for path in stage.deps} - made:
        if not (folder / path).exists():
            _copy_input(path, folder)
    command = ["dvc", "repro", "--force", "--no-run-cache"]
    if clock and shutil.which("faketime"):
        command = ["faketime", "-f", clock, *command]
    # Without --force an output that equals one of an earlier stage would be taken from the cache.
    _run(command, folder, {"BOOMERANG_NO_STORE": "true", "FAKETIME_DONT_FAKE_MONOTONIC": "1", **surroundings})


def _copy_input(path: str, folder: Path) -> None:
    """Data that is not in git, or in DVC's cache alone, into the clone."""
    # The name, not what it leads to: DVC may keep data as a link into a cache elsewhere.
    if not Path(os.path.normpath(ROOT / path)).is_relative_to(ROOT):
        raise SettingsError(f"{path} lies outside the repository, and so not in a clone: put it into data/")
    if not (ROOT / path).exists():
        raise SettingsError(f"{path} is neither in git nor here: nothing can be computed from it")
    print(f"{path} is not in git: taken from here, as it is", file=sys.stderr)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, folder / path)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    inherited = {name: value for name, value in tool_environment().items() if name not in NOT_INHERITED}
    # Results alone go to stdout.
    # Killed with -9, this process would leave it running.
    end_with_us = partial(die_with_parent, os.getpid())
    variables = inherited | (environment or {})
    done = subprocess.run(command, cwd=folder, env=variables, stdout=sys.stderr, preexec_fn=end_with_us)
    if done.returncode != 0:
        raise BoomerangError(f"`{' '.join(command[:2])}` failed in a clean clone of HEAD, for the reason above")


def _printed(*command: str) -> str:
    return subprocess.check_output(command, cwd=ROOT, env=tool_environment(), text=True)


def reproduce(n_runs: int, tolerance: float | None) -> bool:
    """Run HEAD's pipeline from nothing, compare what comes out, and print how it compares.

    Parameters
    ----------
    n_runs : {1, 2}
        1 compares with the committed `dvc.lock`, 2 two runs with each other.
    tolerance : float or None
        Numbers that differ by no more are taken for the same; None: bytes must be the same.

    Returns
    -------
    bool
        Whether it is the same.
    """
    with tempfile.TemporaryDirectory(prefix="boomerang-") as temporary:
        one, other = Path(temporary, "one"), Path(temporary, "other")
        rerun(other, SURROUNDINGS[1])
        if n_runs == 2:
            rerun(one, SURROUNDINGS[0], clock="+500d")
        else:
            clone(one, (ROOT / _printed("dvc", "cache", "dir").strip()).resolve())
        return _compare(one, other, tolerance, with_lock=n_runs == 1)


def _compare(one: Path, other: Path, tolerance: float | None, with_lock: bool) -> bool:
    """Print how what came out in the clones `one`, the committed one if `with_lock`, and `other` compares."""
    rows = compare_locks(list(read_definition(one / "dvc.yaml")), read_lock(one / LOCK), read_lock(other / LOCK))
    for stage, path, verdict in rows:
        print(f"{stage:<14} {path:<32} {verdict}")
    for path in changed_inputs(read_lock(one / LOCK), read_lock(other / LOCK)):
        print(f"{path} is not what {LOCK} records: it was computed from another", file=sys.stderr)
    differing = [row for row in rows if row[2] != "same"]
    if not differing:
        if (one / LOCK).read_bytes() != (other / LOCK).read_bytes():
            print(f"{LOCK} is not as a run writes it: `make status` says why", file=sys.stderr)
        print(f"{len(rows)} outputs, every byte the same")
        return True
    print(f"\n{differing[0][0]} differs first")
    if with_lock:
        _run(["dvc", "checkout", "--quiet", "--allow-missing"], one)
    found = {}
    for stage, path, verdict in differing:
        missing = {path or stage: Difference(others=["is only in one"])}
        found |= missing if verdict == "missing" else compare_outputs(path, one, other)
    _print_differences(found)
    if with_lock:
        _print_machines(one)
    if tolerance is None:
        return False
    accepted = all(difference.largest <= tolerance and not difference.others for difference in found.values())
    print(f"\n{'accepted' if accepted else 'not accepted'} with a tolerance of {tolerance:g}")
    return accepted


def _print_differences(found: dict[str, Difference]) -> None:
    for file, difference in found.items():
        print(f"  {file}: {difference}")
    for name, ending in (("weights", ".pth"), ("metrics", "metrics.json")):
        measured = [difference for file, difference in found.items() if file.endswith(ending) and difference.where]
        if measured:
            print(f"{name} differ by up to {max(difference.largest for difference in measured):.3g}")


def _print_machines(committed: Path) -> None:
    recorded = read_record(committed / MACHINE_FILE)
    if recorded is None or recorded.outputs != outputs_digest(read_lock(committed / LOCK)):
        print(f"\n{MACHINE_FILE} does not tell which machine made dvc.lock")
        return
    print("\nthe machine that made dvc.lock / this one")
    lines = compare_machines(recorded, RecordedMachine(outputs=recorded.outputs, **_here()))
    for line in lines or ["the same in all that is recorded: code, settings or data differ (`make status`), or chance"]:
        print(f"  {line}")


def _here() -> dict:
    return this_machine(ROOT / REQUIREMENTS_FILE).model_dump()


def record() -> None:
    """Write `machine.json` anew where `dvc.lock` has other outputs than it is about."""
    digest, recorded = outputs_digest(read_lock(ROOT / LOCK)), read_record(ROOT / MACHINE_FILE)
    if recorded is None or recorded.outputs != digest:
        write_json(ROOT / MACHINE_FILE, {"outputs": digest, **_here()})


def _tolerance(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


# argparse names it in its message.
_tolerance.__name__ = "number from 0"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.reproduce", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--runs", type=int, choices=(1, 2), default=1, help="2: compare two runs, not one and dvc.lock (default: 1)"
    )
    parser.add_argument(
        "--tolerance", type=_tolerance, help="take numbers that differ by no more for the same (default: compare bytes)"
    )
    parser.add_argument(
        "--record", action="store_true", help=f"only note in {MACHINE_FILE} which machine made dvc.lock, if it is new"
    )
    return parser


def main(arguments: list[str]) -> None:
    """Read the flags and reproduce, or record."""
    flags = build_parser().parse_args(arguments)
    if flags.record:
        record()
        return
    changed = _printed("git", "status", "--porcelain", "--untracked-files=no")
    if changed:
        print(f"not part of it, because it is not committed:\n{changed}", file=sys.stderr, end="")
    if not reproduce(flags.runs, flags.tolerance):
        sys.exit(1)


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
