import json

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import nn

from stages.lib.artifacts import read_metadata
from stages.lib.ensemble import Ensemble, describe
from stages.lib.errors import DataError, SettingsError
from stages.lib.metadata import Metadata

CPU = torch.device("cpu")


def load(folder, name="simple"):
    return Ensemble(read_metadata(folder), folder, name, CPU)


def test_a_foreign_program_of_a_few_lines_predicts_the_same(trained):
    metadata = json.loads((trained / "models_meta.json").read_text())
    history = torch.tensor([[[1.0], [0.0], [0.0], [1.0]]])
    for length in metadata["seq_lengths"]:
        entry = metadata["ensembles"]["simple"]
        state = torch.load(trained / f"{entry['prefix']}{length}.pth", weights_only=True)
        hidden_size = state["fc.weight"].shape[1]
        layers = sum(key.startswith("lstm.weight_hh_l") for key in state)
        lstm = nn.LSTM(entry["input_size"], hidden_size, layers, batch_first=True)
        fc = nn.Linear(hidden_size, 1)
        nn.ModuleDict({"lstm": lstm, "fc": fc}).load_state_dict(state)
        with torch.no_grad():
            probability = torch.sigmoid(fc(lstm(history[:, -length:])[0][:, -1])).item()
        ours = load(trained).predict(history[0].numpy())
        assert probability == pytest.approx(next(m.probability for m in ours.members if m.seq_length == length))


def test_short_history_uses_the_members_that_fit(trained):
    prediction = load(trained).predict(np.ones((3, 1), dtype=np.float32))
    assert [member.seq_length for member in prediction.members] == [2]
    assert prediction.left_out == [4]
    assert prediction.members[0].weight == 1
    assert prediction.probability == prediction.members[0].probability


def test_too_short_a_history_is_refused(trained):
    with pytest.raises(DataError, match=r"at least 2 purchases \(found 1\)"):
        load(trained).predict(np.ones((1, 1), dtype=np.float32))


def test_only_the_last_purchases_count(trained):
    ensemble = load(trained, "time")
    tail = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    padded = np.vstack([np.full((5, 6), 9, dtype=np.float32), tail])
    assert ensemble.predict(padded) == ensemble.predict(tail)


def test_weights_given_by_the_caller_are_used(trained):
    history = np.ones((4, 1), dtype=np.float32)
    members = load(trained).predict(history).members
    weighted = load(trained).predict(history, [1, 3])
    expected = expit((logit(members[0].probability) + 3 * logit(members[1].probability)) / 4)
    assert weighted.probability == pytest.approx(expected)
    assert [member.weight for member in weighted.members] == [0.25, 0.75]


def test_history_must_reach_a_member_that_weighs_something(trained):
    history = np.ones((3, 1), dtype=np.float32)
    with pytest.raises(DataError, match=r"at least 4 purchases \(found 3\)"):
        load(trained).predict(history, [0, 1])
    assert load(trained).predict(history, [1, 0]).left_out == [4]


def reweighted(folder, weights, temperature):
    """The simple ensemble with what `meta` would have fitted."""
    content = read_metadata(folder).model_dump()
    content["ensembles"]["simple"]["temperature"] = temperature
    for member, weight in zip(content["ensembles"]["simple"]["members"], weights, strict=True):
        member["weight"] = weight
    return Ensemble(Metadata.model_validate(content), folder, "simple", CPU)


def test_the_temperature_is_for_the_fitted_weights_alone(trained):
    history = np.ones((4, 1), dtype=np.float32)
    plain = load(trained).predict(history, [1, 3])
    ensemble = reweighted(trained, [0.25, 0.75], 2.0)
    assert logit(ensemble.predict(history).probability) == pytest.approx(logit(plain.probability) / 2)
    assert ensemble.predict(history, [1, 3]) == plain


def test_members_that_weigh_nothing_beside_longer_ones_predict_for_a_short_history(trained):
    ensemble = reweighted(trained, [0.0, 1.0], 1.0)
    short = ensemble.predict(np.ones((3, 1), dtype=np.float32))
    assert [(member.seq_length, member.weight) for member in short.members] == [(2, 1.0)]
    long = ensemble.predict(np.ones((4, 1), dtype=np.float32))
    assert [member.weight for member in long.members] == [0.0, 1.0]


@pytest.mark.parametrize("weights", [[1.7e308, 1.7e308], [5e-324, 5e-324]])
def test_only_the_ratio_of_weights_counts(trained, weights):
    history = np.ones((4, 1), dtype=np.float32)
    assert load(trained).predict(history, weights) == load(trained).predict(history, [1, 1])


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [-1, 2], [float("nan"), 1], [0, 0]])
def test_unusable_weights_are_refused(trained, weights):
    with pytest.raises(SettingsError, match="weights must be"):
        load(trained).predict(np.ones((4, 1), dtype=np.float32), weights)


def test_describe_names_every_member(trained):
    text = describe(read_metadata(trained), trained)
    for name in ("time/model_seq2.pth", "time/model_seq4.pth", "simple/model_simple_seq2.pth", "models_meta.json"):
        assert str(trained / name) in text
