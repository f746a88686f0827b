"""What a process is computed from: its own source files, as they were when it started, and its inputs.

DVC hashes dependencies after a command has ended, so an edit made meanwhile would be recorded as if it had been used.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from stages.lib.errors import ChangedError, SettingsError
from stages.lib.layout import REQUIREMENTS_FILE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "stages"
# What a module reads beside it: report.py reads report.css and report.html.jinja.
COMPANIONS = (".jinja", ".css", ".js")


def import_closure(module_file: Path) -> set[Path]:
    """A module and every module of ours that it imports, directly or through others, also inside functions.

    Templates and the like that lie beside a module and begin with its name belong to it.

    Parameters
    ----------
    module_file : Path
        The module's file, in the folder of this project.

    Returns
    -------
    set of Path
        Absolute.
    """
    found, waiting = set(), [module_file.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found |= {path, *_companions(path)}
            waiting += _imported_files(path)
    return found


def _companions(path: Path) -> Iterator[Path]:
    return (file for file in path.parent.glob(f"{path.stem}.*") if file.suffix in COMPANIONS)


def _imported_files(path: Path) -> Iterator[Path]:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            # Importing a module also runs the `__init__.py` of each package on the way to it.
            parts = name.split(".")
            if parts[0] == PACKAGE:
                inits = (ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1))
                yield from filter(Path.exists, (ROOT.joinpath(*parts).with_suffix(".py"), *inits))


@cache
def at_start() -> dict[Path, str]:
    """The SHA-256 of each of our source files at the first call: made before what takes long to import."""
    ours = (path for path in (ROOT / PACKAGE).rglob("*") if path.suffix in (".py", *COMPANIONS))
    return _digests([*ROOT.glob("*.py"), *ours])


def check_sources(files: Iterable[Path]) -> None:
    """Compare source files of ours with `at_start`.

    Raises
    ------
    ChangedError
        If one is not what it was.
    """
    files = {path.resolve() for path in files}
    _compare({path: digest for path, digest in at_start().items() if path in files}, _digests(files))


@contextmanager
def unchanged(
    module_file: Path, inputs: Iterable[Path] = (), config: Any = None, read_config: Callable[[], Any] = lambda: None
) -> Iterator[None]:
    """See to it that what the body was computed from is, at its end, what it was at the start.

    Parameters
    ----------
    module_file : Path
        The module that runs; its sources are compared with `at_start`.
    inputs : iterable of Path
        Files, or folders of files, that the body reads.
    config : any
        What the body takes from `params.yaml`.
    read_config : callable
        Reads it again.

    Raises
    ------
    ChangedError
        If something changed, also where that is why the body failed.
    """
    closure, inputs = import_closure(module_file), [*inputs, ROOT / REQUIREMENTS_FILE]
    before = _digests(inputs)

    def compare() -> None:
        _compare(before, _digests(inputs))
        check_sources(closure)

    try:
        yield
    except Exception:
        # A module that was half-way through an edit when it was imported, for one.
        compare()
        raise
    compare()
    try:
        same = read_config() == config
    except SettingsError:
        same = False
    if not same:
        raise ChangedError("params.yaml changed while this ran: nothing was written, run it again")


def _digests(paths: Iterable[Path]) -> dict[Path, str]:
    """The SHA-256 of each file, and of each file in each folder, of `paths`; what is missing has none."""
    found = {}
    for path in paths:
        for file in filter(Path.is_file, path.rglob("*") if path.is_dir() else [path]):
            with file.open("rb") as content:
                found[file] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


def _compare(before: dict[Path, str], after: dict[Path, str]) -> None:
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    if changed:
        names = (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path for path in changed)
        raise ChangedError(f"{', '.join(map(str, names))} changed while this ran: nothing was written, run it again")
