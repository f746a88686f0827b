import io
import json
import math

import numpy as np
import pandas as pd
import pytest

from boomerang.base.datetime_settings import Reading
from boomerang.combining.decisions import Costs
from boomerang.features.prepared import PartFigures, Source
from boomerang.reading.purchases import read_purchases
from boomerang.serving.file_scoring import score_rows, to_csv, to_json
from tests.support import write_purchases


def scored(predictor, path, chunk=50, rule=None, names=("simple", "context"), deciding=None):
    purchases = read_purchases(path, keep_others=True)
    return list(score_rows(predictor, purchases, list(names), rule, chunk, deciding))


def test_the_figures_do_not_depend_on_the_pieces(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 120)
    path.write_text(path.read_text().replace(",7\n", ",7.5\n").replace(",8\n", ",1e300\n"))
    whole = scored(predictor, path, 1000)
    assert [len(piece) for piece in whole] == [120]
    for chunk in (1, 7, 50):
        pieces = scored(predictor, path, chunk)
        assert b"".join(to_csv(piece, i == 0) for i, piece in enumerate(pieces)) == to_csv(whole[0], True)


def test_rows_are_found_again_in_the_file(predictor, tmp_path):
    path = tmp_path / "a.csv"
    # Out of order, with a blank line, and a quoted cell over two lines.
    path.write_text(
        'id,datetime,returned,number\nA,2024-01-03,no,1\n\n"B\nB",2024-01-01,yes,2.5\nC,2024-01-02 10:00:00.25,no,-3\n'
    )
    (table,) = scored(predictor, path)
    assert table["row"].tolist() == [2, 4, 6]
    assert table["datetime"].tolist() == ["2024-01-03T00:00:00", "2024-01-01T00:00:00", "2024-01-02T10:00:00.250000"]
    assert table["returned"].tolist() == ["no", "yes", "no"]
    assert table["number"].tolist() == [1, 2.5, -3]
    assert table["id"].tolist() == ["A", "B\nB", "C"]
    # The first row of the file is the third purchase.
    assert table["simple"].isna().tolist() == [False, True, True]


def test_parts_are_told_by_the_instant_where_the_file_has_it(predictor, tmp_path, monkeypatch):
    # Of the last four, all in the hour that autumn repeats, two were made after the clocks went back.
    times = [
        "2025-10-25T22:00Z",
        "2025-10-25T23:00Z",
        *(f"2025-10-26T0{time}Z" for time in ("0:10", "0:40", "1:20", "1:30")),
    ]
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\n" + "".join(f"{time},no,1\n" for time in times))
    spans = {
        "train": ("2025-10-25T23:00:00", "2025-10-26T01:40:00"),
        "val": ("2025-10-26T01:20:00", "2025-10-26T01:30:00"),
    }
    sizes = {"train": 4, "val": 2}
    parts = {
        name: PartFigures(rows=sizes[name], base_rate=0.0, first=first, last=last)
        for name, (first, last) in spans.items()
    }
    reading = Reading(datetime_format=None, timezone="Europe/London")
    changed = {"source": Source(file="a.csv", parts=parts), "reading": reading}
    monkeypatch.setattr(predictor, "metadata", predictor.metadata.model_copy(update=changed))
    purchases = read_purchases(path, timezone="Europe/London")
    (table,) = score_rows(predictor, purchases, ["simple"], None)
    assert table["part"].tolist() == ["train"] * 4 + ["val"] * 2


def test_a_row_is_scored_by_context_from_the_fourth_purchase_on(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 12)
    for chunk in (1, 3, 100):
        scores = pd.concat(scored(predictor, path, chunk))[["simple", "context"]].notna()
        assert scores["simple"].tolist() == [False] * 2 + [True] * 10
        assert scores["context"].tolist() == [False] * 3 + [True] * 9


def test_decisions_follow_the_threshold_and_are_left_out_without_a_score(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 60)
    (plain,) = scored(predictor, path, 100)
    threshold = float(np.nanmedian(plain["simple"]))
    (table,) = scored(predictor, path, 100, threshold)
    assert table["act_simple"][:2].isna().all()
    expected = np.where(plain["simple"] >= threshold, "yes", "no")
    assert set(expected[2:]) == {"yes", "no"}
    clear = (plain["simple"] - threshold).abs() > 1e-8
    assert (table["act_simple"][clear] == expected[clear]).all()
    assert list(table)[4:] == ["part", "simple", "act_simple", "context", "act_context"]


def test_fixed_costs_decide_by_their_threshold_and_tell_what_either_way_costs(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 60)
    (table,) = scored(predictor, path, 100, Costs(4, 1), names=("simple",))
    (by_threshold,) = scored(predictor, path, 100, 0.2, names=("simple",))
    assert list(table)[5:] == ["simple", "act_simple", "cost_act_simple", "cost_let_be_simple"]
    pd.testing.assert_frame_equal(table[list(by_threshold)], by_threshold)
    assert table.iloc[:2, 6:].isna().all(axis=None)
    np.testing.assert_allclose(table["cost_act_simple"], 1 - table["simple"], atol=2e-9)
    np.testing.assert_allclose(table["cost_let_be_simple"], 4 * table["simple"], atol=5e-9)


def test_each_row_is_decided_by_its_own_number(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 120)
    path.write_text(path.read_text().replace(",7\n", ",-7\n").replace(",8\n", ",0\n").replace(",9\n", ",1e300\n"))
    for chunk in (7, 1000):
        table = pd.concat(scored(predictor, path, chunk, Costs("number", 1), deciding=["context"]), ignore_index=True)
        new = ["threshold", "simple", "context", "act_context", "cost_act_context", "cost_let_be_context"]
        assert list(table)[5:] == new
        acts = []
        for row in table.itertuples():
            size = abs(row.number)
            assert row.threshold == round(1 / (size + 1), 9)
            if math.isnan(row.context):
                assert pd.isna([row.act_context, row.cost_act_context, row.cost_let_be_context]).all()
            else:
                assert row.cost_act_context == pytest.approx(1 - row.context, abs=2e-9)
                assert row.cost_let_be_context == pytest.approx(size * row.context, rel=1e-6)
                assert row.act_context == ("yes" if row.cost_let_be_context >= row.cost_act_context else "no")
                acts.append(row.act_context)
        assert set(acts) == {"yes", "no"}
    assert json.loads(to_json(table, True).splitlines()[-1])["threshold"] == table["threshold"].iloc[-1]


def test_text_that_a_spreadsheet_would_run_is_defused(predictor, tmp_path):
    path = tmp_path / "a.csv"
    cells = ["=1+1", "+1+1", "-a", "@SUM(A1)", "\tx", "  =1", "\uff1d1", "safe=1", "-2.5", "+1", " -1e3 "]
    lines = [f'2024-01-{day:02},no,-{day},"{cell}"' for day, cell in enumerate(cells, start=1)]
    path.write_text("datetime,returned,number,=note\n" + "\n".join(lines) + "\n")
    (table,) = scored(predictor, path)
    read = pd.read_csv(io.BytesIO(to_csv(table, True)), dtype=str)
    assert read["'=note"].tolist() == [f"'{cell}" for cell in cells[:7]] + cells[7:]
    # A negative number is a number.
    assert read["number"].tolist() == [f"-{day}" for day in range(1, 12)]


def test_columns_whose_names_are_taken_or_missing_get_one(predictor, tmp_path):
    path = tmp_path / "a.csv"
    header = "datetime,returned,number,row,simple,,Input_x,input_simple,column_6"
    path.write_text(f"{header}\n" + "2024-01-01,no,1,a,b,c,d,e,f\n" * 3)
    (table,) = scored(predictor, path, names=("simple",))
    names = ["input_row", "input_input_simple", "input_column_6", "Input_x", "input_simple", "column_6"]
    assert list(table)[6:] == names
    assert table.iloc[0, 6:].tolist() == ["a", "b", "c", "d", "e", "f"]


def test_json_lines_hold_null_where_there_is_no_score(predictor, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 4)
    (table,) = scored(predictor, path, names=("simple",))
    rows = [json.loads(line) for line in to_json(table, True).splitlines()]
    assert rows[0] | {"returned": ""} == {
        "row": 2,
        "datetime": "2024-01-01T09:00:00",
        "returned": "",
        "number": int(table["number"][0]),
        "part": "train",
        "simple": None,
    }
    assert rows[3]["simple"] == table["simple"][3]


def test_each_row_says_in_which_part_of_the_training_it_was(predictor, prepared, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 203)
    path.write_text(path.read_text() + "2023-12-31T23:59,no,1\n")
    for chunk in (1000, 7):
        table = pd.concat(scored(predictor, path, chunk, names=("simple",)))
        assert table["part"].tolist() == [*prepared["part"], "new", "new", "new", "new"]


def test_a_column_of_the_file_that_is_called_part_keeps_its_text(predictor, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number,part\n" + "2024-01-01,no,1,wheel\n" * 3)
    (table,) = scored(predictor, path, names=("simple",))
    assert (table["part"].tolist(), table["input_part"].tolist()) == (["new"] * 3, ["wheel"] * 3)
