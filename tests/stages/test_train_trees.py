import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from boomerang.base.errors import ArtifactError
from boomerang.base.settings import TreesSettings
from boomerang.combining.artifacts import read_forest, read_metadata
from boomerang.combining.inference import TrainedEnsembles
from stages.meta import meta
from stages.train_trees import train_trees
from tests.support import SMALL_PARAMS

CONFIG = TreesSettings(**SMALL_PARAMS["train_trees"])


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of trained artifacts, to be damaged."""
    return shutil.copytree(trained, tmp_path / "artifacts")


def run(folder, out_dir, **changes):
    train_trees(folder / "prepared", folder / "sequences", out_dir, CONFIG.model_copy(update=changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_run_gives_the_same_bytes(folder, trained):
    run(folder, folder / "again")
    assert contents(folder / "again") == contents(trained / "trees")


def test_what_the_trees_say_of_validation_is_what_a_prediction_says(trained, prepared):
    first = int((prepared["part"] == "train").sum())
    n_val = int((prepared["part"] == "val").sum())
    scores = TrainedEnsembles.load(trained).score_scaled(prepared, first, first + n_val, ["trees_next", "trees_made"])
    written = pd.read_parquet(trained / "trees" / "validation.parquet")
    for question in ("next", "made"):
        np.testing.assert_array_equal(scores[f"trees_{question}"], expit(written[question]))


def test_the_figures_are_those_of_the_best_round(trained, prepared):
    figures = json.loads((trained / "trees" / "metrics.json").read_text())
    history = pd.read_csv(trained / "trees" / "history.csv")
    targets = prepared["returned"][prepared["part"] == "val"]
    written = pd.read_parquet(trained / "trees" / "validation.parquet")
    metadata = read_metadata(trained)
    for question, of_question in history.groupby("question"):
        found = figures[question]
        assert found["rounds"] == len(of_question) - 1 == CONFIG.rounds
        assert found["val_loss"] == of_question["val_loss"].min()
        assert found["val_loss"] == pytest.approx(log_loss(targets, expit(written[question])), abs=1e-6)
        assert found["best_round"] == len(read_forest(trained, question, metadata.trees[question]).trees)
        assert metadata.trees[question].model_dump(include=set(found)) == found


def test_no_label_of_the_test_part_is_learned_from(folder):
    path = folder / "prepared" / "purchases.parquet"
    table = pd.read_parquet(path)
    run(folder, folder / "before")
    table.loc[table["part"] == "test", "returned"] = 1 - table.loc[table["part"] == "test", "returned"]
    table.to_parquet(path, index=False)
    run(folder, folder / "after")
    assert contents(folder / "after") == contents(folder / "before")


def test_labels_of_validation_decide_the_rounds_and_nothing_else(folder):
    path = folder / "prepared" / "purchases.parquet"
    table = pd.read_parquet(path)
    table.loc[table["part"] == "val", "returned"] = 1 - table.loc[table["part"] == "val", "returned"]
    run(folder, folder / "before")
    table.to_parquet(path, index=False)
    run(folder, folder / "after")
    before, after = (pd.read_csv(folder / name / "history.csv") for name in ("before", "after"))
    # Past labels of validation purchases are inputs of later ones alone.
    assert before["train_loss"].equals(after["train_loss"])
    assert not before["val_loss"].equals(after["val_loss"])


@pytest.mark.parametrize("changes", [{"rounds": 3}, {"lr": 0.3}, {"leaves": 2}])
def test_each_setting_reaches_the_trees(folder, trained, changes):
    run(folder, folder / "other", **changes)
    history = pd.read_csv(folder / "other" / "history.csv")
    assert not history.equals(pd.read_csv(trained / "trees" / "history.csv"))


@pytest.mark.parametrize("name", ["next.json", "metrics.json", "validation.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b"\x80\x04N."])
def test_damaged_trees_are_refused_by_meta(folder, name, content):
    path = folder / "trees" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=name.partition(".")[0]):
        meta(folder / "prepared", folder / "sequences", folder, folder / "new")


@pytest.mark.parametrize("change", [lambda text: text.replace("0.", "1.", 1), lambda text: text[:-9], lambda text: ""])
def test_trees_that_are_not_those_of_the_metadata_are_refused_by_a_prediction(folder, change):
    path = folder / "trees" / "made.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ArtifactError, match=r"trees/made\.json"):
        TrainedEnsembles.load(folder)
    # What does not ask them is answered.
    TrainedEnsembles(read_metadata(folder), folder, ["context", "trees_next", "blend_next"])
