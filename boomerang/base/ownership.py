"""Whether a run has written what the next one would replace: nothing that is somebody else's is overwritten.

Names prove nothing, for anyone may have a `metrics.json` or a lock file, and neither does DVC's record, for `train.py`
writes where no DVC is. So every output is known by what it holds, each by itself: a run may have been killed before
it had written all, and any version of the program may have written it.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from boomerang.base.ensembles import ENSEMBLES, TREES
from boomerang.base.errors import ArtifactError
from boomerang.base.paths import (
    BACKTEST_FILE,
    CARD_FILE,
    LEFTOVERS,
    METADATA_FILE,
    METRICS_FILE,
    OUTPUT_FOLDERS,
    TOP_FILES,
    list_expected,
)

CARD_HEADING = b"# Model card: Boomerang\n"
# For every other output of `OUTPUT_FOLDERS` and at the top: the JSON file that shows whose it is, itself or in it, and
# keys that stand in it, at whatever depth, since the first version that wrote it.
MARKS = {
    "prepared": ("scaler.json", {"features", "data_min", "data_max"}),
    "sequences": ("lengths.json", {"mode", "requested_seq_lengths", "seq_lengths"}),
    **{name: ("training.json", {"hidden_size", "num_layers", "precision", "device"}) for name in ENSEMBLES},
    TREES: ("metrics.json", {"next", "made", "best_round", "val_loss"}),
    "evaluation": ("evaluation.json", {"parts", "base_rate", "training", "val_loss"}),
    METADATA_FILE: ("", {"ensembles", "time", "simple", "prefix", "input_size", "seq_lengths"}),
    METRICS_FILE: ("", {"validation", "time", "simple", "base_rate", "log_loss", "roc_auc"}),
    BACKTEST_FILE: ("", {"folds", "n_train", "test", "log_loss"}),
}
OUTPUTS = (*OUTPUT_FOLDERS, *TOP_FILES)


def find_strangers(folder: Path, mending: bool = False) -> list[str]:
    """What a run into `folder` would replace or clear away, and no run has written, by paths in it.

    Parameters
    ----------
    folder : Path
        Where the outputs shall lie.
    mending : bool
        Whether what is plainly an output of ours, only damaged, counts as ours too.
    """
    found = []
    for name in filter(lambda name: any(_list_files(folder / name)), OUTPUTS):
        is_ours = _is_ours(folder / name) or (mending and _is_damaged(folder / name))
        found += _find_additions(folder, name) if is_ours else [name]
    for name in LEFTOVERS:
        files = map(Path, _names(folder, _list_files(folder / name)))
        found += [str(path) for path in files if not _is_unfinished(path)]
    return sorted(found)


def check_is_ours(folder: Path) -> None:
    """Refuse to replace or clear away what no run has written, but for outputs of ours that are damaged.

    Raises
    ------
    ArtifactError
        That names what it is.
    """
    if theirs := find_strangers(folder, mending=True):
        raise ArtifactError(f"{describe_strangers(folder, theirs)}; move them away or delete them")


def describe_strangers(folder: Path, theirs: list[str]) -> str:
    """What `find_strangers` has found, in words."""
    return f"{folder} holds {', '.join(theirs)} and nothing that tells that they are artifacts"


def _find_additions(folder: Path, name: str) -> list[str]:
    """The files of one output, by their paths in `folder`, that no run writes, whatever its lengths."""
    return sorted(name for name in _names(folder, _list_files(folder / name)) if not _is_called_like_ours(name))


def _is_called_like_ours(name: str) -> bool:
    """Whether a run writes files of this path in its folder, by whatever settings."""
    return re.sub(r"seq[1-9]\d*\.", "seq1.", name) in list_expected([1], has_values=True).union(TOP_FILES)


def _names(folder: Path, files: Iterable[Path]) -> Iterator[str]:
    """The paths of files in `folder`."""
    return (path.relative_to(folder).as_posix() for path in files)


def _list_files(path: Path) -> Iterator[Path]:
    """A file, or all files below a folder; links that lead nowhere count."""
    found = path.rglob("*") if path.is_dir() else [path]
    return (file for file in found if os.path.lexists(file) and (file.is_symlink() or not file.is_dir()))


def _is_ours(path: Path) -> bool:
    if path.name == CARD_FILE:
        return path.is_file() and path.read_bytes().startswith(CARD_HEADING)
    mark, keys = MARKS[path.name]
    try:
        content = json.loads((path / mark if mark else path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    # Without a backtest there are no folds, and no keys of them.
    return keys <= set(_list_keys(content)) or (path.name == BACKTEST_FILE and content == {"folds": []})


def _is_damaged(path: Path) -> bool:
    """Whether an output that does not show that it is ours may have done so before it was damaged.

    Its mark, the file that shows whose it is, is empty or a link that leads nowhere, so there is nothing to lose, or
    JSON that breaks off. Or a folder has lost it and holds a member's files, which nobody else calls so.
    """
    mark = path / MARKS[path.name][0] if path.name in MARKS and path.name in OUTPUT_FOLDERS else path
    if not os.path.lexists(mark):
        return any(re.search(r"seq[1-9]\d*\.", file.name) for file in _list_files(path))
    if mark.is_symlink() and not mark.exists():
        return True
    try:
        content = mark.read_bytes().strip(b"\0")
    except OSError:
        return False
    if path.name == CARD_FILE or not content:
        return not content
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return content.startswith(b"{")
    return False


def _list_keys(content: Any) -> Iterator[str]:
    """The keys of JSON objects at any depth."""
    if isinstance(content, dict):
        yield from content
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _list_keys(inner)


def _is_unfinished(path: Path) -> bool:
    """Whether it lies where a killed run leaves its outputs, and is called like one, or like one in the writing.

    `path` is that of a file in the folder of the outputs.
    """
    _, *inside = path.parts
    return bool(inside) and (_is_called_like_ours("/".join(inside)) or bool(re.fullmatch(r"\..*\.tmp", path.name)))
