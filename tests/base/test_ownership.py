import json
import re
import shutil

import pytest

from boomerang.base.errors import ArtifactError
from boomerang.base.outputs import replacing
from boomerang.base.ownership import MARKS, OUTPUTS, find_strangers
from boomerang.base.paths import OUTPUT_FOLDERS

EVERY_NAME = pytest.mark.parametrize("name", OUTPUTS)


def put(folder, name, content="mine"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def ours(trained, tmp_path):
    """A copy of trained artifacts, to put something into."""
    return shutil.copytree(trained, tmp_path / "artifacts")


def test_every_output_has_a_mark_by_which_it_is_known():
    assert {*MARKS, "MODEL_CARD.md"} == set(OUTPUTS)


@pytest.mark.parametrize("training", ["trained", "trained_on_columns"])
def test_what_a_run_has_written_is_ours_as_a_whole_and_in_every_part(request, training, tmp_path):
    trained = request.getfixturevalue(training)
    assert find_strangers(trained) == []
    for name in OUTPUTS:
        (tmp_path / name).mkdir()
        copy = shutil.copytree if (trained / name).is_dir() else shutil.copy
        copy(trained / name, tmp_path / name / name)
        assert find_strangers(tmp_path / name) == [], name


def check_that_no_stage_replaces(folder, named, name, content="mine"):
    """Fail unless a stage that writes into `folder` ends before it begins, names it, and leaves the file `name`."""
    message = f"{re.escape(named)} and nothing that tells that they are artifacts; move them away or delete them"
    with pytest.raises(ArtifactError, match=rf"^{folder} holds {message}"), replacing(folder):
        pytest.fail("the body ran")
    assert (folder / name).read_text() == content


@EVERY_NAME
@pytest.mark.parametrize("beside", ["nothing", "a lock", "ours"])
def test_a_strangers_file_or_folder_is_found_whatever_lies_beside_it(request, tmp_path, name, beside):
    folder = request.getfixturevalue("ours") if beside == "ours" else tmp_path / "out"
    if beside == "a lock":
        put(folder, ".lock", "")
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    file = f"{name}/notes.txt" if name in OUTPUT_FOLDERS else name
    put(folder, file)
    assert find_strangers(folder) == [name]
    check_that_no_stage_replaces(folder, name, file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{}"),
        ("metrics.json", '{"accuracy": 0.9}'),
        ("metrics.json", '{"validation": {"log_loss": 0.3, "roc_auc": 0.8}}'),
        ("metrics.json", "[" * 100_000),
        ("metrics.json", '{"validation": '),
        ("backtest.json", '{"folds": [0.1, 0.2]}'),
        ("backtest.json", '{"folds": [], "strategy": "long"}'),
        ("models_meta.json", '{"models": []}'),
        ("models_meta.json", '{"format_version": 4}'),
        ("MODEL_CARD.md", "# Model card: theirs\n"),
        ("MODEL_CARD.md", ""),
        ("evaluation/metrics.json", '{"accuracy": 0.9}'),
        ("evaluation/evaluation.json", '{"parts": 3}'),
        ("time/training.json", '{"device": "cpu"}'),
        ("prepared", "a file"),
        ("metrics.json/inside.txt", "a folder"),
        (".staged/notes.txt", "mine"),
        (".publishing", "mine"),
        (".staged/time/thesis.txt", "mine"),
        (".staged/evaluation/mine/metrics.json", "mine"),
        (".replaced/sequences/time/notes.md", "mine"),
        (".replaced/models_meta.json/inside.txt", "a folder"),
        (".publishing/prepared/own.parquet", "mine"),
    ],
)
def test_what_only_looks_like_ours_is_found(tmp_path, name, content):
    put(tmp_path, name, content)
    found = find_strangers(tmp_path)
    assert found == [name if name.startswith(".") else name.partition("/")[0]]
    # Empty or broken off, it holds nothing that could be somebody's.
    if content not in ("", '{"validation": '):
        check_that_no_stage_replaces(tmp_path, *found, name, content)


@pytest.mark.parametrize("name", ["time/notes.txt", "evaluation/mine/plot.png", "sequences/own.csv", "time/model.pth"])
def test_a_file_that_somebody_put_into_our_folder_is_found_and_no_stage_loses_it(ours, name):
    put(ours, name)
    assert find_strangers(ours) == [name]
    check_that_no_stage_replaces(ours, name, name)


def test_what_is_not_replaced_may_be_anybodys(ours):
    for name in ("notes.txt", "plots/evaluation.png", ".git/config", ".lock"):
        put(ours, name)
    assert find_strangers(ours) == []
    with replacing(ours) as new:
        put(new, "metrics.json", "new")
    assert [(ours / name).read_text() for name in ("notes.txt", ".lock")] == ["mine", "mine"]


def test_other_lengths_unfinished_runs_and_empty_folders_are_no_strangers(ours):
    put(ours, "time/model_seq99.pth")
    put(ours, "sequences/context/seq128.pt")
    put(ours, ".staged/time/history.csv", "half")
    put(ours, ".staged/.models_meta.json.x1.tmp", "half")
    put(ours, ".staged/evaluation/.report.html.x1.tmp", "half")
    put(ours, ".replaced/sequences/simple/seq5.pt", "old")
    put(ours, ".replaced/models_meta.json", "{}")
    shutil.rmtree(ours / "simple")
    (ours / "simple").mkdir()
    (ours / "models_meta.json").unlink()
    assert find_strangers(ours) == []


@pytest.mark.parametrize("name", ["models_meta.json", "metrics.json", "evaluation/evaluation.json"])
def test_artifacts_of_another_version_are_ours(ours, name):
    content = json.loads((ours / name).read_text())
    put(ours, name, json.dumps({**content, "format_version": 999, "new": 1}))
    assert find_strangers(ours) == []


HALF = '{"validation": {"log_'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, content) for name in ("metrics.json", "models_meta.json", "backtest.json") for content in ("", HALF)),
        *(("time/training.json", content) for content in ("", "{", HALF, "\0" * 40)),
        *((f"{name}", None) for name in ("sequences/lengths.json", "context/training.json")),
        ("prepared/scaler.json", "{"),
        ("evaluation/evaluation.json", HALF),
        ("MODEL_CARD.md", ""),
    ],
)
def test_a_damaged_file_of_ours_does_not_keep_a_stage_from_mending_it(ours, name, content):
    (ours / name).unlink()
    if content is not None:
        put(ours, name, content)
    with replacing(ours) as new:
        put(new, name, "new")
    assert (ours / name).read_text() == "new"


@EVERY_NAME
def test_links_of_ours_whose_cache_is_gone_do_not_keep_a_stage_from_writing_anew(ours, name):
    files = [path for path in (ours / name).rglob("*") if path.is_file()] or [ours / name]
    for path in files:
        path.unlink()
        path.symlink_to("gone")
    with replacing(ours) as new:
        put(new, "metrics.json", "new")


@pytest.mark.parametrize("name", ["time/notes.txt", "evaluation/mine.html"])
def test_a_file_that_somebody_put_into_our_damaged_folder_is_not_lost(ours, name):
    folder = name.partition("/")[0]
    put(ours, f"{folder}/{MARKS[folder][0]}", "{")
    put(ours, name)
    check_that_no_stage_replaces(ours, name, name)
