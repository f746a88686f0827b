import json
from datetime import datetime, timedelta

import pandas as pd
import pytest
import torch

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES, LOG_GAP_SCALED, SCALED_FEATURES, TIME_FEATURES
from boomerang.base.errors import DataError, SettingsError
from boomerang.features.inputs import stack_features
from boomerang.model.windows import read_windows
from stages.prepare import prepare
from stages.sequences import check_backtest, sequences
from tests.support import write_purchases


@pytest.fixture
def cut(params, tmp_path):
    config = settings.validate_settings(params, "test")
    prepare(write_purchases(tmp_path / "a.csv"), tmp_path / "prepared", config.prepare)

    def run(**changes):
        params["sequences"] |= changes
        sequences(tmp_path / "prepared", tmp_path / "sequences", settings.validate_settings(params, "test").sequences)
        return tmp_path / "sequences"

    return run


def test_each_ensemble_gets_a_file_per_length(cut):
    folder = cut(seq_lengths=[2, 5])
    widths = {"time": len(TIME_FEATURES), "simple": 1, "context": len(SCALED_FEATURES) + 1}
    for name, n_steps in (("time", 5), ("simple", 5), ("context", 6)):
        assert sorted(path.name for path in (folder / name).iterdir()) == ["seq2.pt", "seq5.pt"]
        windows = read_windows(folder / name / "seq5.pt")
        # No window of `context` holds the first purchase, whose gap and label before nobody observed.
        n_train = 134 if name == "context" else 135
        assert windows.inputs.shape == (n_train + 60, n_steps, widths[name])
        assert windows.inputs.dtype == windows.targets.dtype == torch.float32
        bounds = {"train": (0, n_train), "val": (n_train, n_train + 40), "test": (n_train + 40, n_train + 60)}
        assert windows.bounds == bounds
    targets = read_windows(folder / "simple" / "seq2.pt").targets
    inputs = read_windows(folder / "simple" / "seq2.pt").inputs
    assert torch.equal(inputs[1:, -1, 0], targets[:-1])


def test_no_window_holds_its_own_target(cut):
    """Windows of `context` end with the purchase in question: another label of it changes its target and no input."""
    folder = cut(seq_lengths=[3])
    table = pd.read_parquet(folder.parent / "prepared" / "purchases.parquet")
    before = {name: read_windows(folder / name / "seq3.pt") for name in ENSEMBLES}
    before = {name: (windows.inputs.clone(), windows.targets.clone()) for name, windows in before.items()}
    row = 100
    table.loc[row, "returned"] = 1 - table.loc[row, "returned"]
    table.to_parquet(folder.parent / "prepared" / "purchases.parquet", index=False)
    cut(seq_lengths=[3])
    for name, (inputs, targets) in before.items():
        after = read_windows(folder / name / "seq3.pt")
        of_row = row - ENSEMBLES[name].n_past(3)
        assert (after.targets != targets).nonzero().flatten().tolist() == [of_row]
        assert torch.equal(after.inputs[: of_row + 1], inputs[: of_row + 1])
        # Later ones tell of it, but for the ensemble that reads no label.
        assert torch.equal(after.inputs[of_row + 1], inputs[of_row + 1]) == (name == "time")


def test_no_window_holds_a_gap_or_label_that_nobody_observed(cut):
    """What `prepare` had to make up for the first purchase: another value of it changes no window of `context`."""
    folder = cut(seq_lengths=[1, 2, 5])
    files = sorted((folder / "context").iterdir())
    before = [path.read_bytes() for path in files]
    table = pd.read_parquet(folder.parent / "prepared" / "purchases.parquet")
    table.loc[0, LOG_GAP_SCALED] = 77.0
    table.to_parquet(folder.parent / "prepared" / "purchases.parquet", index=False)
    cut(seq_lengths=[1, 2, 5])
    assert [path.read_bytes() for path in files] == before
    # The first step tells of the second purchase, so its label before is that of the first one.
    first_step = read_windows(files[0]).inputs[0, 0]
    expected = stack_features(table, ENSEMBLES["context"].features)[1]
    assert torch.equal(first_step, torch.from_numpy(expected))


def test_the_same_run_gives_the_same_bytes(cut):
    before = {path: path.read_bytes() for path in cut().rglob("*.*")}
    assert {path: path.read_bytes() for path in cut().rglob("*.*")} == before


def test_dropped_lengths_are_named(cut, capsys):
    folder = cut(seq_lengths=[2, 140, 129])
    lengths = json.loads((folder / "lengths.json").read_text())
    assert lengths["requested_seq_lengths"] == [2, 140, 129]
    assert lengths["seq_lengths"] == [2]
    assert lengths["mode"] == "fixed"
    assert "sequence length 140 dropped: above max_seq_cap 128" in capsys.readouterr().err


def test_no_length_left_is_an_error(cut):
    with pytest.raises(
        DataError,
        match=r"^a\.csv: no sequence length is left: "
        r"150 needs at least 152 .* there are 140; the shortest needs 217 purchases in all",
    ):
        cut(seq_lengths=[150], max_seq_cap=1000)


@pytest.mark.parametrize(("length", "n_rows"), [(2, 6), (3, 7), (12, 20)])
def test_as_many_purchases_as_are_said_to_be_needed_are_enough(params, tmp_path, length, n_rows):
    params["sequences"] = {"seq_lengths": [length], "max_seq_cap": 128}
    config = settings.validate_settings(params, "test")

    def run(n_rows):
        prepare(write_purchases(tmp_path / "a.csv", n_rows), tmp_path / "prepared", config.prepare)
        sequences(tmp_path / "prepared", tmp_path / "sequences", config.sequences)

    with pytest.raises(DataError, match=f"{n_rows} (purchases in all|are needed)"):
        run(n_rows - 1)
    run(n_rows)
    for name in ENSEMBLES:
        assert len(read_windows(tmp_path / "sequences" / name / f"seq{length}.pt").inputs)


def test_auto_grows_the_lengths_with_the_data(cut):
    lengths = json.loads((cut(seq_lengths="auto") / "lengths.json").read_text())
    assert (lengths["mode"], lengths["seq_lengths"]) == ("auto", [2])


def late_returns(row):
    return "yes" if row >= 700 and row % 5 == 0 else "no"


def wide_numbers(row):
    """Up to row 1,000 nearly one number, so that all others are beyond float32 when they are scaled by it."""
    return f"1.{row % 2:09}" if row < 1000 else ("1e30" if row % 2 else "0")


@pytest.mark.parametrize(
    ("label", "number", "prepared", "lengths", "most", "found"),
    [
        (late_returns, None, {}, [2], 3, r"the 600 training purchases must hold both labels \(found only no\)"),
        (None, None, {}, [2], 6, r"as many training purchases as validation purchases, 300 \(found 150\)"),
        (
            None,
            None,
            {},
            [700],
            3,
            "is left: 700 needs at least 702 training purchases, there are 600",
        ),
        (
            None,
            wide_numbers,
            {"number_transform": "none"},
            [2],
            1,
            "scaled as in training, be within float32",
        ),
        (
            None,
            None,
            {"val_split": 2 / 1500, "test_split": 374 / 1500},
            "auto",
            3,
            "2 needs at least 4 training purchases, there are 2",
        ),
    ],
    ids=["labels", "rows", "lengths", "numbers", "auto"],
)
def test_folds_that_would_fail_are_refused_before_anything_trains(
    params, tmp_path, label, number, prepared, lengths, most, found
):
    start, path = datetime(2024, 1, 1), tmp_path / "mine.csv"
    label, number = label or (lambda row: "yes" if row % 5 == 0 else "no"), number or (lambda row: row % 7)
    rows = (f"{(start + timedelta(hours=row)).isoformat()},{label(row)},{number(row)}\n" for row in range(1500))
    path.write_text("datetime,returned,number\n" + "".join(rows))
    params["prepare"] |= prepared
    params["sequences"] = {"seq_lengths": lengths, "max_seq_cap": 1000}
    config = settings.validate_settings(params, "test")
    prepare(path, tmp_path / "prepared", config.prepare)
    for n_folds in (most + 1, most + 5):
        expected = rf"n_folds must be at most {most} \(found {n_folds}\): fold {n_folds - most} of {n_folds} would see "
        with pytest.raises(SettingsError, match=rf"{expected}.* purchases? in mine\.csv: .*{found}"):
            sequences(tmp_path / "prepared", tmp_path / "sequences", config.sequences, n_folds)
    assert not (tmp_path / "sequences").exists()
    check_backtest(tmp_path / "prepared", config.sequences, most)
