"""What is no history, no purchase and no model is refused by every method of a `Predictor`."""

import numpy as np
import pandas as pd
import pytest

from boomerang.base.errors import DataError, SettingsError


@pytest.mark.parametrize(
    ("change", "made", "name", "error", "message"),
    [
        ({}, None, "context", SettingsError, "the purchase just made for context, trees and blend alone"),
        ({}, ("2030-01-01", 1), "time", SettingsError, "the purchase just made for context, trees and blend alone"),
        ({}, None, "all", SettingsError, "name must be one of what is loaded"),
        ({"returned": 2}, None, None, DataError, "returned must be 0 or 1"),
        ({"number": np.nan}, None, None, DataError, "number must be finite"),
        ({"datetime": pd.Timestamp("2030-01-01")}, None, None, DataError, "none before the one above it"),
        ({}, ("1999-01-01", 1), None, DataError, "none before the one above it"),
        ({}, ("2030-01-01", np.inf), None, DataError, "number must be finite"),
        ({}, ("2030-01-01T00:00Z", 1), None, DataError, "the datetime must be naive local time"),
    ],
)
def test_what_is_no_history_is_refused(predictor, prepared, change, made, name, error, message):
    raw = prepared[["datetime", "returned", "number"]].copy()
    for column, value in change.items():
        raw.loc[raw.index[-3], column] = value
    with pytest.raises(error, match=message):
        predictor.predict_proba(raw, made, name)


GOOD = pd.DataFrame(
    {"datetime": pd.date_range("2024-01-01", periods=9), "returned": [0, 1, 0] * 3, "number": [1.5] * 9}
)


NONSENSE = {
    "nothing": None,
    "a number": 5,
    "text": "yes,no,yes",
    "bytes": b"0101",
    "a set": {0, 1},
    "a dict of labels": {"yes": 1, "no": 0},
    "a dict of a number": {"returned": 5},
    "a dict of columns of two lengths": {"returned": [0, 1, 0], "year": 5},
    "labels in words": ["yes", "no", "yes"],
    "labels of other numbers": [0, 1, 2],
    "labels not known": [0, None, 1],
    "labels that are no numbers": [0, np.nan, 1],
    "labels of different lengths": [[0, 1], [0]],
    "an array of two dimensions": np.zeros((3, 3)),
    "an array of none": np.array(1),
    "a table without rows and columns": pd.DataFrame(),
    "a table of other columns": pd.DataFrame({"a": [1, 2, 3]}),
    "labels in words in a table": GOOD.assign(returned=["yes", "no", "no"] * 3),
    "datetimes as text": GOOD.assign(datetime="2024-01-01"),
    "datetimes as numbers": GOOD.assign(datetime=range(9)),
    "datetimes with a zone": GOOD.assign(datetime=GOOD["datetime"].dt.tz_localize("UTC")),
    "a datetime missing": GOOD.assign(datetime=GOOD["datetime"].mask(GOOD.index == 8)),
    "all datetimes missing": GOOD.assign(datetime=pd.NaT),
    "rows out of order": GOOD[::-1],
    "numbers as text": GOOD.assign(number="3"),
    "numbers that are words": GOOD.assign(number="many"),
    "numbers that are infinite": GOOD.assign(number=np.inf),
    "numbers that are missing": GOOD.assign(number=pd.array([1, 2, None] * 3, dtype="Int64")),
    "numbers that are complex": GOOD.assign(number=1j),
    "numbers that are dates": GOOD.assign(number=GOOD["datetime"]),
    "numbers that are lists": GOOD.assign(number=pd.Series([[1]] * 9)),
    "a column twice": pd.concat([GOOD, GOOD[["number"]]], axis=1),
    "two levels of columns": pd.concat({"a": GOOD}, axis=1),
}


@pytest.mark.parametrize("table", NONSENSE.values(), ids=NONSENSE.keys())
def test_no_method_takes_nonsense_for_a_history(predictor, table):
    calls = [
        lambda: predictor.predict_proba(table),
        lambda: predictor.score(table),
        lambda: predictor.score_scaled(table, 0, 3),
        lambda: predictor.member_logits(table, 0, 3),
        lambda: predictor.windows(table).of_member(("context", 2)),
        *(lambda name=name: predictor.predict(table, name) for name in ("time", "simple", "combination", "context")),
    ]
    # `simple` reads labels alone, and in most of the tables these are labels.
    is_table = isinstance(table, pd.DataFrame | dict) and np.ndim(table.get("returned", 0)) == 1
    if is_table and np.asarray(table["returned"]).dtype == np.int64:
        del calls[-3]
    for call in calls:
        with pytest.raises(DataError) as refused:
            call()
        assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "made", [5, "tomorrow", (), ("tomorrow", 1), (None, 1), (GOOD, 1), ("2030-01-01", "six"), ("2030-01-01", None)]
)
def test_no_nonsense_is_taken_for_a_purchase_just_made(predictor, made):
    with pytest.raises(DataError, match=r"made: must be the datetime and the number|none before the one above it"):
        predictor.predict_proba(GOOD, made)


@pytest.mark.parametrize("name", ["other", "", None, 5])
def test_what_is_not_loaded_is_refused_by_every_method(predictor, prepared, name):
    for call in (
        predictor.pool,
        lambda name: predictor.predict(prepared, name),
        lambda name: predictor.combine({}, name),
    ):
        with pytest.raises(SettingsError, match="is not loaded"):
            call(name)


def test_a_column_that_is_missing_is_named(predictor, prepared):
    with pytest.raises(DataError, match="found none named number"):
        predictor.predict_proba(prepared[["datetime", "returned"]])


def test_labels_alone_are_for_the_simple_ensemble(predictor):
    with pytest.raises(SettingsError, match="simple takes labels too"):
        predictor.predict_proba([0, 1, 0], name="time")
    with pytest.raises(DataError, match="at least 2 purchases"):
        predictor.predict_proba([1])
