import numpy as np
import pandas as pd
import pytest

from boomerang.base.columns import Columns
from boomerang.base.ensembles import SCALED_FEATURES
from boomerang.base.errors import ArtifactError
from boomerang.features.prepared import read_history, read_prepared, read_values


def table(**columns):
    features = {name: np.zeros(4, dtype="float32") for name in SCALED_FEATURES}
    times = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"]).astype("datetime64[us]")
    good = {
        "datetime": times,
        "returned": np.array([0, 1, 0, 1], dtype="int8"),
        "part": ["train", "train", "val", "test"],
        **features,
    }
    return pd.DataFrame(good | columns)


def test_prepared_purchases_are_read(tmp_path):
    table(number=[1.0] * 4).to_parquet(tmp_path / "a.parquet", index=False)
    pd.testing.assert_frame_equal(read_prepared(tmp_path / "a.parquet"), table())


def test_the_part_test_may_be_empty(tmp_path):
    table(part=["train", "val", "val", "val"]).to_parquet(tmp_path / "a.parquet", index=False)
    assert len(read_prepared(tmp_path / "a.parquet")) == 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"datetime": ["2024-01-01"] * 4}, "datetime must be naive datetimes"),
        ({"datetime": pd.to_datetime([3, 2, 1, 0])}, "none before the one above it"),
        ({"datetime": pd.to_datetime([None] * 4)}, "none before the one above it"),
        ({"returned": [0, 1, 0, 2]}, "returned must be 0 or 1"),
        ({"returned": [0.0, 1.0, 0.0, 0.5]}, "returned must be 0 or 1"),
        ({"returned": ["0", "1", "0", "1"]}, "returned must be 0 or 1"),
        ({"returned": pd.array([0, 1, None, 1], dtype="Int8")}, "returned must be 0 or 1"),
        ({"part": ["train", "train", "test", "val"]}, "part must be train, then val, then test"),
        ({"part": ["train", "train", "test", "test"]}, r"found train 2, val 0, test 2 of 4 rows"),
        ({"part": ["val", "val", "val", "test"]}, "found train 0, val 3, test 1 of 4 rows"),
        ({"part": ["train", "train", "val", None]}, "found train 2, val 1, test 0 of 4 rows"),
        ({"part": [1, 2, 3, 4]}, "found train 0, val 0, test 0 of 4 rows"),
        ({"year": np.array([0, 1, np.inf, 0], dtype="float32")}, "must be finite float32"),
        ({"number_scaled": np.array([0, 1, np.nan, 0], dtype="float32")}, "must be finite float32"),
        ({"hour": np.zeros(4)}, "must be finite float32"),
        ({"hour": ["0"] * 4}, "must be finite float32"),
    ],
)
def test_what_prepare_never_writes_is_refused(tmp_path, columns, message):
    table(**columns).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(ArtifactError, match=message) as refused:
        read_prepared(tmp_path / "a.parquet")
    assert str(refused.value).isprintable()


# Local times of an hour that a clock change repeats.
REPEATED = {
    "datetime": pd.to_datetime(["2025-10-26T01:30", "2025-10-26T01:10", "2025-10-26T01:40", "2025-10-26T02:00"]),
    "instant": pd.to_datetime(["2025-10-26T00:30", "2025-10-26T01:10", "2025-10-26T01:40", "2025-10-26T02:00"]),
}


def test_instants_tell_the_order_where_there_are_some(tmp_path):
    table(**REPEATED).to_parquet(tmp_path / "a.parquet", index=False)
    found = read_prepared(tmp_path / "a.parquet")
    assert found["datetime"].tolist() == REPEATED["datetime"].tolist()
    assert found["instant"].tolist() == REPEATED["instant"].tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"instant": REPEATED["instant"][::-1]}, "instant must be naive datetimes, none before the one above it"),
        ({"instant": [1, 2, 3, 4]}, "instant must be naive datetimes"),
        ({"instant": pd.to_datetime([None, *REPEATED["instant"][1:]])}, "instant must be naive datetimes"),
        ({"datetime": pd.to_datetime([None, *REPEATED["datetime"][1:]])}, "datetime must be naive datetimes"),
    ],
)
def test_instants_that_prepare_never_writes_are_refused(tmp_path, columns, message):
    table(**REPEATED | columns).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(ArtifactError, match=message):
        read_prepared(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("columns", "names"),
    [({}, ["datetime", "returned", "number"]), (REPEATED, ["datetime", "instant", "returned", "number"])],
)
def test_a_history_is_what_was_read(tmp_path, columns, names):
    written = table(number=[1.0, 2.5, -3.0, 4.0], **columns)
    written.to_parquet(tmp_path / "purchases.parquet", index=False)
    history, counts = read_history(tmp_path)
    assert list(history) == names
    pd.testing.assert_frame_equal(history, written[names])
    assert counts == {"train": 2, "val": 1, "test": 1}


@pytest.mark.parametrize("column", ["datetime", "returned", "part", "number_scaled"])
def test_a_missing_column_is_refused(tmp_path, column):
    table().drop(columns=column).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(ArtifactError, match=column):
        read_prepared(tmp_path / "a.parquet")


VALUES = pd.DataFrame({"column": ["a", "a"], "value": ["x", ""], "n_known": [3, 1], "n_returned": [1, 0]})
COLUMNS = Columns(numeric=["price"], categorical=["a"])


def test_counts_of_values_are_read_back(tmp_path):
    VALUES.to_parquet(tmp_path / "values.parquet", index=False)
    pd.testing.assert_frame_equal(read_values(tmp_path, COLUMNS), VALUES, check_dtype=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (VALUES.assign(column="b"), "must hold the values of a, each once"),
        (VALUES.assign(value="x"), "must hold the values of a, each once"),
        (VALUES[:0], "must hold the values of a, each once"),
        (VALUES.assign(value=[1, 2]), "column and value must be text in every row"),
        (VALUES.assign(value=["x", None]), "column and value must be text in every row"),
        (VALUES.assign(value=[["x"], ["y"]]), "column and value must be text in every row"),
        (VALUES.assign(n_known=[1.5, 2.0]), "must be counts, int64"),
        (VALUES.assign(n_returned=[4, 0]), "must be counts, int64"),
        (VALUES.assign(n_returned=[-1, 0]), "must be counts, int64"),
        (VALUES.drop(columns="n_known"), "is not a table as its stage writes it"),
    ],
)
def test_counts_that_prepare_never_writes_are_refused(tmp_path, values, message):
    values.to_parquet(tmp_path / "values.parquet", index=False)
    with pytest.raises(ArtifactError, match=message):
        read_values(tmp_path, COLUMNS)


@pytest.mark.parametrize(("codes", "is_right"), [([0, 1, 1, 0], True), ([0, 2, 1, 0], False), ([0, -1, 1, 0], False)])
def test_codes_of_values_that_there_are_not_are_refused(tmp_path, codes, is_right):
    further = {"number": 1.0, "price_raw": [1.0, np.nan, 0.0, 2.0], "a_code": codes, "a_n_known": [0, 1, 1, 2]}
    table().assign(**further).to_parquet(tmp_path / "purchases.parquet", index=False)
    VALUES.to_parquet(tmp_path / "values.parquet", index=False)
    if is_right:
        assert list(read_history(tmp_path, COLUMNS)[0]) == ["datetime", "returned", "number", "price_raw", "a_code"]
        return
    with pytest.raises(ArtifactError, match=r"a_code must be (int64, 0 or more|up to 1)"):
        read_history(tmp_path, COLUMNS)
