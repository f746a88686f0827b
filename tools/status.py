"""Is what is committed what the code and the parameters say (`make status`)?

Exit code 1 when it is not. `dvc status` and `dvc repro --dry` end with 0 on a stale pipeline, and see neither what git
lacks nor what `dvc.yaml` does not name any more.
"""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import argparse
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from boomerang.base.checks import Section
from boomerang.base.errors import exit_on_error
from tools.machine import MACHINE_FILE, check_installed, read_record
from tools.pipeline import DEFINITION, LOCK, Pipeline, git_folders, is_inside, lies_in, printed_by, read_options


class Options(Section):
    """The table `[tool.status]` of `pyproject.toml`, which explains it."""

    requirements: str | None = None
    checks: list[str] = Field(default_factory=list)


def find_changes(root: Path, pipeline: Pipeline) -> Iterator[str]:
    """A line for each change that DVC finds; what DVC holds and is just not here, as in a fresh clone, is none."""
    held = pipeline.all_outs().keys() | pipeline.data
    for stage, entries in json.loads(printed_by(root, "dvc", "status", "--json")).items():
        yield from (f"{stage}: {entry}" for entry in entries if isinstance(entry, str))
        changes = [change for entry in entries if isinstance(entry, dict) for change in entry.values()]
        for path, how in (item for change in changes for item in change.items()):
            if how not in ("deleted", "not in cache") or not lies_in(path, held):
                # Of a file of parameters each parameter is told.
                names = how if isinstance(how, dict) else {path: how}
                yield from (f"{stage}: {name} is {change}" for name, change in names.items())


def find_disagreements(pipeline: Pipeline) -> Iterator[str]:
    """A line for each output that a later stage was made from in another version, and for each unnamed record."""
    maker = {path: stage for stage, outs in pipeline.outs.items() for path in outs}
    for stage, deps in pipeline.deps.items():
        for path, digest in deps.items():
            if path in maker and digest != pipeline.outs[maker[path]][path]:
                yield f"{stage}: made from another {path} than {maker[path]} has written since"
        for name in pipeline.unnamed[stage]:
            yield f"{stage}: {LOCK} records {name}, which {DEFINITION} does not name"


def find_uncommitted(root: Path, pipeline: Pipeline) -> Iterator[str]:
    """A line for each file that decides what comes out and is not in git, or not as it is here."""
    paths = pipeline.files | {MACHINE_FILE} | pipeline.inputs().keys()
    top, place = git_folders(root)
    # A dependency may lie in the same repository beside the project.
    inside = sorted(path for path in paths if is_inside(root, path, top))
    others = printed_by(root, "git", "ls-files", "-z", "--others", "--", *inside).split("\0")
    changed = printed_by(root, "git", "status", "-z", "--no-renames", "--untracked-files=no", "--", *inside).split("\0")
    for path in filter(None, others):
        if not lies_in(path, pipeline.data) and not pipeline.is_ignored(str(root / path)):
            yield f"{path} is not in git"
    # Whatever the folder, this form of `git status` names paths from the top.
    names = (os.path.relpath(line[3:], place) for line in filter(None, changed))
    yield from (f"{name} is not committed as it is here" for name in names)


def find_faults(root: Path) -> Iterator[str]:
    """Everything in the repository at `root` that is not as it should be, a line each."""
    options, pipeline = read_options(root, "status", Options), Pipeline(root)
    yield from find_changes(root, pipeline)
    yield from find_disagreements(pipeline)
    yield from find_uncommitted(root, pipeline)
    if read_record(root / MACHINE_FILE).get("outputs") != pipeline.outputs_digest():
        yield f"{MACHINE_FILE} is not about the outputs in {LOCK}: `python -m tools.reproduce --record` renews it"
    if options.requirements:
        yield from check_installed(root / options.requirements)
    for function in options.checks:
        yield from pkgutil.resolve_name(function)(root)


def main() -> None:
    """Print what is not up to date."""
    argparse.ArgumentParser(prog="python -m tools.status", description=__doc__, allow_abbrev=False).parse_args()
    lines = list(find_faults(Path.cwd()))
    print("\n".join(lines or ["up to date"]))
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    with exit_on_error():
        main()
