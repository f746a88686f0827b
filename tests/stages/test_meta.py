import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from boomerang.base.ensembles import TIME_FEATURES
from boomerang.base.errors import ArtifactError
from boomerang.combining.artifacts import read_metadata
from stages.meta import meta


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of trained artifacts without what `meta` wrote, to be damaged."""
    shutil.copytree(trained, tmp_path / "artifacts")
    (tmp_path / "artifacts" / "models_meta.json").unlink()
    (tmp_path / "artifacts" / "metrics.json").unlink()
    return tmp_path / "artifacts"


def run(folder):
    meta(folder / "prepared", folder / "sequences", folder, folder)


def test_the_same_run_gives_the_same_bytes(folder, trained):
    run(folder)
    for name in ("models_meta.json", "metrics.json"):
        assert (folder / name).read_bytes() == (trained / name).read_bytes()


def test_the_combination_is_of_all_members_that_tell_about_the_next_purchase(trained):
    table = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    returned = table["returned"][table["part"] == "val"]
    members = [pd.read_parquet(trained / name / "validation.parquet") for name in ("time", "simple")]
    # Of few purchases nothing is fitted: the four members weigh the same.
    probabilities = expit(np.mean(np.hstack(members), axis=1, dtype="float64"))
    metadata = read_metadata(trained)
    assert metadata.combination.weights == {"time": [0.25, 0.25], "simple": [0.25, 0.25]}
    measured = metadata.validation["next"]["combination"]
    assert measured.log_loss == pytest.approx(log_loss(returned, probabilities))
    assert measured.roc_auc == pytest.approx(roc_auc_score(returned, probabilities))
    assert {question: set(figures) for question, figures in metadata.validation.items()} == {
        "next": {"base_rate", "markov_order_8", "time", "simple", "combination", "trees", "blend"},
        "made": {"base_rate", "context", "trees", "blend"},
    }


FIGURES = {"epochs": 2, "best_epoch": 1, "train_loss": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("prepared/scaler.json", []),
        ("prepared/scaler.json", {"number_transform": "log"}),
        ("prepared/scaler.json", {"data_min": [0.0]}),
        ("prepared/summary.json", []),
        ("prepared/summary.json", {"reading": None}),
        ("prepared/summary.json", {"reading": {"datetime_format": None, "timezone": "dateutil//etc/localtime"}}),
        ("sequences/lengths.json", []),
        ("sequences/lengths.json", {"mode": "other"}),
        ("sequences/lengths.json", {"seq_lengths": []}),
        ("sequences/lengths.json", {"seq_lengths": [4, 2]}),
        ("sequences/lengths.json", {"seq_lengths": ["../../x"]}),
        ("sequences/lengths.json", {"dropped": [2]}),
        ("time/training.json", []),
        ("time/training.json", {"hidden_size": "8"}),
        ("time/training.json", {"hidden_size": -1}),
        ("time/training.json", {"precision": "fp8"}),
        ("simple/metrics.json", []),
        ("simple/metrics.json", {"seq4": {}}),
        ("simple/metrics.json", {"seq4": {**FIGURES, "val_loss": None}}),
        ("simple/metrics.json", {"../seq4": FIGURES}),
    ],
)
def test_json_that_no_stage_writes_is_refused(folder, name, change):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | change if change else change))
    check_refused(folder, name)


@pytest.mark.parametrize("name", ["sequences/lengths.json", "simple/metrics.json", "prepared/summary.json"])
def test_an_empty_json_object_is_refused(folder, name):
    (folder / name).write_text("{}")
    check_refused(folder, name)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sequences/lengths.json", {"seq_lengths": [2, 3]}, "time/metrics.json must hold figures of ['seq2', 'seq3']"),
        (
            "time/training.json",
            {"hidden_size": 5},
            f"time/model_seq2.pth: lstm.weight_ih_l0 must be torch.float32 (20, {len(TIME_FEATURES)})",
        ),
    ],
)
def test_files_of_different_trainings_are_refused(folder, name, change, message):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | change))
    check_refused(folder, message)


def check_refused(folder, message):
    """Fail unless `meta` says so in one line and writes nothing."""
    with pytest.raises(ArtifactError) as refused:
        run(folder)
    assert message in str(refused.value)
    assert str(refused.value).isprintable()
    assert not (folder / "models_meta.json").exists()
    assert not (folder / "metrics.json").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("time/validation.parquet", lambda table: table.iloc[:-1]),
        ("time/validation.parquet", lambda table: table.drop(columns="seq4")),
        ("time/validation.parquet", lambda table: table.assign(seq4=float("nan")).astype("float32")),
        ("time/validation.parquet", lambda table: table.astype("float64")),
        ("time/validation.parquet", lambda table: table.astype("str")),
        ("prepared/purchases.parquet", lambda table: table.drop(columns="returned")),
        ("prepared/purchases.parquet", lambda table: table.replace({"part": {"val": "test"}})),
    ],
)
def test_tables_that_no_stage_writes_are_refused(folder, name, change):
    change(pd.read_parquet(folder / name)).to_parquet(folder / name, index=False)
    check_refused(folder, name)


@pytest.mark.parametrize(
    "name", ["simple/model_simple_seq4.pth", "time/training.json", "prepared/purchases.parquet", "time/metrics.json"]
)
def test_links_out_of_a_folder_are_not_followed(folder, name):
    elsewhere = folder.parent / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(os.path.relpath(elsewhere, (folder / name).parent))
    with pytest.raises(ArtifactError, match="a link that leads out of"):
        run(folder)
