import copy
import io
import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from stages.lib.ensemble import Ensemble, combine, describe, load_member, read_metadata
from stages.lib.errors import ArtifactError, DataError, SettingsError
from stages.lib.lstm import MemberLSTM

CPU = torch.device("cpu")


def load(folder, name="simple", metadata=None):
    return Ensemble(read_metadata(folder) if metadata is None else metadata, folder, name, CPU)


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_combine_is_the_weighted_mean():
    probabilities = np.array([[0.1, 0.2], [0.5, 0.8]])
    np.testing.assert_allclose(combine(probabilities, np.array([3, 1])), [0.2, 0.35])


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
    expected = (members[0].probability + 3 * members[1].probability) / 4
    assert weighted.probability == pytest.approx(expected)
    assert [member.weight for member in weighted.members] == [0.25, 0.75]


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [-1, 2], [float("nan"), 1], [0, 0]])
def test_unusable_weights_are_refused(trained, weights):
    with pytest.raises(SettingsError, match="weights must be"):
        load(trained).predict(np.ones((4, 1), dtype=np.float32), weights)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist: train first"),
        ("{", "is not JSON"),
        ("[]", "format_version must be 1"),
        ('{"format_version": 2}', r"format_version must be 1 \(found 2\)"),
    ],
)
def test_unusable_metadata_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "models_meta.json").write_text(content)
    with pytest.raises(ArtifactError, match=message):
        read_metadata(tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["ensembles"], {}),
        (["ensembles", "simple", "members"], None),
        (["ensembles", "simple", "hidden_size"], "wide"),
        (["ensembles", "simple", "input_size"], 2),
        (["ensembles", "simple", "hidden_size"], 5),
        (["ensembles", "simple", "members", 0, "sha256"], "0" * 64),
        (["ensembles", "simple", "members", 0, "seq_length"], 3),
    ],
)
def test_metadata_that_does_not_fit_the_members_is_refused(trained, path, value):
    metadata = copy.deepcopy(read_metadata(trained))
    place = metadata
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ArtifactError):
        load(trained, metadata=metadata)


def test_prefix_in_the_metadata_is_never_followed(trained):
    metadata = copy.deepcopy(read_metadata(trained))
    metadata["ensembles"]["simple"]["prefix"] = "../../elsewhere/model"
    assert load(trained, metadata=metadata).models.keys() == {2, 4}


def test_a_flipped_bit_and_a_missing_member_are_refused(trained, tmp_path):
    folder = tmp_path / "artifacts"
    shutil.copytree(trained, folder)
    path = folder / "simple" / "model_simple_seq4.pth"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        load(folder)
    path.unlink()
    with pytest.raises(ArtifactError, match="cannot be read: No such file"):
        load(folder)


STATE = MemberLSTM(1, 2, 1).state_dict()


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable state dict"),
        (saved(STATE)[:-100], "not a readable state dict"),
        (saved(Malicious()), "not a readable state dict"),
        (saved([1]), r"expected the keys .* \(found list\)"),
        (saved({"fc.bias": STATE["fc.bias"]}), "expected the keys"),
        (saved({**STATE, "more": STATE["fc.bias"]}), "expected the keys"),
        (saved({**STATE, "fc.bias": torch.zeros(2)}), r"fc.bias must be torch.float32 \(1,\) \(found .*\(2,\)\)"),
        (saved({**STATE, "fc.bias": STATE["fc.bias"].double()}), "fc.bias must be torch.float32"),
        (saved({**STATE, "fc.bias": 1.0}), r"fc.bias must be .*\(found 1.0\)"),
        (saved({**STATE, "fc.bias": torch.tensor([torch.nan])}), "fc.bias holds a value that is not finite"),
    ],
)
def test_a_file_that_is_not_a_state_dict_of_this_model_is_refused(content, message):
    with pytest.raises(ArtifactError, match=message):
        load_member(content, "model.pth", 1, 2, 1)


def test_describe_names_every_member(trained):
    text = describe(read_metadata(trained), trained)
    for name in ("time/model_seq2.pth", "time/model_seq4.pth", "simple/model_simple_seq2.pth", "models_meta.json"):
        assert str(trained / name) in text
