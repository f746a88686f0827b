import json
import os

import numpy as np
import pandas as pd
import pytest

from boomerang.base import settings
from boomerang.base.ensembles import SCALED_FEATURES
from boomerang.base.errors import DataError
from stages.prepare import prepare
from tests.support import write_purchases


def run(params, data_path, out_dir):
    prepare(data_path, out_dir, settings.validate_settings(params, "test").prepare)
    return pd.read_parquet(out_dir / "purchases.parquet"), json.loads((out_dir / "scaler.json").read_text())


def test_prepared_purchases_carry_raw_and_scaled_columns(params, tmp_path):
    table, scaler = run(params, write_purchases(tmp_path / "a.csv"), tmp_path / "out")
    scaled = list(SCALED_FEATURES)
    assert list(table.columns) == ["datetime", "returned", "number", "part", *scaled]
    assert set(table[scaled].dtypes) == {np.dtype("float32")}
    assert set(table["returned"]) == {0, 1}
    assert table["part"].value_counts().to_dict() == {"train": 140, "val": 40, "test": 20}
    train = table[table["part"] == "train"]
    assert train[scaled].min().min() == 0
    assert train[scaled].max().max() == 1
    assert scaler["features"] == scaled
    assert scaler["data_max"][scaled.index("number_scaled")] == np.arcsinh(9)


def test_rows_after_training_change_no_scaler_value_and_no_earlier_feature(params, tmp_path):
    table, scaler = run(params, write_purchases(tmp_path / "a.csv"), tmp_path / "a")
    changed, same_scaler = run(params, write_purchases(tmp_path / "b.csv", changed_from=140), tmp_path / "b")
    assert same_scaler == scaler
    pd.testing.assert_frame_equal(changed[:140], table[:140])
    assert not changed[140:].equals(table[140:])


def test_summary_tells_rows_rate_and_span_of_each_part(params, tmp_path, capsys):
    path = write_purchases(tmp_path / "a.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    run(params, path, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["normalised"][0] == "file: byte order mark removed"
    assert summary["parts"]["train"]["first"] == "2024-01-01T09:00:00"
    assert [summary["parts"][part]["rows"] for part in ("train", "val", "test")] == [140, 40, 20]
    assert "byte order mark removed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Einkäufe 2024.csv", "Einkäufe 2024.csv"),
        ("a\n\x1b[31m.csv", r"a\n\x1b[31m.csv"),
        ("\u202egnp.csv", r"\u202egnp.csv"),
        (os.fsdecode(b"caf\xe9.csv"), r"caf\udce9.csv"),
    ],
)
def test_the_summary_names_the_file_without_folders_or_what_steers_a_terminal(params, tmp_path, name, expected):
    run(params, write_purchases(tmp_path / name), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["file"] == expected


def test_training_rows_of_one_label_are_refused(params, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\n" + "2024-01-01,no,1\n" * 70 + "2024-01-02,yes,1\n" * 30)
    with pytest.raises(DataError, match=r"the 70 training purchases must hold both labels \(found only no\)"):
        run(params, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_dropped_rows_and_the_way_of_reading_are_in_the_summary(params, tmp_path, capsys):
    path = write_purchases(tmp_path / "a.csv")
    path.write_text(path.read_text() + "01.02.2024,no,1\n2024-02-01,perhaps,1\n2024-02-01,perhaps,1\n")
    params["prepare"]["on_bad_rows"] = "drop"
    run(params, path, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["dropped"] == {"returned not a label": 2, "datetime not a date": 1}
    assert summary["reading"] == {"datetime_format": None, "timezone": None}
    assert "a.csv: rows left out, returned not a label: 2" in capsys.readouterr().err


def write_instants(path, suffix="Z"):
    """Purchases every twenty minutes over the night in which London's clocks go back."""
    times = pd.date_range("2025-10-25T12:00", periods=72, freq="20min")
    rows = "".join(f"{time.isoformat()}{suffix},{'yes' if n % 3 else 'no'},1\n" for n, time in enumerate(times))
    path.write_text("datetime,returned,number\n" + rows)
    return path, times


@pytest.mark.parametrize(
    ("suffix", "timezone", "offset", "hours"), [("Z", "Europe/London", None, 1), ("+09:00", None, "+09:00", 0)]
)
def test_prepared_purchases_keep_instant_and_local_time(params, tmp_path, suffix, timezone, offset, hours):
    path, times = write_instants(tmp_path / "a.csv", suffix)
    params["prepare"]["timezone"] = timezone
    table, _ = run(params, path, tmp_path / "out")
    assert list(table.columns)[:3] == ["datetime", "instant", "returned"]
    instants = times if timezone else times - pd.Timedelta("9h")
    assert table["instant"].tolist() == instants.tolist()
    assert table["datetime"][0] == times[0] + pd.Timedelta(hours, "h")
    assert table["gap_scaled"][1:].nunique() == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reading"].get("offset") == offset


def test_a_file_that_falls_is_prepared_as_the_same_file_rising(params, tmp_path):
    path = write_purchases(tmp_path / "a.csv")
    header, *rows = path.read_text().splitlines()
    rows = [f"{row[:10]}T00:00:00{row[19:]}" for row in rows]  # three purchases or so a day, none before the other
    path.write_text("\n".join([header, *rows, ""]))
    (tmp_path / "b.csv").write_text("\n".join([header, *rows[::-1], ""]))
    run(params, path, tmp_path / "a")
    run(params, tmp_path / "b.csv", tmp_path / "b")
    for name in ("purchases.parquet", "scaler.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    summary = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert any("newest first" in note for note in summary["normalised"])


def test_a_timezone_that_converts_nothing_is_said(params, tmp_path, capsys):
    params["prepare"]["timezone"] = "Europe/London"
    run(params, write_purchases(tmp_path / "a.csv"), tmp_path / "out")
    note = "datetime: taken as local time: without an offset, timezone Europe/London converts nothing"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["normalised"] == [note]
    assert note in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["2024-01-01,no,1"] * 3, "3 purchases are too few"),
        (["2024-01-01,no,1"] * 20, "must hold both labels"),
        (["2024-01-01,no,-1e308", "2024-01-01,yes,1e308"] * 20, "number must span a range"),
        (["2024-01-01,no,1", "2024-01-01,yes,1.0000001"] * 20 + ["2024-01-02,no,1e300"], "number must, scaled"),
    ],
)
def test_whatever_is_wrong_with_a_file_the_message_names_it(params, tmp_path, rows, message):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["datetime,returned,number", *rows]))
    params["prepare"]["number_transform"] = "none"
    with pytest.raises(DataError) as refused:
        run(params, path, tmp_path / "out")
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


def test_stretches_that_stand_twice_are_told_of_and_kept(params, tmp_path, capsys):
    path = write_purchases(tmp_path / "a.csv")
    plain, _ = run(params, path, tmp_path / "plain")
    summary = json.loads((tmp_path / "plain" / "summary.json").read_text())
    assert (summary["repeats"], summary["warnings"]) == ({"rows": 0, "stretches": []}, [])
    assert "warning" not in capsys.readouterr().err
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines + lines[51:101]))
    table, _ = run(params, path, tmp_path / "out")
    assert len(table) == len(plain) + 50
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    stretch = {"first": "2024-01-15T23:00:00", "last": "2024-01-30T06:00:00", "rows": 100, "times": 2, "or_more": False}
    assert summary["repeats"] == {"rows": 50, "stretches": [stretch]}
    told = capsys.readouterr().err
    assert f"{path}: warning: the 100 rows from 2024-01-15T23:00:00 to 2024-01-30T06:00:00 stand twice" in told
    assert summary["warnings"][0] in told
