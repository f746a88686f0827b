import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import SettingsError
from boomerang.features.inputs import stack_features
from boomerang.reading.purchases import read_purchases
from boomerang.serving.predictor import Predictor
from boomerang.trees.forest import Forest
from tests.support import ROOT

onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install -r requirements-export.txt")


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    from tools.export import export

    folder = tmp_path_factory.mktemp("onnx")
    assert list(export(trained, folder)) == [*ENSEMBLES, "trees_next", "trees_made"]
    return folder


@pytest.mark.parametrize("name", ENSEMBLES)
def test_real_purchases_give_the_scores_of_torch(trained, exported, name):
    predictor = Predictor.load(trained)
    table = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    stream = stack_features(table, ENSEMBLES[name].features)
    longest = ENSEMBLES[name].n_steps(4)
    windows = np.lib.stride_tricks.sliding_window_view(stream, longest, axis=0).transpose(0, 2, 1)
    session = onnxruntime.InferenceSession(exported / f"{name}.onnx")
    probability, logits = session.run(["probability", "logits"], {"inputs": np.ascontiguousarray(windows)})
    # Window i is about row i + 4, for the last window of `time` and `simple` one that is not there yet. The first one
    # that all members answer is about row 5: `context` needs a purchase before those that it reads.
    expected = predictor.score(table, 5)[name].to_numpy()
    np.testing.assert_allclose(probability[1 : len(expected) + 1], expected, atol=1e-6, rtol=0)
    of_torch = [row for member, row in predictor.member_logits(table, 5, len(table)).items() if member[0] == name]
    np.testing.assert_allclose(logits[1 : len(expected) + 1].T, of_torch, atol=1e-6, rtol=0)


def test_the_combination_follows_from_two_files_and_the_metadata_as_the_page_says(trained, exported):
    predictor = Predictor.load(trained)
    table = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    combination, centre = predictor.metadata.combination, predictor.metadata.combination.centre
    mean = 0.0
    for name, weights in combination.weights.items():
        window = stack_features(table, ENSEMBLES[name].features)[None, -5:-1]
        (logits,) = onnxruntime.InferenceSession(exported / f"{name}.onnx").run(["logits"], {"inputs": window})
        mean += float(logits[0] @ weights)
    found = expit(centre + (mean - centre) / combination.temperature)
    assert found == pytest.approx(predictor.score(table)["combination"].iloc[-1], abs=1e-6)


def test_the_blend_follows_from_two_files_and_the_metadata_as_the_page_says(trained, exported):
    predictor = Predictor.load(trained)
    table = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    # Weights of which each part has some.
    weights = {"context": [0.25, 0.5], "trees": [1.0]}
    blend = predictor.metadata.blend["made"].model_copy(update={"weights": weights, "temperature": 0.8, "centre": -1.0})
    changed = predictor.metadata.model_copy(update={"blend": {**predictor.metadata.blend, "made": blend}})
    inputs = {
        "context": stack_features(table, ENSEMBLES["context"].features)[None, -5:],
        "trees_made": predictor.windows(table).of_trees("made", len(table) - 1, len(table))[1],
    }
    total = 0.0
    for name, given in inputs.items():
        (logits,) = onnxruntime.InferenceSession(exported / f"{name}.onnx").run(["logits"], {"inputs": given})
        total += float(logits[0] @ weights[name.removesuffix("_made")])
    mean = total / sum(map(sum, weights.values()))
    found = expit(blend.centre + (mean - blend.centre) / blend.temperature)
    assert found == pytest.approx(Predictor(changed, trained).score(table)["blend_made"].iloc[-1], abs=1e-6)


@pytest.mark.parametrize("question", ["next", "made"])
def test_trees_give_the_scores_of_real_purchases(trained, exported, question):
    predictor = Predictor.load(trained)
    table = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    rows, inputs = predictor.windows(table).of_trees(question, 0, len(table))
    session = onnxruntime.InferenceSession(exported / f"trees_{question}.onnx")
    (probability,) = session.run(["probability"], {"inputs": inputs})
    expected = predictor.score(table)[f"trees_{question}"].to_numpy()[rows]
    np.testing.assert_allclose(probability, expected, atol=1e-6, rtol=0)


def test_trees_that_have_learned_nothing_are_a_graph_too(exported):
    from boomerang.serving.onnx_graph import build_trees_graph

    content = build_trees_graph(Forest(features=["a", "b"], base_logit=-1.5, trees=[])).SerializeToString()
    (probability,) = onnxruntime.InferenceSession(content).run(
        ["probability"], {"inputs": np.zeros((3, 2), np.float32)}
    )
    np.testing.assert_allclose(probability, expit([-1.5] * 3), atol=1e-6)


def test_one_window_gives_what_it_gives_among_many(exported):
    session = onnxruntime.InferenceSession(exported / "simple.onnx")
    windows = np.random.default_rng(0).random((50, 4, 1), dtype=np.float32)
    (many,) = session.run(["probability"], {"inputs": windows})
    (one,) = session.run(["probability"], {"inputs": windows[7:8]})
    assert one[0] == pytest.approx(many[7], abs=1e-6)


def test_the_same_artifacts_give_the_same_bytes(trained, exported, tmp_path):
    command = [sys.executable, "-m", "tools.export", "--artifacts_dir", trained, "--output_dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("of ours") == 5
    for name in (*ENSEMBLES, "trees_next", "trees_made"):
        assert (tmp_path / f"{name}.onnx").read_bytes() == (exported / f"{name}.onnx").read_bytes()


def test_a_graph_that_differs_is_not_written(trained, tmp_path, monkeypatch):
    from boomerang.base.errors import ArtifactError
    from tools import export

    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ArtifactError, match=r"time\.onnx differs from ours by"):
        export.export(trained, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_files_of_an_earlier_export_are_replaced(trained, exported, tmp_path):
    from tools.export import export

    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    export(trained, tmp_path)
    (tmp_path / "simple.onnx").write_bytes(b"mine")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(SettingsError, match=r"must not hold .*simple\.onnx, which is of no export"):
        export(trained, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_graph_reads_as_much_of_a_past_as_there_is(tmp_path):
    from tests.test_groups import train_on, write_customers
    from tools.export import export

    path = write_customers(tmp_path / "shop.csv", 500)
    folder = train_on(path, tmp_path / "artifacts", train__epochs=1)
    assert max(export(folder, tmp_path / "onnx").values()) < 1e-5
    ours = Predictor.load(folder)
    purchases = read_purchases(path, group_column="customer", open_returned=True)
    table = ours.windows(ours.scale(purchases.table))
    expected = ours.score_scaled(table, 0, 500)
    for name in ENSEMBLES:
        # The longest windows hold what those of the other members begin with, or end with.
        inputs, n_steps = table.of_member((name, ours.metadata.seq_lengths[-1])).windows.gather(torch.arange(500))
        session = onnxruntime.InferenceSession(tmp_path / "onnx" / f"{name}.onnx")
        (probability,) = session.run(["probability"], {"inputs": inputs.numpy(), "n_steps": n_steps.numpy()})
        np.testing.assert_allclose(probability, expected[name], atol=1e-6, rtol=0)
        if name != "context":
            assert (n_steps == 0).any()
