import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit
from torch import nn

from boomerang.base.ensembles import SCALED_FEATURES, TIME_FEATURES
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.settings import PastSettings
from boomerang.combining.artifacts import read_metadata
from boomerang.combining.metadata import Metadata
from boomerang.reading.purchases import read_purchases
from boomerang.serving.description import describe
from boomerang.serving.group_histories import read_known_past
from boomerang.serving.predictor import Predictor


def history(n_purchases):
    return {"returned": np.ones(n_purchases, dtype=np.int8)}


def predict(folder, table, weights=None, name="simple"):
    return Predictor(read_metadata(folder), folder, [name]).predict(table, name, weights)


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
        ours = predict(trained, {"returned": history[0, :, 0].numpy()})
        assert probability == pytest.approx(next(m.probability for m in ours.members if m.seq_length == length))


def test_short_history_uses_the_members_that_fit(trained):
    prediction = predict(trained, history(3))
    assert [member.seq_length for member in prediction.members] == [2]
    assert prediction.left_out == [4]
    assert prediction.members[0].weight == 1
    assert prediction.probability == prediction.members[0].probability


def test_too_short_a_history_is_refused(trained):
    with pytest.raises(DataError, match=r"at least 2 purchases \(found 1\)"):
        predict(trained, history(1))


def test_only_the_last_purchases_count(trained):
    tail = {name: np.random.default_rng(0).random(4) for name in (*TIME_FEATURES, "returned")}
    padded = {name: np.concatenate([np.full(5, 9.0), values]) for name, values in tail.items()}
    assert predict(trained, padded, name="time") == predict(trained, tail, name="time")


def test_weights_given_by_the_caller_are_used(trained):
    members = predict(trained, history(4)).members
    weighted = predict(trained, history(4), [1, 3])
    expected = expit((logit(members[0].probability) + 3 * logit(members[1].probability)) / 4)
    assert weighted.probability == pytest.approx(expected)
    assert [member.weight for member in weighted.members] == [0.25, 0.75]


def test_history_must_reach_a_member_that_weighs_something(trained):
    with pytest.raises(DataError, match=r"at least 4 purchases \(found 3\)"):
        predict(trained, history(3), [0, 1])
    assert predict(trained, history(3), [1, 0]).left_out == [4]


def reweighted(folder, weights, temperature):
    """The simple ensemble with what `meta` would have fitted."""
    content = read_metadata(folder).model_dump()
    content["ensembles"]["simple"]["temperature"] = temperature
    for member, weight in zip(content["ensembles"]["simple"]["members"], weights, strict=True):
        member["weight"] = weight
    return Predictor(Metadata.model_validate(content), folder, ["simple"])


def test_the_temperature_is_for_the_fitted_weights_alone(trained):
    plain = predict(trained, history(4), [1, 3])
    predictor = reweighted(trained, [0.25, 0.75], 2.0)
    assert logit(predictor.predict(history(4), "simple").probability) == pytest.approx(logit(plain.probability) / 2)
    assert predictor.predict(history(4), "simple", [1, 3]) == plain


def test_members_that_weigh_nothing_beside_longer_ones_predict_for_a_short_history(trained):
    predictor = reweighted(trained, [0.0, 1.0], 1.0)
    short = predictor.predict(history(3), "simple")
    assert [(member.seq_length, member.weight) for member in short.members] == [(2, 1.0)]
    long = predictor.predict(history(4), "simple")
    assert [member.weight for member in long.members] == [0.0, 1.0]
    table = pd.DataFrame(history(5))
    scores = predictor.score(table)["simple"]
    assert scores[3] == pytest.approx(short.probability)
    assert scores[4] == pytest.approx(long.probability)


@pytest.mark.parametrize("weights", [[1.7e308, 1.7e308], [5e-324, 5e-324]])
def test_only_the_ratio_of_weights_counts(trained, weights):
    assert predict(trained, history(4), weights) == predict(trained, history(4), [1, 1])


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [-1, 2], [float("nan"), 1], [0, 0]])
def test_unusable_weights_are_refused(trained, weights):
    with pytest.raises(SettingsError, match="weights must be"):
        predict(trained, history(4), weights)


# In the order of the columns of scores, with the past that each needs in `trained`. A member of `context` needs a
# purchase more than it reads; trees need the past of the longest one.
NEXT = {"time": 2, "simple": 2, "combination": 2, "trees_next": 5, "blend_next": 2}
MADE = {"context": 3, "trees_made": 5, "blend_made": 3}


@pytest.fixture(scope="module")
def blending(trained):
    """All that predicts, with blends in which every member has a say; in those of `trained` trees answer alone."""
    content = read_metadata(trained).model_dump()
    for question, blend in content["blend"].items():
        weights = {name: [0.25, 0.5] for name in blend["weights"] if name != "trees"}
        blend |= {"weights": weights | {"trees": [1.0]}, "temperature": 0.8, "centre": -1.5, "answered_by": "blend"}
        assert question in ("next", "made")
    return Predictor(Metadata.model_validate(content), trained)


def test_every_row_is_scored_from_its_own_past(blending, prepared):
    scores = blending.score(prepared)
    n_past = NEXT | MADE
    assert list(scores) == list(n_past)
    assert {name: int(scores[name].first_valid_index()) for name in scores} == n_past
    assert all(scores[name][n_past[name] :].notna().all() for name in scores)
    for row in (2, 3, 4, 5, 77, 199):
        for name, fewest in n_past.items():
            known = prepared[: row + (name in MADE)]
            if row >= fewest:
                assert scores[name][row] == pytest.approx(blending.predict(known, name).probability)


def test_a_blend_pools_the_logits_of_members_and_trees_about_its_centre(blending, prepared):
    found = blending.predict(prepared, "blend_made")
    assert [(one.ensemble, one.seq_length) for one in found.members] == [("context", 2), ("context", 4), ("trees", 4)]
    assert [one.weight for one in found.members] == pytest.approx([0.25 / 1.75, 0.5 / 1.75, 1 / 1.75])
    mean = sum(one.weight * logit(one.probability) for one in found.members)
    assert found.probability == pytest.approx(expit(-1.5 + (mean + 1.5) / 0.8))
    assert found.members[2].probability == pytest.approx(blending.predict(prepared, "trees_made").probability)


def test_trees_that_answer_alone_are_the_blend(predictor, prepared):
    scores = predictor.score(prepared, 10)
    for question in ("next", "made"):
        assert predictor.metadata.blend[question].answered_by == "trees"
        np.testing.assert_allclose(scores[f"blend_{question}"], scores[f"trees_{question}"], rtol=1e-12)


def predict_made(predictor, raw, n_history):
    """What each way of asking says of row 20 of `raw`, as just made after the `n_history` purchases before it."""
    last, history = raw.iloc[20], raw[20 - n_history : 20]
    table = predictor.metadata.scaling.extend(raw[20 - n_history : 21])
    return (
        predictor.predict_proba(history, made=(last["datetime"], last["number"]), name="context"),
        predictor.predict(table, "context").probability,
        predictor.score(raw[20 - n_history : 21]).iloc[-1]["context"],
    )


def test_the_shortest_context_member_needs_a_purchase_more_than_it_reads(predictor, prepared):
    raw = prepared[["datetime", "returned", "number"]]
    last = raw.iloc[20]
    for n_history in (0, 1, 2):
        with pytest.raises(DataError, match=rf"at least 3 purchases \(found {n_history}\)"):
            predictor.predict_proba(raw[20 - n_history : 20], (last["datetime"], last["number"]), "context")
        assert np.isnan(predictor.score(raw[20 - n_history : 21])["context"]).all()
    assert np.isfinite(predict_made(predictor, raw, 3)).all()


@pytest.mark.parametrize(("n_history", "lengths", "left_out"), [(3, [2], [4]), (4, [2], [4]), (5, [2, 4], [])])
def test_older_purchases_change_no_context_member_that_has_answered(predictor, prepared, n_history, lengths, left_out):
    raw = prepared[["datetime", "returned", "number"]]
    found = predictor.predict(predictor.metadata.scaling.extend(raw[20 - n_history : 21]), "context")
    assert ([member.seq_length for member in found.members], found.left_out) == (lengths, left_out)
    assert predict_made(predictor, raw, n_history) == pytest.approx([found.probability] * 3, rel=1e-6)
    for n_older in range(1, 9):
        longer = predictor.predict(predictor.metadata.scaling.extend(raw[20 - n_history - n_older : 21]), "context")
        by_length = {member.seq_length: member.probability for member in longer.members}
        assert [by_length[member.seq_length] for member in found.members] == [m.probability for m in found.members]


def test_no_answer_depends_on_a_made_up_gap_or_label(predictor, prepared):
    """The first row's gap and label before are made up: a file that begins there, or with another purchase, agrees."""
    raw = prepared[["datetime", "returned", "number"]]
    for n_history in (3, 4, 5, 6):
        table = predictor.metadata.scaling.extend(raw[20 - n_history : 21]).reset_index(drop=True)
        other = table.copy()
        # Of the first purchase only its label counts, which the second one reads.
        other.loc[0, list(SCALED_FEATURES)] = 0.9
        assert predictor.predict(other, "context") == predictor.predict(table, "context")
        np.testing.assert_array_equal(
            predictor.score_scaled(other, 0, n_history + 1)["context"],
            predictor.score_scaled(table, 0, n_history + 1)["context"],
        )


@pytest.mark.parametrize(("weights", "needed"), [([1, 0], 3), ([0, 1], 5)])
def test_weights_say_which_past_a_purchase_just_made_needs(predictor, prepared, weights, needed):
    assert predictor.predict(prepared[: needed + 1], "context", weights).probability > 0
    with pytest.raises(DataError, match=rf"at least {needed} purchases \(found {needed - 1}\)"):
        predictor.predict(prepared[:needed], "context", weights)


def test_a_score_is_the_same_to_the_last_bit_whatever_is_scored_with_it(predictor, prepared):
    every = predictor.score(prepared)
    for first, end in ((0, 3), (3, 9), (120, 121), (57, 200)):
        pd.testing.assert_frame_equal(predictor.score(prepared, first, end), every[first:end], check_exact=True)
    longer = pd.concat([prepared] * 3, ignore_index=True)
    pd.testing.assert_frame_equal(predictor.score(longer, 0, 200), every, check_exact=True)


def test_a_label_that_is_not_known_yet_changes_no_score(blending, prepared):
    changed = prepared.copy()
    changed.loc[150, "returned"] = 1 - changed.loc[150, "returned"]
    plain, other = blending.score(prepared), blending.score(changed)
    pd.testing.assert_frame_equal(plain[:151], other[:151], check_exact=True)
    assert (plain.loc[151] != other.loc[151])[["time", "simple", "context", "blend_next", "blend_made"]].tolist() == [
        *(False, True, True, True, True)
    ]


def test_a_history_of_purchases_predicts_as_its_scaled_features_do(predictor, prepared):
    raw = prepared[["datetime", "returned", "number"]]
    for name in ("time", "simple", "combination"):
        expected = predictor.predict(prepared, name).probability
        assert predictor.predict_proba(raw, name=name) == pytest.approx(expected)
    assert predictor.predict_proba(raw) == pytest.approx(predictor.predict(prepared, "blend_next").probability)
    trees = predictor.predict(prepared, "trees_next").probability
    assert predictor.predict_proba(raw, name="trees") == pytest.approx(trees)
    assert predictor.predict_proba(raw["returned"].tolist()) == predictor.predict_proba(raw, name="simple")
    last = raw.iloc[-1]
    made = predictor.predict_proba(raw[:-1], made=(last["datetime"], last["number"]))
    assert made == pytest.approx(predictor.predict(prepared, "blend_made").probability)


def test_a_table_of_purchases_is_scored_as_its_scaled_features_are(predictor, prepared):
    raw = prepared[["datetime", "returned", "number"]].set_axis(range(1000, 1200))
    expected = predictor.score_scaled(prepared, 0, 200)
    pd.testing.assert_frame_equal(predictor.score(raw), expected.set_axis(raw.index), check_exact=True)
    part = predictor.score(raw, 57, 77)
    pd.testing.assert_frame_equal(part, expected[57:77].set_axis(raw.index[57:77]), check_exact=True)
    # As each purchase is predicted by itself.
    assert part["blend_next"].iloc[-1] == pytest.approx(predictor.predict_proba(raw[:76]))
    last = raw.iloc[76]
    made = predictor.predict_proba(raw[:76], made=(last["datetime"], last["number"]))
    assert part["blend_made"].iloc[-1] == pytest.approx(made)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
def test_labels_alone_are_scored_by_the_simple_ensemble(predictor, prepared, kind):
    scores = predictor.score(kind(prepared["returned"].tolist()))
    assert list(scores) == ["simple"]
    np.testing.assert_array_equal(scores["simple"], predictor.score(prepared)["simple"])


def test_labels_alone_are_refused_where_nothing_reads_them(trained):
    predictor = Predictor(read_metadata(trained), trained, ["time"])
    with pytest.raises(SettingsError, match="labels alone are for simple; time predict from a table"):
        predictor.score([1, 0, 1])


@pytest.mark.parametrize(("first", "end"), [(-1, None), (5, 3), (0, 201), (201, None), (0, -3)])
def test_rows_that_the_history_does_not_have_are_not_scored(predictor, prepared, first, end):
    with pytest.raises(SettingsError, match="first and end must be purchases of the history"):
        predictor.score(prepared, first, end)


def test_an_empty_history_has_no_scores(predictor, prepared):
    assert predictor.score(prepared[:0]).shape == (0, 8)
    with pytest.raises(DataError, match=r"at least 2 purchases \(found 0\)"):
        predictor.predict_proba(prepared[:0])


@pytest.fixture
def autumn(tmp_path):
    """Purchases of the night in which London's clocks go back, as they are read: local times fall on the way."""
    times = [f"2025-10-25T{hour:02}:10Z" for hour in range(10, 24)] + ["2025-10-26T00:30Z", "2025-10-26T01:10Z"]
    path = tmp_path / "autumn.csv"
    rows = [f"{time},{'yes' if place % 3 == 0 else 'no'},{place}" for place, time in enumerate(times)]
    path.write_text("\n".join(["datetime,returned,number", *rows]))
    table = read_purchases(path, timezone="Europe/London").table
    assert not table["datetime"].is_monotonic_increasing
    return table


def test_a_table_with_instants_is_in_their_order(predictor, autumn):
    scores = predictor.score(autumn)
    expected = predictor.score_scaled(predictor.scale(autumn), 0, len(autumn), list(scores))
    np.testing.assert_array_equal(scores, expected)
    assert scores.iloc[5:].notna().all(axis=None)
    assert predictor.predict_proba(autumn) == predictor.predict(predictor.scale(autumn), "blend_next").probability
    for broken in (autumn[::-1], autumn.assign(instant=autumn["datetime"]), autumn.assign(instant=pd.NaT)):
        for call in (predictor.score, predictor.predict_proba):
            with pytest.raises(DataError, match="history: instant must be naive datetimes, none before the one above"):
                call(broken)
    with pytest.raises(DataError, match=r"history: datetime must be naive datetimes$"):
        predictor.score(autumn.assign(datetime="2025-10-26"))
    with pytest.raises(DataError, match="none before the one above it"):
        predictor.score(autumn.drop(columns="instant"))


# The purchase just made with its offset, and without one where that is the offset of the purchase before.
@pytest.mark.parametrize(
    ("n_past", "made"),
    [(14, ["2025-10-26T01:30+01:00", "2025-10-26T01:30"]), (15, ["2025-10-26T01:10+00:00"]), (9, ["2025-10-25T20:10"])],
)
def test_a_purchase_just_made_is_placed_by_its_offset_or_the_last_one(predictor, autumn, n_past, made):
    expected = predictor.score(autumn)[["context", "blend_made"]].iloc[n_past].tolist()
    for when in made:
        found = [predictor.predict_proba(autumn[:n_past], (when, n_past), name) for name in ("context", "blend")]
        assert found == pytest.approx(expected, abs=1e-7)
    # By the offset of summer, 01:10 was before 01:30.
    with pytest.raises(DataError, match="instant must be naive datetimes, none before"):
        predictor.predict_proba(autumn[:15], ("2025-10-26T01:10", 15))


@pytest.mark.parametrize(("minutes", "n_known"), [(0, 15), (39, 15), (41, 14), (4 * 60, 12)])
def test_labels_are_certain_by_the_instant(autumn, minutes, n_known):
    rules = PastSettings(group_column=None, label_delay_days=minutes / (24 * 60), rate_strength=1)
    made = (pd.Timestamp("2025-10-26T01:10+00:00"), 15)
    # 40 minutes after the purchase before, which was made at 01:30 of summer time.
    past = read_known_past(autumn[:15], rules, made, None, None)
    assert past["number"].tolist() == [*range(n_known), 15]
    assert past["instant"][-1] == np.datetime64("2025-10-26T01:10")
    # What is asked is told by the same clock; a label may be certain at that very moment.
    asked = read_known_past(autumn[:15], rules, None, None, made[0])
    assert asked["number"].tolist() == list(range(n_known))


def test_the_predictor_says_what_it_learned_from(predictor):
    source = predictor.source
    assert (source.file, source.n_purchases) == ("purchases.csv", 200)
    assert source.span == ("2024-01-01T09:00:00", "2024-02-28T10:00:00")
    assert {part: figures.rows for part, figures in source.parts.items()} == {"train": 140, "val": 40, "test": 20}


def test_describe_names_every_member(trained):
    text = describe(read_metadata(trained), trained)
    for name in ("time/model_seq2.pth", "time/model_seq4.pth", "simple/model_simple_seq2.pth", "models_meta.json"):
        assert str(trained / name) in text
