"""Files that `predict.py` reads and writes: forms of datetimes, order, output."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boomerang.commands import predict
from tests.commands.support import run
from tests.support import ROOT, write_purchases

FULL = Path("/dev/full")


def test_a_csv_is_read_as_the_training_read_it(copied, capsys, tmp_path):
    metadata = json.loads((copied / "models_meta.json").read_text())
    metadata["reading"]["datetime_format"] = "%d.%m.%Y"
    (copied / "models_meta.json").write_text(json.dumps(metadata))
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\n" + "31.12.2024,no,1\n" * 4)
    found = json.loads(run(capsys, "--history_csv", path, "--artifacts_dir", copied, "--json").out)
    assert len(found["members"]) == 4


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
    # Each in the order of its file: only the number of the row differs.
    assert [int(line.partition(",")[0]) for line in scores[1][1:]] == list(range(2, 26))
    of_rising, of_falling = ([line.partition(",")[2] for line in lines[1:]] for lines in scores)
    assert of_rising == of_falling[::-1]


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
    assert [prediction["ensemble"] for prediction in found] == ["time", "simple", "combination", "trees", "blend"]
    assert all(prediction["act"] == (prediction["probability"] >= 0.3) for prediction in found)
    assert [len(prediction["members"]) for prediction in found] == [2, 2, 4, 1, 5]
    assert [member["ensemble"] for member in found[4]["members"]] == ["time", "time", "simple", "simple", "trees"]
    out = run(capsys, *common, "--ensemble", "combination", "--cost_missed", "0", "--cost_needless", "1").out
    assert "combination, 60 past purchases" in out
    assert "let be: a return is below the threshold 1.000 (combination; the report measures costs by blend)" in out
    assert "time    L=2" in out


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
