"""The pipeline of the DVC repository in a folder, as `dvc.yaml` defines it and `dvc.lock` records it."""

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, TypeVar

# DVC brings no types.
from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]
from dvc.scm import SCMError  # type: ignore[import-untyped]
from dvc.stage import PipelineStage  # type: ignore[import-untyped]
from pydantic import ValidationError

from boomerang.base.checks import Section, describe_faults
from boomerang.base.errors import SettingsError
from boomerang.base.yaml_file import read_yaml

DEFINITION, LOCK = "dvc.yaml", "dvc.lock"
Options = TypeVar("Options", bound=Section)


class Pipeline:
    """The stages of a repository in the order of its `dvc.yaml`, with the hashes that `dvc.lock` records.

    Paths are those in the repository; what lies outside of it keeps the name that `dvc.yaml` has for it.

    Attributes
    ----------
    outs : dict of str to dict
        By stage (of a matrix `name@item`, of a `dvc.yaml` in a folder `folder/dvc.yaml:name`), the hash of each output
        by its path; None where none is recorded.
    deps : dict of str to dict
        The same of dependencies.
    data : set of str
        What DVC tracks besides, by `.dvc` files.
    files : set of str
        `dvc.yaml`, `dvc.lock`, the files of parameters and the `.dvc` files.
    unnamed : dict of str to list of str
        By stage, paths and parameters that the lock records and `dvc.yaml` does not name any more. DVC tells of none.
    is_ignored : callable
        Whether a `.dvcignore` makes DVC pass over the file of an absolute path.
    """

    def __init__(self, root: Path) -> None:
        self.outs: dict[str, dict[str, str | None]] = {}
        self.deps: dict[str, dict[str, str | None]] = {}
        self.data: set[str] = set()
        self.files = {DEFINITION, LOCK}
        self.unnamed: dict[str, list[str]] = {}
        try:
            with Repo(str(root)) as repo:
                self.is_ignored: Callable[[str], bool] = repo.dvcignore.is_ignored_file
                for stage in repo.index.stages:
                    self.files.add(stage.path_in_repo)
                    if isinstance(stage, PipelineStage):
                        self._add(stage)
                    else:
                        self.data |= {_path_in(stage.repo, out) for out in stage.outs}
        except SCMError as error:
            raise SettingsError(f"DVC needs the git repository that {root} lies in: {error}") from None
        except (DvcException, KeyError, TypeError) as error:
            raise SettingsError(f"{DEFINITION} or {LOCK} is not what DVC reads: {error}") from None

    def _add(self, stage: Any) -> None:
        """Take up a stage as DVC reads it."""
        where, lock = stage.path_in_repo, Path(stage.path).with_name(LOCK)
        name = stage.name if where == DEFINITION else f"{where}:{stage.name}"
        self.files.add(os.path.relpath(lock, stage.repo.root_dir))
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        deps = [dep for dep in stage.deps if dep not in params]
        self.outs[name] = {_path_in(stage.repo, out): out.hash_info.value for out in stage.outs}
        self.deps[name] = {_path_in(stage.repo, dep): dep.hash_info.value for dep in deps}
        self.files |= {_path_in(stage.repo, dep) for dep in params}
        locked = read_yaml(lock)[0]["stages"].get(stage.name, {}) if lock.exists() else {}
        recorded = {entry["path"] for kind in ("deps", "outs") for entry in locked.get(kind, [])}
        named = {item.def_path for item in (*deps, *stage.outs)}
        for dep in params:
            # A file of parameters that is named without a list stands for all that it holds.
            recorded |= set() if dep.params == [] else set(locked.get("params", {}).get(dep.def_path, {}))
            named |= set(dep.params)
        gone = [values for file, values in locked.get("params", {}).items() if file not in {p.def_path for p in params}]
        self.unnamed[name] = sorted(recorded.union(*gone) - named)

    def all_outs(self) -> dict[str, str | None]:
        """The hash of each output of any stage."""
        return {path: digest for outs in self.outs.values() for path, digest in outs.items()}

    def inputs(self) -> dict[str, str | None]:
        """The hash of each dependency that no stage makes."""
        deps = {path: digest for deps in self.deps.values() for path, digest in deps.items()}
        return {path: deps[path] for path in sorted(deps) if not lies_in(path, self.all_outs())}

    def outputs_digest(self) -> str:
        """One SHA-256 for all outputs: code that gives the same outputs has the same."""
        return hashlib.sha256(repr(sorted(self.all_outs().items())).encode()).hexdigest()


def _path_in(repo: Any, item: Any) -> str:
    """The path in the repository of a dependency or output; of one elsewhere, what `dvc.yaml` calls it."""
    return str(os.path.relpath(item.fs_path, repo.root_dir) if item.is_in_repo else item.def_path)


def is_inside(root: Path, path: str, folder: Path | None = None) -> bool:
    """Whether a path from `root` names a file in `folder`, by default `root` itself.

    It may be a link that leads elsewhere, because DVC may keep data as links.
    """
    return "://" not in path and Path(os.path.normpath(root / path)).is_relative_to(folder or root)


def lies_in(path: str, found: Container[str]) -> bool:
    """Whether a path, or a folder that it lies in, is among those `found`."""
    return any(above.as_posix() in found for above in (Path(path), *Path(path).parents))


def tool_environment() -> dict[str, str]:
    """This process's environment, in which `dvc` and `python` are those of this Python, activated or not."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def printed_by(root: Path, *command: str) -> str:
    """What a command prints in the folder `root`; raises SettingsError in one line if it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=root, env=tool_environment(), capture_output=True, text=True)
    except FileNotFoundError:
        raise SettingsError(f"{command[0]} is needed here, and no program of that name is on PATH") from None
    if done.returncode != 0:
        raise SettingsError(f"`{' '.join(command[:2])}` failed in {root}: {' '.join(done.stderr.split())}")
    return done.stdout


def git_folders(root: Path) -> tuple[Path, str]:
    """The top folder of the git repository that `root` lies in, and the path of `root` in it: `.` for the top itself.

    A project may be a folder of a larger repository (`dvc init --subdir`): git then names paths from the top.
    """
    top = Path(printed_by(root, "git", "rev-parse", "--show-toplevel").removesuffix("\n"))
    return top, os.path.relpath(root.resolve(), top.resolve())


def read_options(root: Path, name: str, kind: type[Options]) -> Options:
    """The table `[tool.<name>]` of `pyproject.toml` as a `kind` of Section: what a tool is told of the repository."""
    path = root / "pyproject.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        return kind.model_validate(content.get("tool", {}).get(name, {}))
    except ValidationError as error:
        raise SettingsError("\n".join(describe_faults(error, f"{path.name} [tool.{name}]"))) from None
