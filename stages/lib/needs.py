"""What the modules of a stage import and read, beside what `dvc.yaml` names and `dvc.lock` records."""

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from stages.lib import layout
from stages.lib.layout import REQUIREMENTS_FILE
from stages.lib.pipeline import LockedStage
from stages.lib.sources import PACKAGE, ROOT, import_closure

# How dvc.yaml names a setting.
_TEMPLATE = re.compile(r"\$\{([\w.]+)\}")


def check_deps(name: str, stage: dict[str, Any]) -> list[str]:
    """A line for each module that a stage imports and its `deps` lack, or that they name and it does not import.

    Whatever runs a module of ours depends on the versions of the libraries too.
    """
    module_file = _module_file(stage)
    if module_file is None:
        return []
    imported = _imported(module_file)
    deps = stage.get("deps", [])
    listed = {dep for dep in deps if dep.startswith(f"{PACKAGE}/")}
    lines = [f"{name}: imports {path}, which is not in its deps" for path in sorted(imported - listed)]
    lines += [f"{name}: has {path} in its deps and does not import it" for path in sorted(listed - imported)]
    return lines if REQUIREMENTS_FILE in deps else [*lines, f"{name}: {REQUIREMENTS_FILE} is not in its deps"]


def _imported(module_file: Path) -> set[str]:
    """The module and those of ours that it imports, as `deps` name them."""
    return {path.relative_to(ROOT).as_posix() for path in import_closure(module_file)}


def check_inputs(name: str, stage: dict[str, Any]) -> list[str]:
    """A line for each artifact that a stage's `INPUTS` name and its `deps` lack, or the other way round.

    `INPUTS` is a list of paths at the top of the stage's module, made of what `layout` holds; the stage itself watches
    them while it runs. `{ensemble}` in one stands for the last word of its command.
    """
    module_file = _module_file(stage)
    if module_file is None:
        return []
    read = _inputs(module_file, stage)
    others = (f"{PACKAGE}/", REQUIREMENTS_FILE, "${")
    listed = {dep for dep in stage.get("deps", []) if not dep.startswith(others)}
    lines = [f"{name}: reads {path}, which is not in its deps" for path in sorted(read - listed)]
    return lines + [f"{name}: has {path} in its deps and does not read it" for path in sorted(listed - read)]


def _inputs(module_file: Path, stage: dict[str, Any]) -> set[str]:
    """The `INPUTS` of a stage's module."""
    for node in ast.parse(module_file.read_bytes()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if [ast.unparse(target) for target in targets if target] == ["INPUTS"]:
            # Importing the stage would import torch with it.
            paths = eval(compile(ast.Expression(node.value), str(module_file), "eval"), vars(layout).copy())
            return {str(path).format(ensemble=_words(stage)[-1]) for path in paths}
    return set()


def check_recorded(name: str, stage: dict[str, Any], params: dict[str, Any], lock: dict[str, LockedStage]) -> list[str]:
    """A line for each dependency or output that `dvc.lock` records and `dvc.yaml` does not name any more."""
    recorded = lock.get(name, LockedStage({}, {}))
    outs = [path for out in stage.get("outs", []) for path in (out if isinstance(out, dict) else [out])]
    named = {
        _TEMPLATE.sub(lambda found: str(_look_up(params, found[1])), path) for path in stage.get("deps", []) + outs
    }
    # What it needs is named by `check_deps` and `check_inputs`.
    module_file = _module_file(stage)
    needed = _imported(module_file) | _inputs(module_file, stage) if module_file else set()
    gone = sorted((recorded.deps.keys() | recorded.outs.keys()) - named - needed)
    return [f"{name}: dvc.lock records {path}, which dvc.yaml does not name" for path in gone]


def _look_up(params: dict[str, Any], name: str) -> Any:
    """The setting `section.key`; None where there is none."""
    for part in name.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params


def check_params(name: str, stage: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """A line for each setting that a stage reads and its `params` lack, or that they name and it does not read.

    A setting that `deps` take up, such as `${prepare.data_path}`, is in neither list.

    Parameters
    ----------
    name : str
        The stage.
    stage : dict
        How `dvc.yaml` defines it.
    params : dict
        The content of `params.yaml`.
    """
    module_file = _module_file(stage)
    if module_file is None:
        return []
    in_deps = set(_TEMPLATE.findall(" ".join(stage.get("deps", []))))
    settings_read = set().union(*(_settings_read(path, _words(stage)[-1]) for path in _python(module_file)))
    read, listed = (_select(setting_names(params), chosen) for chosen in (settings_read, stage.get("params", [])))
    missing = [f"{name}: reads {leaf}, which is not in its params" for leaf in sorted(read - in_deps - listed)]
    return missing + [f"{name}: has {leaf} in its params and does not read it" for leaf in sorted(listed - read)]


def _words(stage: dict[str, Any]) -> list[str]:
    """The words of a stage's command, of the last of several; none where it has no command of its own."""
    command = stage.get("cmd", [])
    return (command if isinstance(command, str) else " ".join(command[-1:])).split()


def _module_file(stage: dict[str, Any]) -> Path | None:
    """The file of the module that a stage runs; None where it runs something else."""
    words = _words(stage)
    if "-m" not in words[:-1]:
        return None
    path = ROOT.joinpath(*words[words.index("-m") + 1].split(".")).with_suffix(".py")
    return path if path.exists() else None


def _python(module_file: Path) -> list[Path]:
    """The module and those of ours that it imports, but the one that reads `params.yaml` for them all."""
    return [path for path in import_closure(module_file) if path.suffix == ".py" and path.name != "settings.py"]


def _settings_read(module_file: Path, ensemble: str) -> set[str]:
    """Settings, or sections of them, that a module takes from `settings.load()`: all where it keeps the whole.

    A module that reads YAML itself is taken to read all.
    """
    tree = ast.parse(module_file.read_bytes())
    loaders = _names_bound_to(tree, "stages.lib.settings", "load")
    readers = _names_bound_to(tree, "stages.lib.yaml_file", "read_yaml")
    attributes = {id(node.value): node for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = set()
    for node in ast.walk(tree):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else None
        if called in loaders:
            names, outer = [], node
            while outer := attributes.get(id(outer)):
                names.append(outer.attr)
            found |= {"train", f"train_{ensemble}"} if names[:1] == ["training"] else {".".join(names)}
        elif called in readers:
            found.add("")
    return found


def _names_bound_to(tree: ast.Module, module: str, function: str) -> set[str]:
    """How a module writes a function of another: `settings.load`, or by another name that an import gives it."""
    package, _, name = module.rpartition(".")
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f"{alias.asname or alias.name}.{function}" for alias in node.names if alias.name == module}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                bound = alias.asname or alias.name
                if (node.module, alias.name) == (module, function):
                    found.add(bound)
                elif alias.name == name and (node.module == package or node.level):
                    found.add(f"{bound}.{function}")
    return found


def _select(leaves: Iterator[str], chosen: Collection[str]) -> set[str]:
    """Those of `leaves` that are in `chosen` or in a section that is; the name of the whole is empty."""
    return {leaf for leaf in leaves if any(not name or f"{leaf}.".startswith(f"{name}.") for name in chosen)}


def setting_names(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The settings of a mapping of sections, as `section.key`."""
    for key, value in section.items():
        yield from setting_names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
