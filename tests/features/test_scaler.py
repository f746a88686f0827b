import math

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from boomerang.base.ensembles import LOG_GAP_SCALED, SCALED_FEATURES
from boomerang.base.errors import DataError
from boomerang.features.calendar import raw_features
from boomerang.features.inputs import stack_features
from boomerang.features.scaler import Scaler
from boomerang.features.split import split_parts

N_FEATURES = len(SCALED_FEATURES)


def column(values, name):
    """The column of the feature `name`."""
    return values[:, SCALED_FEATURES.index(name)]


def table(*rows):
    frame = pd.DataFrame(rows, columns=["datetime", "number"])
    return frame.assign(datetime=pd.to_datetime(frame["datetime"], format="ISO8601"))


def test_parts_follow_each_other_in_time():
    assert split_parts(10, 0.2, 0.1).tolist() == ["train"] * 7 + ["val"] * 2 + ["test"]
    assert split_parts(4, 0.5, 0.0).tolist() == ["train"] * 2 + ["val"] * 2


@pytest.mark.parametrize(
    ("n_rows", "val_split", "test_split", "needed"), [(2, 0.2, 0.1, 6), (3, 0.4, 0.1, 6), (4, 0.6, 0.39, 14)]
)
def test_a_part_without_rows_is_refused(n_rows, val_split, test_split, needed):
    with pytest.raises(DataError, match=rf"{n_rows} purchases are too few: .* so {needed} are needed"):
        split_parts(n_rows, val_split, test_split)


def test_raw_features_are_calendar_and_number():
    # A new feature is a new column here, and in no other test.
    rows = table(("2023-01-01 00:00:00", 0.0), ("2023-01-01 00:00:00.5", 2.0), ("2024-02-29 23:59:59.5", -3.0))
    expected = [
        [2023, 1, 1, 0, 6, 0.0, 0.0],
        [2023, 1, 1, 0, 6, math.asinh(2.0), math.log1p(0.5)],
        [2024, 2, 29, 23, 3, math.asinh(-3.0), math.log1p(424 * 86_400 + 86_399)],
    ]
    np.testing.assert_array_equal(raw_features(rows, "asinh"), expected)
    assert column(raw_features(rows, "none"), "number_scaled").tolist() == [0.0, 2.0, -3.0]


def test_gaps_come_from_the_instant_and_the_calendar_from_local_time():
    # Europe/London: 40 minutes of an hour that is repeated, then the hour that is left out in spring.
    local = ("2025-10-26T01:30", "2025-10-26T01:10", "2026-03-29T00:30", "2026-03-29T02:00")
    instants = ("2025-10-26T00:30", "2025-10-26T01:10", "2026-03-29T00:30", "2026-03-29T01:00")
    rows = table(*((time, 1.0) for time in local)).assign(instant=pd.to_datetime(list(instants)))
    gaps = [0, 40 * 60, (153 * 24 * 60 + 23 * 60 + 20) * 60, 30 * 60]
    found = raw_features(rows, "none")
    assert column(found, LOG_GAP_SCALED).tolist() == [math.log1p(gap) for gap in gaps]
    assert column(found, "hour").tolist() == [1, 1, 0, 2]
    as_arrays = {name: rows[name].to_numpy() for name in rows}
    np.testing.assert_array_equal(raw_features(as_arrays, "none"), found)


def test_an_ensemble_reads_its_features_and_each_label_a_purchase_later():
    rows = pd.DataFrame({"hour": [0.1, 0.2, 0.3], "gap_scaled": [0.0, 0.5, 1.0], "returned": [1, 0, 1]})
    stream = stack_features(rows, ("gap_scaled", "hour", "returned_before"))
    assert stream.dtype == np.float32
    np.testing.assert_allclose(stream, [[0.0, 0.1, 0], [0.5, 0.2, 1], [1.0, 0.3, 0]], rtol=1e-6)
    np.testing.assert_array_equal(stack_features(rows, ("returned",)), [[1], [0], [1]])


def test_scaling_maps_the_training_range_to_0_to_1_and_goes_beyond():
    scaler = Scaler.fit(table(("2023-01-01 10:00", 0), ("2024-03-05 14:00", 10)), "none")
    rows = table(("2023-01-01 10:00", 20), ("2025-02-03 12:00", 5), ("2025-02-03 12:00", 20))
    scaled = scaler.transform(rows)
    assert scaled.shape == (3, N_FEATURES)
    assert scaled.dtype == np.float32
    expected = {
        "year": [0, 2, 2],
        "month": [0, 0.5, 0.5],
        "day": [0, 0.5, 0.5],
        "hour": [0, 0.5, 0.5],
        "weekday": [1, -0.2, -0.2],
        "number_scaled": [2, 0.5, 2],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(column(scaled, name), values, rtol=1e-6, err_msg=name)


def test_the_gap_is_scaled_by_the_training_gaps():
    scaler = Scaler.fit(table(("2023-01-01 10:00", 0), ("2023-01-01 10:00:09", 1)), "none")
    scaled = scaler.transform(table(("2023-01-02", 0), ("2023-01-02 00:01:39", 1)))
    np.testing.assert_allclose(column(scaled, LOG_GAP_SCALED), [0, 2])  # log 100 is twice log 10


def test_extending_a_table_keeps_its_rows():
    rows = table(("2023-01-01", 1), ("2024-03-05 14:00", 3), ("2024-03-06", 2)).iloc[1:]
    scaler = Scaler.fit(rows, "none")
    extended = scaler.extend(rows)
    np.testing.assert_array_equal(extended[list(SCALED_FEATURES)], scaler.transform(rows))
    assert extended["number"].tolist() == [3, 2]


def test_a_constant_feature_scales_to_0_for_any_value():
    scaler = Scaler.fit(table(("2024-01-01", 7), ("2024-01-01", 7)), "none")
    np.testing.assert_array_equal(scaler.transform(table(("2031-12-24 18:00", 999))), np.zeros((1, N_FEATURES)))


def test_a_range_that_float64_cannot_hold_is_refused():
    rows = table(("2023-01-01", -1e308), ("2024-03-05 14:00", 1e308))
    with pytest.raises(DataError, match=r"number must span .* \(found -1e\+308 to 1e\+308\)"):
        Scaler.fit(rows, "none")
    assert column(Scaler.fit(rows, "asinh").transform(rows), "number_scaled").tolist() == [0, 1]


@pytest.mark.parametrize("number", [1e300, -1e300, 1.7e308])
def test_a_number_that_float32_cannot_hold_scaled_is_refused(number):
    scaler = Scaler.fit(table(("2023-01-01", 0), ("2024-03-05 14:00", 0.5)), "none")
    with pytest.raises(DataError) as refused:
        scaler.transform(table(("2024-03-06", 1), ("2024-03-07 10:00", number), ("2024-03-08", number)))
    assert f"(found {number!r} on 2024-03-07 10:00:00)" in str(refused.value)


def test_scaler_survives_being_written_and_read():
    scaler = Scaler.fit(table(("2023-01-01", 1), ("2024-03-05 14:00", 1e6)), "asinh")
    assert Scaler.model_validate(scaler.as_dict()) == scaler


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": ["year"]}, "features must be"),
        ({"features": 5}, "features"),
        ({"number_transform": "log"}, "number_transform"),
        ({"data_min": [0.0]}, f"must have {N_FEATURES} numbers each"),
        ({"data_min": [float("nan")] * N_FEATURES}, "finite way above"),
        ({"data_min": [float("-inf")] * N_FEATURES}, "finite way above"),
        ({"data_min": [-1.7e308] * N_FEATURES, "data_max": [1.7e308] * N_FEATURES}, "finite way above"),
        ({"data_min": [1e9] * N_FEATURES}, "finite way above"),
        ({"data_min": ["1"] * N_FEATURES}, "data_min.0"),
        ({"data_min": [-(10**400), *[0] * (N_FEATURES - 1)]}, "data_min.0"),
        ({"data_max": "high"}, "data_max"),
        ({"more": 1}, "more"),
    ],
)
def test_foreign_scaling_is_refused(change, message):
    scaler = Scaler.fit(table(("2023-01-01", 1), ("2024-03-05 14:00", 2)), "asinh")
    with pytest.raises(ValidationError, match=message):
        Scaler.model_validate(scaler.as_dict() | change)


def test_the_calendar_is_that_of_pandas_at_every_edge():
    texts = (
        *("1600-02-29 23:59:59.999999", "1969-12-31 23:00", "1970-01-01", "1999-12-31 12:00", "2000-02-29 05:06:07"),
        *("2024-02-29", "2024-03-01 23:59:59", "2100-02-28 00:00:00.000001", "2101-01-01 01:00"),
    )
    times = pd.to_datetime(list(texts), format="ISO8601").astype("datetime64[us]")
    table = pd.DataFrame({"datetime": times, "number": 1.0})
    clock = table["datetime"].dt
    expected = np.column_stack([clock.year, clock.month, clock.day, clock.hour, clock.day_of_week])
    found = raw_features(table, "none")
    names = ("year", "month", "day", "hour", "weekday")
    np.testing.assert_array_equal(np.column_stack([column(found, name) for name in names]), expected)
