"""What `predict.py` calls settings, thresholds and counts."""

import json
import subprocess
import sys

import pytest

from boomerang.base import settings
from boomerang.commands import predict
from boomerang.serving.description import format_prediction
from tests.commands.support import MADE, run
from tests.support import write_purchases


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
def test_a_datetime_that_is_no_date_or_too_early_is_told_so_in_the_form_of_the_training(
    read_by, capsys, tmp_path, datetime_format, timezone, written
):
    folder = read_by(datetime_format=datetime_format, timezone=timezone)
    path = tmp_path / "purchases.csv"
    path.write_text("datetime,returned,number\n" + f"{written},no,1\n" * 4)
    common = ["--history_csv", path, "--artifacts_dir", folder, "--next_number", "1"]
    with pytest.raises(SystemExit):
        run(capsys, *common, "--next_datetime", "2024/12/31 at six")
    form = "an ISO 8601 date" if datetime_format is None else f"in the form {datetime_format}"
    expected = f"--next_datetime must be {form}, as in the training, like {written} (found '2024/12/31 at six')"
    assert expected in capsys.readouterr().err
    early = written.replace("2024", "2023").replace("-24 ", "-23 ")
    with pytest.raises(SystemExit):
        run(capsys, *common, "--next_datetime", early)
    expected = f"--next_datetime must not be earlier than the last purchase, {written} (found '{early}')"
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


def test_offsets_that_the_training_had_not_are_refused_with_what_would_take_them(read_by, capsys, tmp_path):
    path = tmp_path / "purchases.csv"
    path.write_text("datetime,returned,number\n" + "2024-12-31T18:05:00+01:00,no,1\n" * 4)
    with pytest.raises(SystemExit):
        run(capsys, "--csv", path, "--artifacts_dir", read_by(datetime_format=None))
    err = capsys.readouterr().err
    assert "(found '2024-12-31T18:05:00+01:00'): write local times, or train with --timezone\n" in err


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
    assert f"the threshold {shown} (blend); this threshold {meaning}\n" in run(capsys, *one).out
    note = f"note: the threshold {shown} {meaning}\n"
    assert run(capsys, *one, "--json").err == note
    assert run(capsys, "--csv", path, "--artifacts_dir", trained, *flags).err == note


@pytest.mark.parametrize(("threshold", "shown"), [("0.5", "0.500"), ("0.0004", "0.0004"), ("0.99999", "0.99999")])
def test_any_other_threshold_is_shown_as_it_is(trained, capsys, threshold, shown):
    found = run(capsys, "--history", "yes,no,no", "--artifacts_dir", trained, "--threshold", threshold)
    assert f"the threshold {shown} (simple ensemble; the report measures costs by blend)\n" in found.out
    assert found.err == ""


def test_one_purchase_is_not_called_purchases(trained, capsys):
    with pytest.raises(SystemExit):
        run(capsys, "--history", "yes", "--artifacts_dir", trained)
    assert "history must hold at least 2 purchases (found 1)" in capsys.readouterr().err
    assert format_prediction({"probability": 0.2, "members": [], "left_out": []}, "simple", "yes", 1, None) == (
        "returned=yes: 0.2000   (simple ensemble, 1 past purchase)"
    )


def test_help_waits_for_no_library_that_it_does_not_need():
    code = "import sys, boomerang.commands.predict; print(*{'numpy', 'pandas', 'pydantic', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"
