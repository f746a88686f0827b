"""What a process is computed from: its own source files, as they were when it started, and its inputs.

DVC hashes dependencies after a command has ended, so an edit made meanwhile would be recorded as if it had been used.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from boomerang.base.errors import ChangedError, SettingsError
from boomerang.base.paths import REQUIREMENTS_FILE, ROOT

FOLDERS = ("boomerang", "stages")
# Modules, and the templates, styles and scripts that a module reads beside it.
SUFFIXES = (".py", ".jinja", ".css", ".js")


@cache
def at_start() -> dict[Path, str]:
    """The SHA-256 of each of our source files at the first call: made before what takes long to import."""
    return _digests(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)


def loaded_sources() -> set[Path]:
    """The source files that this process computes with.

    That is each module of ours that has been imported or run, and, of the packages that these lie in, the files that
    are no modules: templates, styles, scripts.
    """
    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in (*FOLDERS, "__main__")]
    files = [file for module in ours if (file := getattr(module, "__file__", None))]
    modules = {Path(file).resolve() for file in files} & at_start().keys()
    folders = {path.parent for path in modules}
    return modules | {path for path in at_start() if path.suffix != ".py" and path.parent in folders}


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
    inputs: Iterable[Path] = (), config: Any = None, read_config: Callable[[], Any] = lambda: None
) -> Iterator[None]:
    """See to it that what the body was computed from is, at its end, what it was at the start.

    The sources that the process has loaded by then are compared with `at_start`.

    Parameters
    ----------
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
    inputs = [*inputs, ROOT / REQUIREMENTS_FILE]
    before = _digests(inputs)

    def compare() -> None:
        _compare(before, _digests(inputs))
        check_sources(loaded_sources())

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
