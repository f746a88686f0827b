import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES
from boomerang.combining.artifacts import read_member, read_metadata
from boomerang.commands import predict
from boomerang.reading.purchases import read_purchases
from boomerang.serving.description import format_prediction
from tests.support import ROOT, write_purchases

FULL = Path("/dev/full")


def run(capsys, *arguments):
    predict.main([str(argument) for argument in arguments])
    return capsys.readouterr()


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
    tail.write_text(lines[0] + "".join(lines[-4:]))
    found = [
        json.loads(run(capsys, "--history_csv", path, "--artifacts_dir", trained, "--json").out)
        for path in (whole, tail)
    ]
    assert found[0] == found[1]
    assert found[0]["ensemble"] == "combination"


MADE = ["--next_datetime", "2024-02-01 09:00", "--next_number", "5"]


def test_a_purchase_just_made_goes_to_the_context_ensemble(trained, capsys, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 60)
    common = ["--history_csv", path, "--artifacts_dir", trained, "--json"]
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


def test_context_needs_a_past_purchase_more_than_its_members_read(trained, capsys, tmp_path):
    for n_rows, left_out in ((3, True), (4, True), (5, False)):
        path = write_purchases(tmp_path / "a.csv", n_rows)
        out = run(capsys, "--history_csv", path, "--artifacts_dir", trained, *MADE).out
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
        (["--next_datetime", "2024-01-01 08:59", *MADE[2:]], "2024-01-18 14:00:00 (the last purchase) or later"),
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
        (["--history", "yes,perhaps"], 3, "history, label 2: expected yes or no (found 'perhaps')"),
        (["--history_csv", "none.csv"], 3, "none.csv: cannot be read"),
        (["--history", "yes,no", "--weights", "1"], 2, "weights must be one per member, L = [2, 4] (found 1)"),
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
        (["--history", "yes,no", "--threshold", "2"], 2, "--threshold must be a probability from 0 to 1 (found 2.0)"),
        (["--history", "yes,no", "--cost_missed", "2"], 2, "must be given together, and without --threshold"),
        (
            ["--history", "yes,no", "--cost_missed", "1", "--cost_needless", "-1"],
            2,
            "cost_needless must be 0 or a finite number above (found -1.0)",
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


@pytest.fixture
def copied(trained, tmp_path):
    """Artifacts that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "artifacts"))


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


def test_a_csv_is_read_as_the_training_read_it(copied, capsys, tmp_path):
    metadata = json.loads((copied / "models_meta.json").read_text())
    metadata["reading"]["datetime_format"] = "%d.%m.%Y"
    (copied / "models_meta.json").write_text(json.dumps(metadata))
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\n" + "31.12.2024,no,1\n" * 4)
    found = json.loads(run(capsys, "--history_csv", path, "--artifacts_dir", copied, "--json").out)
    assert len(found["members"]) == 4


@pytest.fixture
def read_by(copied):
    """Sets how the training of `copied` has read datetimes."""

    def change(**reading):
        metadata = json.loads((copied / "models_meta.json").read_text())
        metadata["reading"] |= reading
        (copied / "models_meta.json").write_text(json.dumps(metadata))
        return copied

    return change


@pytest.mark.parametrize(
    ("datetime_format", "timezone", "written"),
    [
        ("%d.%m.%Y", None, "31.12.2024"),
        ("%m/%d/%Y %I:%M %p", None, "12/31/2024 06:05 PM"),
        ("%d-%b-%y %H.%M.%S", None, "31-Dec-24 18.05.00"),
        ("%d/%m/%Y %H:%M %z", "Europe/London", "31/12/2024 18:05 +0000"),
        ("%Y-%m-%dT%H:%M%z", "Asia/Tokyo", "2024-12-31T18:05+0900"),
        (None, None, "2024-12-31 18:05:00"),
    ],
)
def test_a_refused_datetime_is_shown_the_form_of_the_training(
    read_by, capsys, tmp_path, datetime_format, timezone, written
):
    folder = read_by(datetime_format=datetime_format, timezone=timezone)
    path = tmp_path / "purchases.csv"
    path.write_text("datetime,returned,number\n" + f"{written},no,1\n" * 4)
    common = ["--history_csv", path, "--artifacts_dir", folder, "--next_number", "1"]
    with pytest.raises(SystemExit):
        run(capsys, *common, "--next_datetime", "2024/12/31 at six")
    expected = f"--next_datetime must be a datetime as in the training, {written} (the last purchase) or later"
    assert expected in capsys.readouterr().err
    # What is shown is taken.
    assert "returned=yes: 0." in run(capsys, *common, "--next_datetime", written).out


def test_what_the_training_fixed_is_called_the_training_s(read_by, capsys, tmp_path):
    path = tmp_path / "purchases.csv"
    path.write_text("datetime,returned,number\n" + "31.12.2024 18:05,no,1\n" * 4)
    for datetime_format, said in (
        ("%d.%m.%Y", "datetime must be in the form %d.%m.%Y (the training's datetime_format), and exist"),
        (None, "say which in the training's datetime_format"),
    ):
        with pytest.raises(SystemExit):
            run(capsys, "--csv", path, "--artifacts_dir", read_by(datetime_format=datetime_format))
        err = capsys.readouterr().err
        assert said in err
        assert "prepare." not in err


@pytest.mark.parametrize("name", ["cost_missed", "cost_needless", "weights", "next_number"])
def test_a_refused_flag_is_called_by_its_flag(trained, capsys, tmp_path, name):
    flags = {
        "cost_missed": ["--cost_missed=-1", "--cost_needless", "1"],
        "cost_needless": ["--cost_missed", "1", "--cost_needless=nan"],
        "weights": ["--weights", "1,1", "--ensemble", "combination"],
        "next_number": [*MADE[:2], "--next_number", "many"],
    }[name]
    with pytest.raises(SystemExit):
        run(capsys, "--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained, *flags)
    assert capsys.readouterr().err.startswith(f"error: --{name} ")


def test_every_setting_that_only_the_training_can_change_has_its_words():
    fixed = {*settings.PrepareSettings.model_fields, *settings.SequencesSettings.model_fields} - {"data_path"}
    assert {name for name, words in predict.NAMES.items() if words.startswith("the training's ")} == fixed


ALIKE = [
    (["--threshold", "0"], "0.000", "acts on every purchase"),
    (["--threshold=-0.0"], "0.000", "acts on every purchase"),
    (["--threshold", "1"], "1.000", "acts on no purchase"),
    (["--cost_missed", "0", "--cost_needless", "1"], "1.000", "acts on no purchase"),
    (["--cost_missed", "1", "--cost_needless", "0"], "0.000", "acts on every purchase"),
    (["--cost_missed", "1e6", "--cost_needless", "1"], "0.000", "acts on every purchase"),
]


@pytest.mark.parametrize(("flags", "shown", "meaning"), ALIKE)
def test_a_threshold_that_decides_alike_for_all_purchases_says_so(trained, capsys, tmp_path, flags, shown, meaning):
    path = write_purchases(tmp_path / "purchases.csv", 20)
    one = ["--history_csv", path, "--artifacts_dir", trained, *flags]
    assert f"the threshold {shown} (combination); this threshold {meaning}\n" in run(capsys, *one).out
    note = f"note: the threshold {shown} {meaning}\n"
    assert run(capsys, *one, "--json").err == note
    assert run(capsys, "--csv", path, "--artifacts_dir", trained, *flags).err == note


@pytest.mark.parametrize(("threshold", "shown"), [("0.5", "0.500"), ("0.0004", "0.0004"), ("0.99999", "0.99999")])
def test_any_other_threshold_is_shown_as_it_is(trained, capsys, threshold, shown):
    found = run(capsys, "--history", "yes,no,no", "--artifacts_dir", trained, "--threshold", threshold)
    assert f"the threshold {shown} (simple ensemble; the report measures costs by combination)\n" in found.out
    assert found.err == ""


def test_one_purchase_is_not_called_purchases(trained, capsys):
    with pytest.raises(SystemExit):
        run(capsys, "--history", "yes", "--artifacts_dir", trained)
    assert "history must hold at least 2 purchases (found 1)" in capsys.readouterr().err
    assert format_prediction({"probability": 0.2, "members": [], "left_out": []}, "simple", "yes", 1, None) == (
        "returned=yes: 0.2000   (simple ensemble, 1 past purchase)"
    )


def read_with(copied, **reading):
    """Artifacts of a training that read its datetimes so."""
    path = copied / "models_meta.json"
    metadata = json.loads(path.read_text())
    metadata["reading"] |= reading
    path.write_text(json.dumps(metadata))
    return copied


def history(path, datetimes):
    path.write_text("datetime,returned,number\n" + "".join(f"{time},no,{n}\n" for n, time in enumerate(datetimes)))
    return path


JUST_MADE = ("--next_number", "3", "--json", "--next_datetime")


def test_history_and_purchase_just_made_are_converted_to_the_offset_of_the_training(copied, capsys, tmp_path):
    artifacts = ("--artifacts_dir", read_with(copied, offset="+09:00"))
    local = history(tmp_path / "a.csv", [f"2025-01-0{day}T20:00+09:00" for day in range(1, 7)])
    utc = history(tmp_path / "b.csv", [f"2025-01-0{day} 11:00:00 UTC" for day in range(1, 7)])
    expected, note = run(capsys, "--history_csv", local, *JUST_MADE, "2025-01-07T08:00+09:00", *artifacts)
    assert "left out" in note
    found, note = run(capsys, "--history_csv", utc, *JUST_MADE, "2025-01-06T23:00Z", *artifacts)
    assert found == expected
    assert note.startswith(f"{utc}: datetime: converted to the offset of the training, +09:00\n")
    scores = run(capsys, "--csv", utc, *artifacts).out
    assert scores == run(capsys, "--csv", local, *artifacts).out
    assert "2025-01-06T20:00:00" in scores


@pytest.mark.parametrize(
    ("offset", "past", "made", "code", "message"),
    [
        (None, "", "+09:00", 2, "next_datetime must have no offset, as the datetimes of the past purchases have"),
        (None, "+09:00", "+09:00", 3, "a.csv row 2: datetime must have no offset, as in the training"),
        (None, "Z", "Z", 3, "a.csv row 2: datetime must have no offset, as in the training"),
        ("+09:00", "+09:00", "", 2, "next_datetime must have an offset, as the datetimes of the past purchases have"),
        ("+09:00", "", "Z", 2, "next_datetime must have no offset, as the datetimes of the past purchases have"),
    ],
)
def test_an_offset_that_leads_to_no_local_time_is_refused(copied, capsys, tmp_path, offset, past, made, code, message):
    path = history(tmp_path / "a.csv", [f"2025-01-0{day}T10:00{past}" for day in range(1, 7)])
    artifacts = ("--artifacts_dir", read_with(copied, offset=offset))
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--history_csv", path, *JUST_MADE, f"2025-01-08T11:00{made}", *artifacts)
    assert caught.value.code == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_file_newest_first_gives_the_predictions_of_the_same_file_oldest_first(trained, capsys, tmp_path):
    days = [f"2025-01-0{1 + n // 4}T10:00" for n in range(24)]
    rising = history(tmp_path / "a.csv", days)
    header, *rows = rising.read_text().splitlines()
    rows = [row.replace("no", "yes") if n % 3 else row for n, row in enumerate(rows)]
    rising.write_text("\n".join([header, *rows, ""]))
    falling = tmp_path / "b.csv"
    falling.write_text("\n".join([header, *rows[::-1], ""]))
    common = ("--artifacts_dir", trained, "--ensemble", "all")
    asked = ("--history_csv", rising, *common), ("--history_csv", falling, *common)
    assert len({run(capsys, *arguments).out for arguments in asked}) == 1
    made = ("--artifacts_dir", trained, *JUST_MADE, "2025-02-01")
    assert run(capsys, "--history_csv", rising, *made).out == run(capsys, "--history_csv", falling, *made).out
    scores = [run(capsys, "--csv", path, *common).out.splitlines() for path in (rising, falling)]
    # Only the number of the row in the file differs.
    assert len({tuple(line.partition(",")[2] for line in lines) for lines in scores}) == 1
    assert scores[1][1].startswith("25,")


def help_into(stdout):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, ROOT / "predict.py", "--help"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment, text=True)


def test_a_reader_that_has_seen_enough_is_left_in_peace():
    reading, writing = os.pipe()
    os.close(reading)
    found = help_into(writing)
    os.close(writing)
    assert (found.returncode, found.stderr) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_an_error_in_one_line():
    with FULL.open("wb") as full:
        found = help_into(full)
    assert (found.returncode, found.stderr) == (1, "error: [Errno 28] No space left on device\n")


def test_all_that_can_predict_do_and_decide(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained]
    found = json.loads(run(capsys, *common, "--ensemble", "all", "--threshold", "0.3", "--json").out)["predictions"]
    assert [prediction["ensemble"] for prediction in found] == ["time", "simple", "combination"]
    assert all(prediction["act"] == (prediction["probability"] >= 0.3) for prediction in found)
    assert len(found[2]["members"]) == 4
    out = run(capsys, *common, "--ensemble", "combination", "--cost_missed", "0", "--cost_needless", "1").out
    assert "combination, 60 past purchases" in out
    assert "let be: a return is below the threshold 1.000 (combination)" in out
    assert "time    L=2" in out


def test_a_decision_names_the_model_that_it_is_by(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained]
    costs = ["--cost_missed", "0.001", "--cost_needless", "1"]
    decided = "let be: a return is below the threshold 0.999 "
    assert f"{decided}(combination)" in run(capsys, *common, *costs).out
    assert f"{decided}(context ensemble)" in run(capsys, *common, *MADE, *costs).out
    out = run(capsys, *common, *costs, "--ensemble", "all").out
    for name in ("time", "simple"):
        assert f"{decided}({name} ensemble; the report measures costs by combination)" in out


def test_what_predicts_by_default_is_what_the_verdicts_are_about(trained, capsys, tmp_path):
    common = ["--history_csv", write_purchases(tmp_path / "a.csv", 60), "--artifacts_dir", trained, "--json"]
    evaluation = json.loads((trained / "evaluation" / "evaluation.json").read_text())
    for question, flags in (("next", []), ("made", MADE)):
        found = json.loads(run(capsys, *common, *flags).out)
        assert found["ensemble"] == evaluation["questions"][question]["judged"]


def test_a_link_to_the_output_stays_one(trained, capsys, tmp_path):
    path, target, link = write_purchases(tmp_path / "a.csv", 5), tmp_path / "scores.csv", tmp_path / "link"
    link.symlink_to(target)
    run(capsys, "--csv", path, "--output", link, "--artifacts_dir", trained)
    assert link.is_symlink()
    assert len(target.read_text().splitlines()) == 6


def test_a_link_into_the_cache_of_dvc_is_replaced_and_the_cache_is_not_written_to(trained, capsys, tmp_path):
    path = write_purchases(tmp_path / "purchases.csv", 30)
    digest = hashlib.md5(b"scores of another day").hexdigest()
    cached = tmp_path / "cache" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"scores of another day")
    (tmp_path / "scores.csv").symlink_to(cached)
    run(capsys, "--csv", path, "--output", tmp_path / "scores.csv", "--artifacts_dir", trained)
    assert (tmp_path / "scores.csv").read_text().startswith("row,datetime,")
    assert not (tmp_path / "scores.csv").is_symlink()
    assert cached.read_bytes() == b"scores of another day"


def test_scores_go_to_stdout_as_to_a_file(trained, capfdbinary, tmp_path):
    path = write_purchases(tmp_path / "a.csv", 5)
    predict.main(["--csv", str(path), "--artifacts_dir", str(trained), "--ensemble", "simple"])
    printed = capfdbinary.readouterr().out
    predict.main(
        ["--csv", str(path), "--artifacts_dir", str(trained), "--ensemble", "simple", "--output", str(tmp_path / "o")]
    )
    assert (tmp_path / "o").read_bytes() == printed


@pytest.fixture
def standing_beside(trained, tmp_path, monkeypatch):
    """A folder whose `artifacts` are those of `trained`, which predict where no other are named."""
    (tmp_path / "artifacts").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("task", ["--history_csv", "--csv"])
def test_a_model_that_nobody_named_says_what_it_learned_from(standing_beside, capsys, task):
    mine = write_purchases(standing_beside / "mine.csv", 60)
    found = run(capsys, task, mine)
    assert found.err == (
        "note: the model in artifacts answers, which learned from purchases.csv, 200 purchases from 2024-01-01 to "
        "2024-02-28; --artifacts_dir names another\n"
    )
    assert "note" not in found.out
    assert run(capsys, task, mine, "--artifacts_dir", "artifacts").err == ""
    assert run(capsys, task, mine.rename(standing_beside / "purchases.csv")).err == ""


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
