import pytest

from boomerang.base.wording import calling_settings, counted, reword, tell

NAMES = {
    name: f"--{name}" for name in ("datetime_format", "timezone", "val_split", "test_split", "epochs", "lr", "jobs")
}


@pytest.mark.parametrize(("number", "expected"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (4991, "4991 rows")])
def test_what_is_counted_is_one_or_many(number, expected):
    assert counted(number, "row") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set prepare.datetime_format.", "set --datetime_format."),
        ("prepare.datetime_format and prepare.timezone: both", "--datetime_format and --timezone: both"),
        ("a (prepare.timezone), and b", "a (--timezone), and b"),
        (
            "settings: train.lr: must be above 0\nsettings: prepare: val_split + test_split",
            "--lr: must be above 0\n--val_split + --test_split",
        ),
        ("execution: jobs: must be 1", "--jobs: must be 1"),
        ("epochs must be 1", "--epochs must be 1"),
        ("10 of 10 epochs, 3 jobs", "10 of 10 epochs, 3 jobs"),
        ("train.epochs, not epochs", "--epochs, not epochs"),
        ("params.yaml: train.lr: must be above 0", "params.yaml: train.lr: must be above 0"),
        ("a.csv row 1 (found 'prepare.timezone,val_split')", "a.csv row 1 (found 'prepare.timezone,val_split')"),
        ("the member's val_split (found \"it's lr\")", "the member's --val_split (found \"it's lr\")"),
        (
            "out/val_split/lr.csv, val_split.csv, my_lr, lr-2, --lr",
            "out/val_split/lr.csv, val_split.csv, my_lr, lr-2, --lr",
        ),
    ],
)
def test_settings_are_called_what_the_caller_calls_them(text, expected, capsys):
    assert reword(text) == text
    with calling_settings(NAMES):
        assert reword(text) == expected
        tell(text)
    assert capsys.readouterr().err == f"{expected}\n"
    assert reword(text) == text
