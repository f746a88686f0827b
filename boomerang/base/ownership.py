"""Whether a run has written what the next one would replace: nothing that is somebody else's is overwritten.

Names prove nothing, for anyone may have a `metrics.json` or a lock file, and neither does DVC's record, for `train.py`
writes where no DVC is. So every output is known by what it holds, each by itself: a run may have been killed before
it had written all, and any version of the program may have written it.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boomerang.base.ensembles import ENSEMBLES
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
    "evaluation": ("evaluation.json", {"parts", "base_rate", "training", "val_loss"}),
    METADATA_FILE: ("", {"ensembles", "time", "simple", "prefix", "input_size", "seq_lengths"}),
    METRICS_FILE: ("", {"validation", "time", "simple", "base_rate", "log_loss", "roc_auc"}),
    BACKTEST_FILE: ("", {"folds", "n_train", "test", "log_loss"}),
}
OUTPUTS = (*OUTPUT_FOLDERS, *TOP_FILES)


def find_strangers(folder: Path) -> list[str]:
    """What a run into `folder` would replace or clear away, and no run has written, by paths in it."""
    found = []
    for name in filter(lambda name: any(_list_files(folder / name)), OUTPUTS):
        found += _find_additions(folder, name) if _is_ours(folder / name) else [name]
    for name in LEFTOVERS:
        inside = folder.glob(f"{name}/*") if (folder / name).is_dir() else folder.glob(name)
        found += [str(path.relative_to(folder)) for path in inside if not _is_unfinished(path)]
    return sorted(found)


def check_additions(folder: Path) -> None:
    """Refuse to replace a folder of ours into which somebody has put a file.

    Raises
    ------
    ArtifactError
        If a folder of a run in `folder` holds a file that no run writes.
    """
    for name in OUTPUT_FOLDERS:
        if any(_list_files(folder / name)) and _is_ours(folder / name):
            for found in _find_additions(folder, name):
                raise ArtifactError(f"{folder / found} is not of a run and would be lost: move it away or delete it")


def _find_additions(folder: Path, name: str) -> list[str]:
    """The files of one output, by their paths in `folder`, that no run writes, whatever its lengths."""
    expected = list_expected([1]).union(TOP_FILES)
    names = (path.relative_to(folder).as_posix() for path in _list_files(folder / name))
    return sorted(name for name in names if re.sub(r"seq[1-9]\d*\.", "seq1.", name) not in expected)


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


def _list_keys(content: Any) -> Iterator[str]:
    """The keys of JSON objects at any depth."""
    if isinstance(content, dict):
        yield from content
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _list_keys(inner)


def _is_unfinished(path: Path) -> bool:
    """Whether it lies where a killed run leaves its outputs, and is called like one, or like one in the writing."""
    return path.parent.name in LEFTOVERS and (path.name in OUTPUTS or bool(re.fullmatch(r"\..*\.tmp", path.name)))
