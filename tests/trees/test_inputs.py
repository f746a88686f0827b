"""What trees read of a purchase, against a slow obvious way to find it."""

import math

import numpy as np
import pandas as pd
import pytest

from boomerang.base.ensembles import SCALED_FEATURES
from boomerang.features.known_past import PastRules, find_known_past
from boomerang.features.scaler import Scaler
from boomerang.trees.inputs import TreeTable, count_labels, fewest_past, list_inputs

RULES = PastRules(group_column="customer", label_delay_days=1, rate_strength=4, base_rate=0.25)
DELAY = pd.Timedelta(days=1)


def draw_table(rules, n_rows=60):
    draw = np.random.default_rng(5)
    hours = np.sort(draw.integers(0, 24 * 12, n_rows))
    table = pd.DataFrame(
        {
            "datetime": pd.Timestamp("2024-03-01") + pd.to_timedelta(hours, unit="h"),
            "returned": draw.integers(0, 2, n_rows),
            "number": draw.integers(1, 50, n_rows).astype(float),
            "group": draw.integers(-1, 4, n_rows) if rules else 0,
            "is_open": draw.random(n_rows) < 0.1,
        }
    )
    with_counts = table.assign(gap_seconds=0.0, n_known=9) if rules else table
    scaler = Scaler.fit(with_counts, "asinh")
    features = SCALED_FEATURES[:-1] if rules else SCALED_FEATURES
    return scaler.extend(table, features), scaler


def find_past(table, row, rules):
    """Rows of the known past, the latest first."""
    at = table.iloc[row]
    found = []
    for other in range(len(table)) if rules else range(row):
        one = table.iloc[other]
        if one["is_open"] or one["group"] == -1 or one["group"] != at["group"]:
            continue
        if not rules or (one["datetime"] < at["datetime"] and one["datetime"] + DELAY <= at["datetime"]):
            found.append(other)
    return found[::-1]


def gap_since(table, scaler, later, earlier):
    seconds = (table["datetime"].iloc[later] - table["datetime"].iloc[earlier]).total_seconds()
    return scaler.scale_column("gap_scaled", np.array([math.log1p(seconds)]))[0]


def expect(table, scaler, rules, row, question, column):
    """The number that a column holds, as its name says."""
    past, (feature, lag) = find_past(table, row, rules), column
    if feature in ("returned", "returned_before"):
        place = lag if feature == "returned_before" else lag - 1
        return table["returned"].iloc[past[place]] if place < len(past) else np.nan
    if feature == "has_past":
        return float(len(past) > 0)
    if feature == "count_scaled":
        return scaler.scale_column("count_scaled", np.array([math.log1p(len(past))]))[0] if past else 0.0
    if feature == "rate_so_far":
        return (table["returned"].iloc[past].sum() + 4 * 0.25) / (len(past) + 4)
    if lag > len(past):
        return np.nan
    of = past[lag - 1] if lag else row
    if feature != "gap_scaled":
        return table[feature].iloc[of]
    if not lag:
        return gap_since(table, scaler, row, past[0]) if past else (0.0 if rules else np.nan)
    # A purchase of the past has before it what comes before it there, whenever that became known.
    return gap_since(table, scaler, of, past[lag]) if lag < len(past) else (0.0 if rules else np.nan)


@pytest.mark.parametrize("question", ["next", "made"])
@pytest.mark.parametrize("rules", [None, RULES], ids=["stream", "groups"])
def test_each_number_is_what_its_name_says(question, rules):
    table, scaler = draw_table(rules)
    past = find_known_past(table, rules)
    columns = list_inputs(question, rules is not None, 12)
    found = TreeTable.of(table, past, scaler, rules).read(columns, slice(None))
    assert (found.shape, found.dtype) == ((60, len(columns)), np.float32)
    for row in range(60):
        n_past = len(find_past(table, row, rules))
        # In one stream, nothing is asked of trees where fewer purchases are known.
        if n_past < fewest_past(rules is not None, 12):
            continue
        expected = [expect(table, scaler, rules, row, question, column) for column in columns]
        np.testing.assert_allclose(found[row], np.array(expected, dtype=np.float32), atol=1e-6, err_msg=str(row))


@pytest.mark.parametrize("rules", [None, RULES], ids=["stream", "groups"])
def test_the_purchase_still_to_come_knows_all_that_is_past(rules):
    table, scaler = draw_table(None)
    table = table[~table["is_open"]].reset_index(drop=True)
    # All rows but the last are the known past of one group; of the last nothing is read.
    known = table.iloc[:-1]
    columns = list_inputs("next", rules is not None, 12)
    of_last = TreeTable.of(table, find_known_past(table, None), counting(scaler, rules), rules).read(
        columns, slice(-1, None)
    )
    counts = len(known), int(known["returned"].sum())
    after = TreeTable.after(known[-14:], counts, counting(scaler, rules), rules)
    np.testing.assert_array_equal(after.read(columns, slice(-1, None)), of_last)


def counting(scaler, rules):
    """The scaler, of a training with groups where there are rules."""
    if rules is None:
        return scaler
    features = [*scaler.features, "count_scaled"]
    return Scaler(
        features=features, number_transform="asinh", data_min=[*scaler.data_min, 0.0], data_max=[*scaler.data_max, 5.0]
    )


def test_the_names_of_what_is_read():
    assert [one.name for one in list_inputs("next", True, 3)] == [
        *("has_past", "count_scaled", "rate_so_far"),
        *("hour_lag1", "weekday_lag1", "gap_scaled_lag1", "number_scaled_lag1"),
        *("returned_lag1", "returned_lag2", "returned_lag3"),
    ]
    assert [one.name for one in list_inputs("made", False, 2)] == [
        *("year", "month", "day", "hour", "weekday", "number_scaled", "gap_scaled"),
        *("returned_before", "returned_before_lag1"),
        *("gap_scaled_lag1", "gap_scaled_lag2", "number_scaled_lag1", "number_scaled_lag2"),
    ]


def test_no_more_than_64_labels_and_8_gaps_and_numbers_are_read():
    names = [one.name for question in ("next", "made") for one in list_inputs(question, False, 1000)]
    assert {"returned_lag64", "returned_before_lag63", "gap_scaled_lag8", "number_scaled_lag8"} <= set(names)
    assert not {"returned_lag65", "returned_before_lag64", "gap_scaled_lag9", "number_scaled_lag9"} & set(names)
    assert count_labels(1000) == 64
    assert (fewest_past(False, 1000), fewest_past(False, 3), fewest_past(True, 1000)) == (65, 4, 0)
