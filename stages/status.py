"""Is what is committed what the code and the parameters say (`make status`)?

Exit code 1 when it is not. `dvc status` and `dvc repro --dry` end with 0 on a stale pipeline, and see neither imports
nor parameters that `dvc.yaml` forgets.
"""

if __name__ == "__main__":
    from stages.lib.processes import begin

    begin()

import argparse
import json
import subprocess
import sys
from pathlib import Path

from stages.lib.errors import ArtifactError, SettingsError, exit_on_error
from stages.lib.files import parse_json, read_artifact, sha256
from stages.lib.layout import (
    ARTIFACTS,
    BACKTEST_FILE,
    CARD_FILE,
    ENSEMBLES,
    EVALUATION_FILES,
    METADATA_FILE,
    OUTPUT_FOLDERS,
    windows_file,
)
from stages.lib.machine import MACHINE_FILE, check_installed, read_record
from stages.lib.metadata import Metadata
from stages.lib.needs import check_deps, check_inputs, check_params, check_recorded
from stages.lib.pipeline import (
    LockedStage,
    check_lock,
    outputs_digest,
    read_definition,
    read_lock,
    tool_environment,
)
from stages.lib.sources import ROOT
from stages.lib.yaml_file import read_yaml


def stale_stages(lock: dict[str, LockedStage]) -> list[str]:
    """A line for each change that DVC finds; outputs that are just not here, as in a fresh clone, are none."""
    made = {path for stage in lock.values() for path in stage.outs}
    lines = []
    for stage, entries in json.loads(_printed("dvc", "status", "--json")).items():
        for entry in entries:
            if isinstance(entry, str):
                lines.append(f"{stage}: {entry}")
                continue
            changes = {path: change for found in entry.values() for path, change in found.items()}
            for path, change in changes.items():
                names = change if isinstance(change, dict) else {path: change}
                absent = path in made and change in ("deleted", "not in cache")
                lines += [] if absent else [f"{stage}: {name} is {how}" for name, how in names.items()]
    return lines


def uncommitted_files(lock: dict[str, LockedStage]) -> list[str]:
    """A line for each file that decides what comes out and is not in git, or not as it is here."""
    made = {path for stage in lock.values() for path in stage.outs}
    inputs = {path for stage in lock.values() for path in stage.deps} - made
    files = sorted({"dvc.yaml", "dvc.lock", "params.yaml", MACHINE_FILE} | inputs)
    tracked = set(_printed("git", "ls-files", "-z").split("\0"))
    changed = {line[3:] for line in _printed("git", "status", "--porcelain", "-z", "--", *files).split("\0")}
    return [
        f"{path} is not in git" if path not in tracked else f"{path} is not committed as it is here"
        for path in files
        if (path in changed if path in tracked else not _is_in_dvc(path, tracked))
    ]


def _is_in_dvc(path: str, tracked: set[str]) -> bool:
    """Whether DVC tracks a file, or a folder that it lies in, by a `.dvc` file that git tracks."""
    return any(f"{above.as_posix()}.dvc" in tracked for above in (Path(path), *Path(path).parents))


def check_machine(lock: dict[str, LockedStage]) -> list[str]:
    """A line if the machine on record made other outputs than `dvc.lock` names."""
    recorded = read_record(ROOT / MACHINE_FILE)
    if recorded is not None and recorded.outputs == outputs_digest(lock):
        return []
    return [f"{MACHINE_FILE} is not about the outputs in dvc.lock: `python -m stages.reproduce --record` renews it"]


def expected_files(seq_lengths: list[int]) -> set[str]:
    """The files in `OUTPUT_FOLDERS`, by their paths in the artifacts, for members of `seq_lengths`."""
    files = {f"prepared/{name}" for name in ("purchases.parquet", "scaler.json", "summary.json")}
    files |= {f"evaluation/{name}" for name in EVALUATION_FILES}
    files.add("sequences/lengths.json")
    for name, layout in ENSEMBLES.items():
        files |= {f"sequences/{name}/{windows_file(length)}" for length in seq_lengths}
        files |= {f"{name}/{layout.member_file(length)}" for length in seq_lengths}
        files |= {f"{name}/{file}" for file in ("history.csv", "metrics.json", "training.json", "validation.parquet")}
    return files


def check_outputs(folder: Path) -> list[str]:
    """A line for each file in `folder` that `models_meta.json` does not account for, or accounts for otherwise."""
    metadata = parse_json(read_artifact(folder / METADATA_FILE), METADATA_FILE, Metadata)
    expected = expected_files(metadata.seq_lengths) | {METADATA_FILE, BACKTEST_FILE, CARD_FILE, "metrics.json"}
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    found = {path.as_posix() for path in files if not path.parts[0].startswith(".")}
    lines = [f"{folder.name}/{name} is left over: {METADATA_FILE} knows of no such file" for name in found - expected]
    lines += [f"{folder.name}/{name} is missing" for name in expected - found]
    for name, layout in ENSEMBLES.items():
        for member in metadata.ensembles[name].members:
            path = f"{name}/{layout.member_file(member.seq_length)}"
            if path in found and sha256(read_artifact(folder / path)) != member.sha256:
                lines.append(f"{folder.name}/{path} is not the file that {METADATA_FILE} names: its SHA-256 differs")
    return sorted(lines)


def _printed(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=tool_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise SettingsError(f"`{' '.join(command[:2])}` failed: {done.stderr.strip()}")
    return done.stdout


def find_faults() -> list[str]:
    """Everything that is not as it should be, a line each."""
    lock, stages = read_lock(ROOT / "dvc.lock"), read_definition(ROOT / "dvc.yaml")
    params = read_yaml(ROOT / "params.yaml")[0]
    lines = stale_stages(lock) + check_lock(lock)
    for name, stage in stages.items():
        lines += check_deps(name, stage) + check_inputs(name, stage) + check_params(name, stage, params)
        lines += check_recorded(name, stage, params, lock)
    lines += uncommitted_files(lock) + check_machine(lock) + check_installed(ROOT / "requirements.txt")
    if any((ROOT / ARTIFACTS / name).exists() for name in OUTPUT_FOLDERS):
        try:
            lines += check_outputs(ROOT / ARTIFACTS)
        except ArtifactError as error:
            lines.append(str(error))
    else:
        print(f"{ARTIFACTS}/ is not here: its files are not checked", file=sys.stderr)
    return lines


def main() -> None:
    """Print what is not up to date."""
    argparse.ArgumentParser(prog="python -m stages.status", description=__doc__, allow_abbrev=False).parse_args()
    lines = find_faults()
    if lines:
        print("\n".join(lines))
        sys.exit(1)
    print("up to date")


if __name__ == "__main__":
    with exit_on_error():
        main()
