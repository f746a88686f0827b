"""What further columns tell, against a row-by-row reference that follows the words of the design."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.base.columns import Columns
from boomerang.base.errors import DataError
from boomerang.base.settings import ColumnSettings, PastSettings
from boomerang.features import columns as under_test
from boomerang.features.columns import (
    MAX_COUNTED,
    ColumnRules,
    check_columns,
    count_asked,
    count_columns,
    describe_columns,
    tally,
)
from boomerang.features.preparing import prepare_table
from boomerang.features.scaler import Scaler

PRODUCT = Columns(numeric=[], categorical=["product"])
BOTH = ColumnSettings(numeric=["price"], categorical=["product"], rate_strength=4)
DAY = pd.Timedelta(days=1)
NONE = PastSettings(group_column=None, label_delay_days=1, rate_strength=20)


@st.composite
def histories(draw):
    """Few days, products and delays, so that ties, boundaries and open labels are frequent."""
    n = draw(st.integers(1, 40))
    days = sorted(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    table = pd.DataFrame(
        {
            "datetime": pd.Timestamp("2024-03-01") + pd.to_timedelta(days, unit="D"),
            "returned": draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)),
            "number": 1.0,
            "group": np.array(draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)), dtype=np.int64),
            "is_open": draw(st.lists(st.sampled_from([False, False, False, True]), min_size=n, max_size=n)),
            "product_code": np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.int64),
        }
    ).astype({"datetime": "M8[us]", "returned": "int8"})
    table["returned"] = table["returned"].where(~table["is_open"], 0)
    column, delay = draw(st.sampled_from([("customer", 0), ("customer", 1), (None, 3.5), (None, 0)]))
    past = PastSettings(group_column=column, label_delay_days=delay, rate_strength=20) if column or delay else None
    return table, past


def labels_known_to(table, past, row):
    """Labels of the same product that are known when `row` is made: word by word as the design has it."""
    times, is_open = table["datetime"].tolist(), table["is_open"].tolist()
    codes, labels, found = table["product_code"].tolist(), table["returned"].tolist(), []
    for other in range(len(table)):
        if past is None:
            is_known = other < row
        else:
            is_known = times[other] < times[row] and times[other] <= times[row] - past.label_delay_days * DAY
        if is_known and not is_open[other] and codes[other] == codes[row]:
            found.append(labels[other])
    return found


@pytest.fixture(params=[3, under_test.BLOCK])
def block(request, monkeypatch):
    """The rows of a block: once fewer than those of a history, once more."""
    monkeypatch.setattr(under_test, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@settings(deadline=None)
@given(histories())
def test_each_purchase_knows_the_labels_of_its_value_that_the_design_says(history):
    table, past = history
    n_known, n_returned = count_columns(table, PRODUCT, past).values()
    for row in range(len(table)):
        known = labels_known_to(table, past, row)
        assert (n_known[row], n_returned[row]) == (len(known), sum(known))


@settings(deadline=None)
@given(histories(), st.integers(0, 39))
def test_a_label_changes_no_count_of_a_purchase_that_does_not_know_it(history, at):
    table, past = history
    at %= len(table)
    changed = table.copy()
    changed.loc[at, "returned"] = 1 - changed.loc[at, "returned"]
    before, after = (count_columns(one, PRODUCT, past)["product_n_returned"] for one in (table, changed))
    for row in np.flatnonzero(before != after):
        assert len(labels_known_to(table.assign(product_code=0), past, row)) > 0
        # It is the label of an earlier purchase of the same product, certain by then.
        assert table["product_code"][row] == table["product_code"][at]
        assert at in [other for other in range(at + 1) if not table["is_open"][other]]
        assert past is None or table["datetime"][at] <= table["datetime"][row] - past.label_delay_days * DAY


@settings(deadline=None)
@given(histories(), st.integers(0, 14), st.integers(0, 4))
def test_a_purchase_that_stands_in_no_row_knows_the_same_as_one_that_does(history, day, code):
    table, past = history
    moment = pd.Timestamp("2024-03-01") + day * DAY
    if past is None:
        moment = max(moment, table["datetime"].iloc[-1])
    at = int(table["datetime"].searchsorted(moment, side="right"))
    row = table.iloc[[0]].assign(datetime=moment, product_code=code, is_open=True, returned=0)
    longer = pd.concat([table[:at], row, table[at:]], ignore_index=True).astype(table.dtypes)
    expected = {name: int(values[at]) for name, values in count_columns(longer, PRODUCT, past).items()}
    code = code if code in table["product_code"].tolist() else -1
    assert count_asked(table, PRODUCT, past, {"product": code}, np.datetime64(moment)) == expected


def test_a_rate_is_smoothed_and_a_count_scaled_up_to_a_limit():
    table = {
        "price_raw": np.array([2.0, np.nan, 4.0]),
        "product_n_known": np.array([0, 1, 2 * MAX_COUNTED]),
        "product_n_returned": np.array([0, 1, MAX_COUNTED]),
        "datetime": np.arange(3).astype("M8[D]"),
        "number": np.ones(3),
    }
    rules = ColumnRules(**BOTH.model_dump(), base_rate=0.25)
    frame = pd.DataFrame(table)
    raw = under_test.list_raw(frame, BOTH, "none")
    scaler = Scaler.fit(frame, "none", raw)
    found = describe_columns(table, rules, scaler)
    # (returns + k p) / (n + k), with k = 4 and p = 1/4.
    assert found["product_rate"].tolist() == pytest.approx([1 / 4, 2 / 5, 101 / 204])
    expected = [0, np.log(2) / np.log(1 + MAX_COUNTED), 1]
    assert found["product_count"].tolist() == pytest.approx(expected)
    assert found["price_value"].tolist() == [0, 0, 1]
    assert found["price_given"].tolist() == [1, 0, 1]
    assert {values.dtype for values in found.values()} == {np.dtype("float32")}


def test_a_number_that_float32_cannot_hold_scaled_is_refused():
    table = pd.DataFrame({"datetime": np.arange(2).astype("M8[D]"), "number": 1.0, "price_raw": [1.0, 1 + 1e-9]})
    rules = ColumnRules(numeric=["price"], categorical=[], rate_strength=4, base_rate=0.25)
    scaler = Scaler.fit(table, "none", under_test.list_raw(table, rules, "none"))
    with pytest.raises(DataError, match=r"price must, scaled as in training, .* \(found 1e\+300\)"):
        describe_columns({"price_raw": np.array([1e300])}, rules, scaler)


def write_history(labels="nynnyynynnnyynyn"):
    """Two purchases a day of two products in turn; every third has no price."""
    n = len(labels)
    return pd.DataFrame(
        {
            "datetime": pd.Timestamp("2024-03-01") + pd.to_timedelta(np.arange(n) // 2, unit="D"),
            "returned": np.array([label == "y" for label in labels], dtype=np.int8),
            "number": 1.0,
            "price_raw": [np.nan if row % 3 == 2 else 10.0 * row for row in range(n)],
            "product_code": np.arange(n) % 2,
        }
    ).astype({"datetime": "M8[us]"})


def test_the_scaler_sees_the_columns_of_training_rows_alone():
    table = write_history()
    changed = table.assign(price_raw=table["price_raw"].where(table.index < 10, 1e6))
    prepared, other = (prepare_table(one, 0.2, 0.2, "none", None, BOTH) for one in (table, changed))
    assert prepared.scaler.as_dict() == other.scaler.as_dict()
    assert prepared.scaler.features[-3:] == ["price_value", "price_given", "product_count"]
    assert prepared.scaler.data_max[-3:] == [90.0, 1.0, pytest.approx(np.log(5))]
    assert prepared.columns == ColumnRules(**BOTH.model_dump(), base_rate=0.4)


def test_labels_of_later_parts_are_known_to_those_after_them_alone():
    table, last = write_history(), 15
    changed = table.assign(returned=table["returned"].where(table.index != last - 1, 1 - table["returned"]))
    before, after = (prepare_table(one, 0.2, 0.2, "none", NONE, BOTH).table for one in (table, changed))
    pd.testing.assert_frame_equal(before.drop(columns="returned"), after.drop(columns="returned"))
    changed = table.assign(returned=table["returned"].where(table.index != 11, 1 - table["returned"]))
    after = prepare_table(changed, 0.2, 0.2, "none", NONE, BOTH).table
    assert np.flatnonzero(before["product_rate"] != after["product_rate"]).tolist() == [13, 15]


def test_a_column_in_which_no_training_purchase_has_a_number_is_a_constant():
    table = write_history()
    table["price_raw"] = np.where(table.index == 15, 3.0, np.nan)
    prepared = prepare_table(table, 0.2, 0.2, "none", None, BOTH)
    assert prepared.table["price_value"].tolist() == [0.0] * 16
    # No weight ever learned what it means that a price is given.
    assert prepared.table["price_given"].tolist() == [0.0] * 16


def test_the_counts_for_predictions_are_those_of_all_rows():
    found = tally(write_history(), PRODUCT, {"product": ["A", ""]})
    assert found.to_dict("list") == {
        "column": ["product", "product"],
        "value": ["A", ""],
        "n_known": [8, 8],
        "n_returned": [3, 4],
    }


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"price_raw": np.full(16, np.nan)}, "numeric_columns price: all 16 cells are blank, so it tells nothing"),
        (
            {"product_code": np.arange(16)},
            r"categorical_columns product: at most max_values, 15, different values are counted \(found 16 in 16",
        ),
    ],
)
def test_columns_from_which_nothing_can_be_learned_are_refused(column, message):
    table = write_history().assign(**column)
    values = [str(code) for code in sorted(set(table["product_code"]))]
    with pytest.raises(DataError, match=message):
        check_columns(table, BOTH, {"product": values}, 15)


@pytest.mark.parametrize(
    ("codes", "notes"),
    [
        (
            np.arange(16),
            ["product: every value stands once, as that of an order number does, so its rates tell nothing"],
        ),
        (np.zeros(16, dtype=int), ["product: a single value in all purchases, so its rate is that of the shop"]),
        (np.arange(16) % 2, []),
    ],
)
def test_columns_that_tell_little_are_noted(codes, notes):
    table = write_history().assign(product_code=codes)
    assert check_columns(table, BOTH, {"product": [str(code) for code in set(codes)]}, 100) == notes
