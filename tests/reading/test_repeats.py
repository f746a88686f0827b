import gzip

import numpy as np
import pyarrow as pa
import pytest

from boomerang.reading.purchases import read_purchases
from boomerang.reading.repeats import find_repeats, number_cells, number_rows

HEADER = "datetime,returned,number,order"


def make_lines(n_orders=400, seed=0):
    """Order lines as a shop exports them: in the three columns that are read, most have a twin."""
    draw = np.random.default_rng(seed)
    lines = []
    for order in range(n_orders):
        when = np.datetime64("2024-01-01T09:00") + np.timedelta64(37 * order, "m")
        for _ in range(draw.integers(1, 12)):
            lines.append(f"{when},{'yes' if draw.random() < 0.1 else 'no'},{draw.integers(1, 3)}")
    return lines


def read(path, rows, header="datetime,returned,number", packed=False):
    content = "\n".join([header, *rows]).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return read_purchases(path).repeats


def overlap(rows, share):
    """Two exports of `rows` that share so much of them, in the middle."""
    half, n_shared = len(rows) // 2, round(len(rows) * share)
    return rows[: half + n_shared - n_shared // 2], rows[half - n_shared // 2 :]


def test_rows_are_numbered_by_all_their_cells():
    table = pa.table({"a": ["1", "1 ", "2", "1", "1"], "b": ["", "x", "", " ", "x"]})
    assert number_cells(table).tolist() == [0, 1, 2, 0, 1]
    assert number_cells(table[:0]).tolist() == []
    assert number_rows(3, [np.array([0.5, 0.5, 2.0]), np.array([1, 1, 1])]).tolist() == [0, 0, 1]
    assert number_rows(3, []).tolist() == [0, 0, 0]


def test_twins_among_order_lines_are_counted_and_no_reason_to_warn(tmp_path):
    for seed in range(10):
        rows = make_lines(seed=seed)
        repeats = read(tmp_path / "a.csv", rows)
        assert repeats.rows == len(rows) - len(set(rows))
        assert repeats.rows > len(rows) / 3
        assert repeats.stretches == repeats.warnings == []


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("order", ["as exported", "newer first", "shuffled", "gzip"])
def test_two_exports_that_overlap_are_told_of_with_their_span(tmp_path, share, order):
    rows = make_lines()
    older, newer = overlap(rows, share)
    both = newer + older if order == "newer first" else older + newer
    if order == "shuffled":
        both = np.random.default_rng(0).permutation(both).tolist()
    repeats = read(tmp_path / "a.csv", both, packed=order == "gzip")
    # At its ends the overlap may part an order.
    whole = sorted({row[:16] for row in older} & {row[:16] for row in newer})[1 if share < 1 else 0 :]
    whole = whole[: None if share == 1 else -1]
    (stretch,) = repeats.stretches
    assert stretch.first[:16] <= whole[0]
    assert stretch.last[:16] >= whole[-1]
    assert stretch.times == 2
    assert stretch.rows == sum(stretch.first[:16] <= row[:16] <= stretch.last[:16] for row in both)
    (warning,) = repeats.warnings
    assert f"the {stretch.rows:,} rows from {stretch.first} to {stretch.last} stand at least twice" in warning


def test_a_column_that_is_not_read_tells_rows_apart(tmp_path):
    rows = make_lines()
    numbered = [f"{row},{number}" for number, row in enumerate(rows + rows)]
    assert read(tmp_path / "a.csv", numbered, HEADER).rows == 0
    same = [f"{row},{number}" for number, row in enumerate(rows)]
    assert read(tmp_path / "a.csv", same + same, HEADER).rows == len(rows)
    assert len(read(tmp_path / "a.csv", same + same, HEADER).stretches) == 1


def test_three_exports_and_several_stretches_are_told_of(tmp_path):
    rows = make_lines()
    assert [stretch.times for stretch in read(tmp_path / "a.csv", rows * 3).stretches] == [3]
    repeats = read(tmp_path / "a.csv", rows + rows[100:400] + rows[900:1200])
    assert len(repeats.stretches) == 2
    assert "; the " in repeats.warnings[0]


@pytest.mark.parametrize("times", [2, 3, 4, 5, 6, 7, 9, 10, 13, 17, 34, 97])
def test_a_file_that_stands_several_times_is_told_of_once_with_how_often(tmp_path, times):
    rows = list(dict.fromkeys(make_lines()))
    repeats = read(tmp_path / "a.csv", rows * times)
    (stretch,) = repeats.stretches
    assert (stretch.times, stretch.rows) == (times, times * len(rows))
    word = {2: "twice", 3: "three times"}.get(times, f"{times} times")
    assert f"{rows[-1][:16]}:00 stand {word}, alike" in repeats.warnings[0]
    # So are some of its rows among others that stand alone.
    assert [stretch.times for stretch in read(tmp_path / "a.csv", rows + rows[300:600] * (times - 1)).stretches] == [
        times
    ]


def test_a_span_that_stands_six_times_beside_twins_and_triples_is_told_of_once(tmp_path):
    rows = [f"2024-01-{day:02}T{hour:02}:00,no,1" for day in range(1, 29) for hour in range(24)]
    # By the factor 2 it begins a row earlier, by the factor 3 it ends a row later.
    both = read(tmp_path / "a.csv", rows + rows[299:300] + rows[300:360] * 5 + rows[360:361] * 2)
    (stretch,) = both.stretches
    assert stretch.first == "2024-01-13T11:00:00"
    assert (stretch.rows, stretch.times, stretch.or_more) == (2 + 6 * 60, 2, True)
    # Stretches of their own on both sides are told of, each datetime in one of them.
    spans = read(tmp_path / "a.csv", rows + rows[240:300] + rows[300:360] * 5 + rows[360:420] * 2).stretches
    assert [(stretch.rows, stretch.times, stretch.or_more) for stretch in spans] == [(480, 2, True), (180, 3, False)]


def test_days_of_many_equal_rows_are_no_copies_of_an_export(tmp_path):
    for seed in range(10):
        n_rows = np.random.default_rng(seed).poisson(100, size=400)
        days = np.datetime64("2024-01-01") + np.arange(400)
        rows = [f"{day},no,1" for day, count in zip(days, n_rows, strict=True) for _ in range(count)]
        assert read(tmp_path / "a.csv", rows).stretches == []


SPELLINGS = {
    "a blank for the T": lambda row: row.replace("T", " "),
    "other words": lambda row: row.replace(",no,", ",No,").replace(",yes,", ",TRUE,"),
    "decimals": lambda row: f"{row}.0",
    "blanks": lambda row: row.replace(",", " , ") + " ",
    "seconds": lambda row: row.replace(",", ":00,", 1),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_two_exports_that_spell_purchases_in_two_ways_overlap_all_the_same(tmp_path, spell):
    older, newer = overlap(make_lines(), 0.3)
    expected = read(tmp_path / "a.csv", older + newer)
    found = read(tmp_path / "b.csv", older + [spell(row) for row in newer])
    assert found == expected
    assert len(found.stretches) == 1


def test_one_order_that_was_keyed_in_twice_is_no_stretch(tmp_path):
    rows = [f"2024-01-{day:02}T09:00,no,{number}" for day in range(1, 29) for number in range(40)]
    assert read(tmp_path / "a.csv", rows + rows[:40]).stretches == []
    assert read(tmp_path / "a.csv", rows + rows[:120]).stretches[0].rows == 240


def test_one_row_repeats_nothing():
    found = find_repeats(np.array(["2024-01-01"], dtype="datetime64[us]"), np.array([0]))
    assert (found.rows, found.stretches) == (0, [])
