"""The known past of each purchase against a row-by-row reference that follows the words of the design."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from boomerang.base.ensembles import ENSEMBLES_BY_GROUP
from boomerang.base.errors import DataError
from boomerang.base.settings import PastSettings
from boomerang.features.inputs import stack_inputs
from boomerang.features.known_past import NOBODY, PastRules, find_known_past, select_past
from boomerang.features.preparing import prepare_table, set_aside
from boomerang.features.split import count_parts
from boomerang.model.known_past_windows import KnownPastWindows

DAY = pd.Timedelta(days=1)


@st.composite
def histories(draw, most=40):
    """Few days, groups and delays, so that ties, boundaries and open labels are frequent."""
    n = draw(st.integers(4, most))
    days = sorted(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    columns = {
        "datetime": pd.Timestamp("2024-03-01") + pd.to_timedelta(days, unit="D"),
        "returned": draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)),
        "number": [float(value) for value in draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))],
        "group": np.array(draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), dtype=np.int64),
        "is_open": draw(st.lists(st.sampled_from([False, False, False, True]), min_size=n, max_size=n)),
    }
    table = pd.DataFrame(columns).astype({"datetime": "M8[us]", "returned": "int8"})
    table["returned"] = table["returned"].where(~table["is_open"], 0)
    column, delay = draw(st.sampled_from([("customer", 0), ("customer", 1), ("customer", 3.5), (None, 2)]))
    return table, PastSettings(group_column=column, label_delay_days=delay, rate_strength=20)


def known_to(table, past_settings, row):
    """The rows that are known when `row` is made, in time order: word by word as the design has it."""
    times, groups, is_open = table["datetime"].tolist(), table["group"].tolist(), table["is_open"].tolist()
    found = []
    for other in range(len(table)):
        same = past_settings.group_column is None or (groups[row] == groups[other] != NOBODY)
        before = times[other] < times[row]
        certain = times[other] <= times[row] - past_settings.label_delay_days * DAY
        if same and before and certain and not is_open[other]:
            found.append(other)
    return found


@settings(deadline=None)
@given(histories())
def test_each_purchase_knows_what_the_design_says(history):
    table, past_settings = history
    past = find_known_past(table, past_settings)
    for row in range(len(table)):
        assert past.rows[past.starts[row] : past.ends[row]].tolist() == known_to(table, past_settings, row)


@settings(deadline=None)
@given(histories())
def test_without_groups_and_delay_all_rows_above_are_known_but_open_ones(history):
    table, _ = history
    past = find_known_past(table, None)
    for row in range(len(table)):
        expected = [other for other in range(row) if not table["is_open"][other]]
        assert past.rows[past.starts[row] : past.ends[row]].tolist() == expected


@settings(deadline=None)
@given(histories(), st.integers(-1, 3), st.integers(0, 14), st.booleans())
def test_the_past_of_a_group_at_a_time_is_what_is_known_then(history, group, day, inclusive):
    table, past_settings = history
    now = pd.Timestamp("2024-03-01") + day * DAY
    rows = select_past(table, past_settings, group, np.datetime64(now), inclusive)
    expected = []
    for row, made in enumerate(table["datetime"]):
        same = past_settings.group_column is None or table["group"][row] == group != NOBODY
        # Where the purchase asked about is still to come, one of this very time is before it.
        before = made < now or (inclusive and made == now)
        certain = made <= now - past_settings.label_delay_days * DAY
        if same and before and certain and not table["is_open"][row]:
            expected.append(row)
    assert rows.tolist() == expected


def reference_features(table, past_settings, base_rate, steps, row):
    """What `context` is told of the past of a step, unscaled; `steps` are the rows before it in its window's stream."""
    if not steps:
        return {"gap": 0.0, "returned_before": 0, "has_past": 0, "n_known": 0, "rate": base_rate}
    last, labels = steps[-1], [int(table["returned"][step]) for step in steps]
    gap = (table["datetime"][row] - table["datetime"][last]).total_seconds()
    rate = (sum(labels) + past_settings.rate_strength * base_rate) / (len(labels) + past_settings.rate_strength)
    return {"gap": gap, "returned_before": labels[-1], "has_past": 1, "n_known": len(labels), "rate": rate}


def scaled(scaler, name, value):
    at = scaler.features.index(name)
    low, high = scaler.data_min[at], scaler.data_max[at]
    return 0.0 if low == high else (np.log1p(value) - low) / (high - low)


@settings(deadline=None)
@given(histories(), st.integers(1, 4))
def test_windows_delay_and_embargo_are_those_of_a_row_by_row_reference(history, seq_length):
    table, past_settings = history
    try:
        kept, counts = set_aside(table, past_settings)
        prepared = prepare_table(kept, 0.3, 0.2, "none", past_settings)
    except DataError:
        return
    # Set aside: open, or made within the delay before the latest datetime of the file.
    last = table["datetime"].max()
    is_late = table["datetime"] > last - past_settings.label_delay_days * DAY
    assert counts == {
        "open": int(table["is_open"].sum()),
        "made within the delay": int((is_late & ~table["is_open"]).sum()),
    }
    expected = table[~table["is_open"] & ~is_late].reset_index(drop=True)
    assert kept["number"].tolist() == expected["number"].tolist()
    # Split by rows, then an embargo on what is not certain when the next part begins.
    n_train, n_val, n_test = count_parts(len(kept), 0.3, 0.2)
    parts = ["train"] * n_train + ["val"] * n_val + ["test"] * n_test
    for first, part in ((n_train, "train"), (n_train + n_val, "val")):
        if first < len(kept):
            anyone = past_settings.model_copy(update={"group_column": None})
            knows = known_to(kept.assign(is_open=False), anyone, first)
            parts = [
                "embargo" if of == part and row not in knows and row < first else of for row, of in enumerate(parts)
            ]
    found = prepared.table
    assert found["part"].tolist() == parts
    base_rate = prepared.rules.base_rate
    assert base_rate == pytest.approx(kept["returned"][[part == "train" for part in parts]].mean(), abs=1e-6)
    # Windows of `context`: step by step.
    kept = kept.assign(is_open=False)
    past = find_known_past(found, prepared.rules)
    features = ENSEMBLES_BY_GROUP["context"].features
    inputs = stack_inputs(found, features, past, prepared.scaler, prepared.rules)
    windows = KnownPastWindows.cut(inputs.stream, inputs.own, (past.starts, past.ends), past.returned, {}, seq_length)
    read, n_steps = windows.gather(torch.arange(len(kept)))
    for row in range(len(kept)):
        known = known_to(kept, past_settings, row)
        steps = known[-seq_length:]
        assert n_steps[row] == len(steps) + 1
        for place, step in enumerate([*steps, row]):
            before = known if step == row and place == len(steps) else known[: known.index(step)]
            told = reference_features(kept, past_settings, base_rate, before, step)
            values = dict(zip(features, read[row, place].tolist(), strict=True))
            has = told["has_past"]
            assert values["has_past"] == has
            assert values["returned_before"] == told["returned_before"]
            assert values["rate_so_far"] == pytest.approx(told["rate"], rel=1e-6)
            assert values["gap_scaled"] == pytest.approx(
                has * scaled(prepared.scaler, "gap_scaled", told["gap"]), abs=1e-5
            )
            count = has * scaled(prepared.scaler, "count_scaled", told["n_known"])
            assert values["count_scaled"] == pytest.approx(count, abs=1e-5)
            for name in ("day", "weekday", "number_scaled"):
                assert values[name] == found[name][step]
        assert (read[row, len(steps) + 1 :] == 0).all()
    assert found["n_known"].tolist() == [len(known_to(kept, past_settings, row)) for row in range(len(kept))]


def test_a_delay_longer_than_the_history_says_so():
    table = pd.DataFrame(
        {"datetime": pd.date_range("2024-01-01", periods=5).astype("M8[us]"), "returned": [0, 1, 0, 1, 0]}
    )
    past_settings = PastSettings(group_column=None, label_delay_days=30, rate_strength=20)
    with pytest.raises(DataError, match=r"label_delay_days must be below the 4\.0 days of the history"):
        set_aside(table, past_settings)


def test_a_part_that_is_all_embargo_says_so():
    days = pd.date_range("2024-01-01", periods=20).astype("M8[us]")
    table = pd.DataFrame({"datetime": days, "returned": [0, 1] * 10, "number": 1.0})
    past_settings = PastSettings(group_column=None, label_delay_days=15, rate_strength=20)
    with pytest.raises(DataError, match="label_delay_days must leave purchases in train whose label is certain"):
        prepare_table(table, 0.2, 0.1, "none", past_settings)


@pytest.mark.parametrize(
    "change", [{"group_column": None}, {"base_rate": 0}, {"rate_strength": 0}, {"label_delay_days": -1}]
)
def test_rules_that_no_training_has_are_refused(change):
    rules = {"group_column": "customer", "label_delay_days": 0, "rate_strength": 20, "base_rate": 0.3}
    PastRules(**rules)
    with pytest.raises(ValidationError):
        PastRules(**{**rules, **change})
