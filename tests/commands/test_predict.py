import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from boomerang.base.ensembles import ENSEMBLES
from boomerang.combining.artifacts import read_member, read_metadata
from boomerang.reading.purchases import read_purchases
from tests.commands.support import MADE, run
from tests.support import write_purchases


def test_labels_on_the_command_line_go_to_the_simple_ensemble(trained, capsys):
    out = run(capsys, "--history", "yes,no,no,yes", "--artifacts_dir", trained).out.splitlines()
    assert out[0].startswith("returned=yes: 0.")
    assert "simple ensemble, 4 past purchases" in out[0]
    assert [line.split()[0] for line in out[1:]] == ["L=2", "L=4"]
    assert all("weight 0.500" in line and "|#" in line for line in out[1:])


def test_a_csv_goes_to_what_the_report_judges_and_is_scaled_as_in_training(trained, capsys, tmp_path):
    # Only the last purchases count: were the scaler fitted on this file, leaving rows out would move the figures.
    whole = write_purchases(tmp_path / "whole.csv", 60)
    lines = whole.read_text().splitlines(keepends=True)
    tail = tmp_path / "tail.csv"
    tail.write_text(lines[0] + "".join(lines[-5:]))
    found = [
        json.loads(run(capsys, "--history_csv", path, "--artifacts_dir", trained, "--json").out)
        for path in (whole, tail)
    ]
    assert found[0] == found[1]
    assert found[0]["ensemble"] == "blend"


def test_context_reads_the_purchase_just_made_after_its_past(trained, capsys, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 60)
    common = ["--history_csv", path, "--artifacts_dir", trained, "--ensemble", "context", "--json"]
    found = json.loads(run(capsys, *common, *MADE).out)
    # The same by hand: its row appended with either label, which must not matter.
    metadata = read_metadata(trained)
    for label in (0, 1):
        table = read_purchases(path).table
        table.loc[len(table)] = [pd.Timestamp("2024-02-01 09:00"), label, 5.0]
        scaled = metadata.scaling.transform(table)
        before = np.concatenate([[0], table["returned"].to_numpy()[:-1]])
        rows = torch.from_numpy(np.column_stack([scaled, before]).astype(np.float32))
        for member, described in zip(found["members"], metadata.ensembles["context"].members, strict=True):
            model = read_member(trained, "context", described, (len(ENSEMBLES["context"].features), 4, 1))
            logit = model(rows[None, -described.seq_length - 1 :]).item()
            assert member["probability"] == pytest.approx(expit(logit))
    assert found["ensemble"] == "context"
    later = json.loads(run(capsys, *common, *MADE[:1], "2024-02-07 20:00", *MADE[2:]).out)
    assert later["probability"] != found["probability"]


def test_a_history_whose_stretches_stand_twice_is_told_of(trained, capsys, tmp_path):
    path = write_purchases(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines + lines[51:]))
    for flag in ("--csv", "--history_csv"):
        said = run(capsys, flag, path, "--artifacts_dir", trained)
        assert f"{path}: warning: the 300 rows from " in said.err
        assert "warning" not in said.out


def test_trees_are_left_out_where_the_history_is_too_short_for_them(trained, capsys, tmp_path):
    for n_rows, left_out in ((3, ["L = 4, trees", [4, "trees"]]), (4, ["trees", ["trees"]]), (5, None)):
        path = write_purchases(tmp_path / "a.csv", n_rows)
        out = run(capsys, "--history_csv", path, "--artifacts_dir", trained).out
        found = json.loads(run(capsys, "--history_csv", path, "--artifacts_dir", trained, "--json").out)
        assert (f"too short for them: {left_out[0]}\n" in out) if left_out else "left out" not in out
        assert found["left_out"] == (left_out[1] if left_out else [])
        assert [member["ensemble"] for member in found["members"]].count("trees") == (n_rows == 5)


def test_context_needs_a_past_purchase_more_than_its_members_read(trained, capsys, tmp_path):
    for n_rows, left_out in ((3, True), (4, True), (5, False)):
        path = write_purchases(tmp_path / "a.csv", n_rows)
        out = run(capsys, "--history_csv", path, "--artifacts_dir", trained, *MADE, "--ensemble", "context").out
        assert f"context ensemble, {n_rows} past purchases" in out
        assert ("left out, the history is too short for them: L = 4" in out) == left_out
    with pytest.raises(SystemExit):
        run(capsys, "--history_csv", write_purchases(tmp_path / "a.csv", 2), "--artifacts_dir", trained, *MADE)
    assert "a.csv: history must hold at least 3 purchases (found 2)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (MADE[:2], "--next_datetime, --next_number and --history_csv must be given together"),
        (MADE[2:], "--next_datetime, --next_number and --history_csv must be given together"),
        (
            ["--next_datetime", "2024-01-01 08:59", *MADE[2:]],
            "must not be earlier than the last purchase, 2024-01-18 14:00:00",
        ),
        (["--next_datetime", "tomorrow", *MADE[2:]], "(found 'tomorrow')"),
        ([*MADE[:2], "--next_number", "inf"], "next_number must be a finite number like 3 or 19.90 (found 'inf')"),
        ([*MADE[:2], "--next_number", "1_0"], "next_number must be a finite number like 3 or 19.90 (found '1_0')"),
        ([*MADE[:2], "--next_number", "9007199254740993"], "exact in float64, whole numbers up to 2^53 (found '9007"),
        ([*MADE[:2], "--next_number", "2,5"], "without decimal or thousands comma (found '2,5')"),
        ([*MADE[:2], "--next_number", "many"], "next_number must be a finite number like 3 or 19.90 (found 'many')"),
    ],
)
def test_a_purchase_just_made_that_cannot_be_is_refused(trained, capsys, tmp_path, flags, message):
    path = write_purchases(tmp_path / "a.csv", 60)
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--history_csv", path, "--artifacts_dir", trained, *flags)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_the_probabilities_of_yes_and_no_sum_to_1(trained, capsys):
    yes, no = (
        json.loads(run(capsys, "--history", "no,no,yes", "--next", label, "--artifacts_dir", trained, "--json").out)
        for label in ("yes", "no")
    )
    assert yes["probability"] + no["probability"] == pytest.approx(1)
    assert (yes["next"], no["next"]) == ("yes", "no")
    assert yes["left_out"] == [4]


def test_members_without_enough_history_are_named(trained, capsys):
    out = run(capsys, "--history", "no,no,yes", "--artifacts_dir", trained).out
    assert "left out, the history is too short for them: L = 4" in out


def test_describe_lists_members_without_predicting(trained, capsys):
    learned = "learned from purchases.csv, 200 purchases:\n  train 2024-01-01 to 2024-02-10, 140 purchases, "
    out = run(capsys, "--describe", "--artifacts_dir", trained).out
    assert out.startswith(learned)
    assert str(trained / "time" / "model_seq2.pth") in out
    found = json.loads(run(capsys, "--describe", "--json", "--artifacts_dir", trained).out)
    assert found == json.loads((trained / "models_meta.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--history", "yes"], 3, "history must hold at least 2 purchases (found 1)"),
        (["--history", "yes,perhaps"], 3, "--history: label 2: expected yes or no (found 'perhaps')"),
        (["--history_csv", "none.csv"], 3, "none.csv: cannot be read"),
        (
            ["--history", "yes,no", "--weights", "1"],
            2,
            "weights must be one per member: simple L=2, simple L=4 (found 1)",
        ),
        (["--history", "yes,no", "--weights", "0,0"], 2, "weights must be finite, not negative and not all 0"),
        (["--history", "yes,no", "--weights", "1,x"], 2, "--weights must be numbers like 1,1,2 (found '1,x')"),
        (["--history", "yes,no", "--next", "maybe"], 2, "invalid choice: 'maybe'"),
        (["--history", "yes,no", *MADE], 2, "--history_csv must be given together"),
        (["--describe", "--next_number", "5"], 2, "--history_csv must be given together"),
        (["--describe", "--ensemble", "all"], 2, "--describe predicts nothing: --ensemble does not go with it"),
        (["--describe", "--next", "no"], 2, "--describe predicts nothing: --next does not go with it"),
        (["--describe", "--use_gpu"], 2, "--describe predicts nothing: --use_gpu does not go with it"),
        (["--describe", "--output", "x"], 2, "--output goes with --csv"),
        (["--csv", "none.csv"], 3, "none.csv: cannot be read"),
        (["--csv", "none.csv", "--output", "/dev/null"], 2, "/dev/null, which is no file"),
        (["--csv", "none.csv", "--output", "./none.csv"], 2, "must not be the file that is read"),
        (["--csv", "none.csv", "--next", "no"], 2, "--csv scores the probability of yes"),
        (["--csv", "none.csv", "--weights", "1,1"], 2, "--weights goes with one prediction"),
        (["--history", "yes,no", "--ensemble", "time"], 2, "predicts from what is given: simple (found time)"),
        (
            ["--history", "yes,no", "--next_column", "a=1"],
            2,
            "--next_column goes with --next_datetime and --next_number",
        ),
        (["--history", "yes", "--rates", "prepared"], 2, "--rates goes with --csv, or with --next_datetime and"),
        (["--history", "yes,no", "--threshold", "2"], 2, "--threshold must be a probability from 0 to 1 (found 2.0)"),
        (["--history", "yes,no", "--cost_missed", "2"], 2, "must be given together, and without --threshold"),
        (
            ["--history", "yes,no", "--cost_missed", "1", "--cost_needless", "-1"],
            2,
            "cost_needless must be 0 or a finite number above (found -1.0)",
        ),
        (
            ["--csv", "none.csv", "--cost_missed", "many", "--cost_needless", "1"],
            2,
            "--cost_missed and --cost_needless must be an amount or a column: number, or one of the training's "
            "numeric_columns (found 'many', not in none)",
        ),
        (
            ["--history", "yes,no", "--cost_missed", "0", "--cost_needless", "0"],
            2,
            "--cost_missed or --cost_needless must be above 0 (found 0 for both)",
        ),
        (["--history", "yes,no", "--cost_missed", "number"], 2, "must be given together, and without --threshold"),
        (
            ["--history", "yes,no", "--cost_missed", "number", "--cost_needless", "1"],
            2,
            "--cost_missed can be number only where that of the purchase is known when it is predicted: with "
            "--next_datetime and --next_number, or with --csv and --ensemble context, trees, blend or all (found "
            "simple, which",
        ),
        (
            ["--history_csv", "none.csv", "--cost_missed", "number", "--cost_needless", "number"],
            2,
            "--cost_missed and --cost_needless can be number only where that of the purchase is known",
        ),
        (
            ["--csv", "none.csv", "--ensemble", "time", "--cost_missed", "1", "--cost_needless", "number"],
            2,
            "--cost_needless can be number only where that of the purchase is known",
        ),
        ([], 2, "one of the arguments --history --history_csv --csv --describe is required"),
        (["--history", "yes,no", "--artifacts_dir", "nowhere"], 4, "nowhere/models_meta.json does not exist"),
    ],
)
def test_what_cannot_be_predicted_ends_with_a_message_and_an_exit_code(trained, capsys, arguments, code, message):
    if "--artifacts_dir" not in arguments:
        arguments = [*arguments, "--artifacts_dir", trained]
    with pytest.raises(SystemExit) as caught:
        run(capsys, *arguments)
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "damage", ["flipped bit", "truncated", "missing", "foreign metadata", "link", "zone that is a path"]
)
def test_damaged_artifacts_end_with_one_line_and_exit_code_4(copied, capsys, damage):
    path = copied / "simple" / "model_simple_seq2.pth"
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncated":
        path.write_bytes(content[:100])
    elif damage == "zone that is a path":
        metadata = (copied / "models_meta.json").read_text()
        metadata = metadata.replace('"timezone": null', '"timezone": "dateutil//etc/localtime"')
        (copied / "models_meta.json").write_text(metadata)
    elif damage == "foreign metadata":
        (copied / "models_meta.json").write_text('{"format_version": 7}')
    else:
        path.rename(copied.parent / "elsewhere")
        if damage == "link":
            path.symlink_to(copied.parent / "elsewhere")
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--history", "yes,no", "--artifacts_dir", copied)
    assert caught.value.code == 4
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_decision_names_the_model_that_it_is_by(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained]
    costs = ["--cost_missed", "0.001", "--cost_needless", "1"]
    decided = "let be: a return is below the threshold 0.999 "
    assert f"{decided}(blend)" in run(capsys, *common, *costs).out
    assert f"{decided}(blend)" in run(capsys, *common, *MADE, *costs).out
    out = run(capsys, *common, *costs, "--ensemble", "all").out
    for name in ("time ensemble", "simple ensemble", "combination", "trees"):
        assert f"{decided}({name}; the report measures costs by blend)" in out


def test_a_purchase_just_made_is_decided_by_its_own_number(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained]
    costs = ["--cost_missed", "number", "--cost_needless", "1"]
    probability = json.loads(run(capsys, *common, *MADE, "--json").out)["probability"]
    found = run(capsys, *common, *MADE, *costs, "--json")
    decided = json.loads(found.out)
    assert found.err == ""
    assert decided["threshold"] == 1 / 6
    assert decided["act"] == (probability >= 1 / 6)
    assert (decided["cost_act"], decided["cost_let_be"]) == (pytest.approx(1 - probability), 5 * probability)
    lines = run(capsys, *common, *MADE, *costs).out.splitlines()
    assert "the threshold 0.166667 (blend)" in lines[1]
    assert re.fullmatch(r"  for this purchase, acting costs 0\.\d+ on average, letting be [01]\.\d+", lines[2])
    negative = run(capsys, *common, *MADE[:2], "--next_number", "-5", *costs, "--json")
    assert negative.err == "note: the number of the purchase, -5, counts as a cost without its sign\n"
    assert json.loads(negative.out)["threshold"] == 1 / 6


def test_fixed_costs_tell_json_what_either_way_costs_and_a_threshold_does_not(trained, capsys):
    common = ["--history", "yes,no,no,yes", "--artifacts_dir", trained, "--json"]
    found = json.loads(run(capsys, *common, "--cost_missed", "4", "--cost_needless", "1").out)
    assert found["threshold"] == 0.2
    assert (found["cost_act"], found["cost_let_be"]) == (1 - found["probability"], 4 * found["probability"])
    # Which probability is shown changes no decision.
    other = json.loads(run(capsys, *common, "--next", "no", "--cost_missed", "4", "--cost_needless", "1").out)
    assert [other[name] for name in ("act", "cost_act", "cost_let_be")] == [
        found[name] for name in ("act", "cost_act", "cost_let_be")
    ]
    assert "cost_act" not in json.loads(run(capsys, *common, "--threshold", "0.2").out)


def test_a_file_is_decided_row_by_row_by_what_knows_the_number(trained, capsys, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 20)
    path.write_text(path.read_text().replace(",7\n", ",-7\n"))
    n_negative = path.read_text().count(",-7\n")
    costs = ["--cost_missed", "number", "--cost_needless", "1"]
    found = run(capsys, "--csv", path, "--artifacts_dir", trained, *costs)
    header = found.out.splitlines()[0].split(",")
    assert [name for name in header if name.startswith(("act_", "cost_", "threshold"))] == [
        *("threshold", "act_blend_made", "cost_act_blend_made", "cost_let_be_blend_made"),
    ]
    note = (
        "note: a missed return costs the purchase's number and a needless intervention 1, so each purchase has its own"
    )
    sign = f"note: {path}: {n_negative} numbers below 0 count as costs without their sign"
    assert n_negative > 1
    assert found.err.splitlines()[:2] == [
        f"{note} threshold; blend_made alone decides: blend_next tells of a purchase before it is made",
        sign,
    ]
    alone = run(capsys, "--csv", path, "--artifacts_dir", trained, "--ensemble", "context", *costs)
    assert alone.err.splitlines()[:2] == [f"{note} threshold", sign]


def test_what_predicts_by_default_is_what_the_verdicts_are_about(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained, "--json"]
    evaluation = json.loads((trained / "evaluation" / "evaluation.json").read_text())
    for question, flags in (("next", []), ("made", MADE)):
        found = json.loads(run(capsys, *common, *flags).out)
        assert found["ensemble"] == evaluation["questions"][question]["judged"]


@pytest.fixture
def standing_beside(trained, tmp_path, monkeypatch):
    """A folder whose `artifacts` are those of `trained`, which predict where no other are named."""
    (tmp_path / "artifacts").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    return tmp_path


ANSWERS_UNNAMED = (
    "note: the model in artifacts answers, which learned from purchases.csv, 200 purchases from 2024-01-01 to "
    "2024-02-28; --artifacts_dir names another\n"
)


@pytest.mark.parametrize("task", ["--history_csv", "--csv"])
def test_a_model_that_nobody_named_says_what_it_learned_from(standing_beside, capsys, task):
    mine = write_purchases(standing_beside / "mine.csv", 200)
    found = run(capsys, task, mine)
    assert found.err == ANSWERS_UNNAMED
    assert "note" not in found.out
    assert run(capsys, task, mine, "--artifacts_dir", "artifacts").err == ""
    assert run(capsys, task, mine.rename(standing_beside / "purchases.csv")).err == ""


@pytest.mark.parametrize("task", ["--history_csv", "--csv"])
@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        (lambda rows: rows, False),
        (lambda rows: [*rows, "2024-03-05T10:00:00,yes,3", "2024-03-05T11:00:00,no,3"], False),
        (lambda rows: rows[:60], True),
        (lambda rows: rows[1:], True),
        (lambda rows: rows[:-1], True),
        (lambda rows: [*rows[:50], "2024-01-15T22:30:00,no,3", *rows[50:]], True),
        (lambda rows: [*rows[:-1], rows[-1].replace(",no,", ",yes,")], True),
        (lambda rows: [row.replace(":00:00", ":30:00") for row in rows], True),
    ],
)
def test_another_file_of_the_same_name_is_told_which_model_answers(standing_beside, capsys, task, change, is_other):
    path = write_purchases(standing_beside / "purchases.csv", 200)
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *change(rows)]) + "\n")
    assert run(capsys, task, path).err == (ANSWERS_UNNAMED if is_other else "")


def test_labels_alone_are_told_which_model_answers_unless_it_is_named(standing_beside, capsys):
    assert "learned from purchases.csv" in run(capsys, "--history", "yes,no,no").err
    assert run(capsys, "--history", "yes,no,no", "--artifacts_dir", "artifacts").err == ""


@pytest.mark.parametrize("task", ["--history_csv", "--csv"])
def test_a_history_of_another_time_is_warned_of_also_where_the_model_is_named(trained, capsys, tmp_path, task):
    path = write_purchases(tmp_path / "purchases.csv", 60)
    path.write_text(path.read_text().replace("2024-", "2021-"))
    found = run(capsys, task, path, "--artifacts_dir", trained)
    assert found.err.startswith(
        f"warning: {path} does not look like the shop that the model in {trained} learned from "
    )
    assert "it ends on 2021-01-18, before the first of them; --artifacts_dir names another model" in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize("task", ["--history_csv", "--csv"])
@pytest.mark.parametrize(("named", "n_lines"), [([], 2), (["--artifacts_dir", "artifacts"], 1)])
def test_where_a_file_is_refused_the_model_that_it_is_read_for_is_told(standing_beside, capsys, task, named, n_lines):
    path = write_purchases(standing_beside / "purchases.csv", 200)
    path.write_text(path.read_text().replace("2024-01-", "01/"))
    with pytest.raises(SystemExit):
        run(capsys, task, path, *named)
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: purchases.csv row 2: datetime must be an ISO 8601 date")
    assert notes == ANSWERS_UNNAMED.splitlines()[: n_lines - 1]
