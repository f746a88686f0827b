"""What a model has learned from, and which histories are hardly of the same shop."""

import pandas as pd
import pytest

from boomerang.features.prepared import PartFigures, Source
from boomerang.serving.provenance import describe_source, find_mismatch, tell_parts

# Ten purchases an hour apart in each part, but for two that share a second over each boundary.
TIMES = pd.Series(pd.date_range("2024-01-01T09:00", periods=30, freq="h"))
TIMES[10], TIMES[20] = TIMES[9], TIMES[19]


def source_of(times, sizes):
    parts, first = {}, 0
    for name, size in sizes.items():
        span = times[[first, first + size - 1]].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
        parts[name] = PartFigures(rows=size, base_rate=0.2, first=span[0], last=span[1])
        first += size
    return Source(file="shop.csv", parts=parts)


SOURCE = source_of(TIMES, {"train": 10, "val": 10, "test": 10})
EXPECTED = ["train"] * 10 + ["val"] * 10 + ["test"] * 10


def test_a_source_is_described_by_file_number_and_days():
    assert describe_source(SOURCE) == "shop.csv, 30 purchases from 2024-01-01 to 2024-01-02"


def test_each_purchase_of_the_training_gets_the_part_that_it_had():
    assert tell_parts(SOURCE, TIMES).tolist() == EXPECTED


def test_fractions_of_a_second_do_not_put_a_purchase_out_of_its_part():
    fine = TIMES + pd.Timedelta(microseconds=250_000)
    assert tell_parts(source_of(fine, {"train": 10, "val": 10, "test": 10}), fine).tolist() == EXPECTED


def test_all_parts_within_one_second_are_told_by_their_place():
    times = pd.Series([pd.Timestamp("2024-01-01")] * 6)
    found = tell_parts(source_of(times, {"train": 3, "val": 2, "test": 1}), times)
    assert found.tolist() == ["train", "train", "train", "val", "val", "test"]


def test_what_lies_before_and_after_the_training_is_new():
    more = pd.concat([TIMES[:1] - pd.Timedelta(days=1), TIMES, TIMES[-1:], TIMES[-1:] + pd.Timedelta(hours=1)])
    # The second purchase in the last second of the training is not one of its thirty.
    assert tell_parts(SOURCE, more.reset_index(drop=True)).tolist() == ["new", *EXPECTED, "new", "new"]


def test_of_a_file_that_begins_later_a_shared_second_counts_as_the_earlier_part():
    assert (
        tell_parts(SOURCE, TIMES[8:].reset_index(drop=True)).tolist()
        == ["train"] * 3 + EXPECTED[11:20] + ["val"] + ["test"] * 9
    )


def test_a_purchase_added_to_the_file_later_moves_no_part_without_a_shared_second():
    times = pd.Series(pd.date_range("2024-01-01T09:00", periods=30, freq="h"))
    more = pd.concat([times, times[4:5]]).sort_values().reset_index(drop=True)
    found = tell_parts(source_of(times, {"train": 15, "val": 10, "test": 5}), more).tolist()
    assert found == ["train"] * 16 + ["val"] * 10 + ["test"] * 5


def test_a_training_without_a_test_part_has_none():
    source = source_of(TIMES[:20], {"train": 10, "val": 10})
    assert tell_parts(source, TIMES).tolist() == ["train"] * 10 + ["val"] * 10 + ["new"] * 10


# Every 20 minutes of the night in which clocks go back: in London 01:00, 01:20 and 01:40 come twice.
NIGHT = pd.Series(pd.date_range("2025-10-25T23:00", periods=16, freq="20min"))
LOCAL = NIGHT.dt.tz_localize("UTC").dt.tz_convert("Europe/London").dt.tz_localize(None)
SPLITS = [(n_train, n_val) for n_train in range(1, 15) for n_val in range(1, 16 - n_train)]


@pytest.mark.parametrize(("n_train", "n_val"), SPLITS)
def test_in_the_hour_that_autumn_repeats_parts_are_told_by_the_instant(n_train, n_val):
    n_test = 16 - n_train - n_val
    source = source_of(LOCAL, {"train": n_train, "val": n_val, "test": n_test})
    expected = ["train"] * n_train + ["val"] * n_val + ["test"] * n_test
    assert tell_parts(source, LOCAL, NIGHT, "Europe/London").tolist() == expected
    # So are they where the file has grown, or says its times to the microsecond.
    later = NIGHT.iloc[-1:] + pd.Timedelta(hours=3)
    grown = pd.concat([NIGHT, later, later], ignore_index=True) + pd.Timedelta(microseconds=7)
    assert tell_parts(source, grown, grown, "Europe/London").tolist() == [*expected, "new", "new"]


def test_what_may_be_of_the_training_in_the_repeated_hour_counts_as_such():
    source = source_of(LOCAL, {"train": 8, "val": 8})
    # Training ends at 01:20 of winter time, the history begins in the second hour: nothing tells which it was.
    assert source.parts["train"].last == "2025-10-26T01:20:00"
    found = tell_parts(source, LOCAL[6:].reset_index(drop=True), NIGHT[6:].reset_index(drop=True), "Europe/London")
    assert found.tolist() == ["train"] * 2 + ["val"] * 8


YEAR = pd.Series(pd.date_range("2024-01-01T09:00", periods=1000, freq="8h"))  # to 28 November
SHOP = source_of(YEAR, {"train": 700, "val": 200, "test": 100})


@pytest.mark.parametrize(
    "history",
    [
        YEAR,
        YEAR[-30:],
        YEAR[200:400],
        YEAR.drop([3, 50, 720, 950]),
        YEAR + pd.Timedelta(days=30),
        YEAR[:100] + pd.Timedelta(days=400) - pd.Timedelta(days=37),
        pd.Series([YEAR.iloc[0]]),
        pd.Series([YEAR.iloc[-1] + pd.Timedelta(days=31)]),
    ],
)
def test_a_history_of_the_same_shop_is_let_pass(history):
    assert find_mismatch(SHOP, history) is None


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (YEAR - pd.Timedelta(days=365), "it ends on 2023-11-30, before the first of them"),
        (YEAR[:50] - pd.Timedelta(days=17), "it ends on 2023-12-31, before the first of them"),
        (YEAR + pd.Timedelta(days=365), "it begins on 2024-12-31, 32 days after the last of them"),
        (YEAR[::3], "it has 234 purchases where the model saw 700"),
        (YEAR.repeat(3), "it has 2100 purchases where the model saw 700"),
        (YEAR[650:].repeat(5), "it has 1000 purchases where the model saw 200"),
    ],
)
def test_a_history_that_is_hardly_of_the_same_shop_is_found_out(history, reason):
    assert reason in find_mismatch(SHOP, history)
