import io
import json

import pytest

from boomerang.training.progress import HistoryWriter, MemberProgress, show_progress
from boomerang.training.trainer import Epoch


def epochs(first, last):
    return [Epoch("simple", 12, number, 0.43214, 0.5, 0.75) for number in range(first, last + 1)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def member(tmp_path):
    return MemberProgress("simple", 12, 4, tmp_path / "history.jsonl")


def test_there_is_a_line_per_epoch(member, capsys):
    with show_progress([member], quiet=False) as run_id:
        history = HistoryWriter(member.path, run_id, [])
        history.add(*epochs(1, 1))
        history.add(*epochs(2, 2))
    assert capsys.readouterr().err.splitlines() == [
        "simple  L=12  epoch 1   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500",
        "simple  L=12  epoch 2   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500",
    ]


def test_epochs_of_an_earlier_run_are_counted_and_not_shown_again(member, capsys):
    with show_progress([member], quiet=False) as run_id:
        HistoryWriter(member.path, run_id, epochs(1, 3)).add(*epochs(4, 4))
    assert capsys.readouterr().err.splitlines() == [
        "simple  L=12  3 of 4 epochs taken from the store",
        "simple  L=12  epoch 4   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500",
    ]


def test_epochs_of_another_run_are_ignored(member, capsys):
    HistoryWriter(member.path, "another", []).add(*epochs(1, 1))
    with show_progress([member], quiet=False):
        pass
    assert capsys.readouterr().err == ""


def test_a_line_that_is_not_whole_yet_is_read_later(member):
    HistoryWriter(member.path, "run", [])
    line = (
        json.dumps(
            {"ensemble": "simple", "seq_length": 12, "epoch": 1}
            | dict.fromkeys(("train_loss", "val_loss", "val_accuracy", "seconds"), 1.0)
        )
        + "\n"
    )
    with member.path.open("a") as file:
        file.write(line[:20])
        file.flush()
        assert member.read_new_epochs("run") == []
        file.write(line[20:])
    assert len(member.read_new_epochs("run")) == 1


def test_on_a_terminal_there_is_a_table_too_with_a_row_per_member(member, monkeypatch, tmp_path):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    waiting = MemberProgress("simple", 24, 4, tmp_path / "none.jsonl")
    with show_progress([member, waiting], quiet=False) as run_id:
        HistoryWriter(member.path, run_id, []).add(*epochs(1, 1))
    shown = terminal.getvalue()
    assert "ensemble" in shown
    assert "0.4321" in shown
    assert "1/4" in shown
    assert "0/4" in shown
    assert "simple  L=12  epoch 1   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500" in shown


def test_time_left_is_that_of_the_epochs_this_run_trained(member):
    member.n_done, figures = 1, {"train_loss": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
    member.epochs = [figures | {"epoch": 1}, figures | {"epoch": 2, "seconds": 40.0}]
    assert member.table_cells()[-1] == "1:20"


def test_quiet_shows_nothing(member, capsys):
    with show_progress([member], quiet=True) as run_id:
        HistoryWriter(member.path, run_id, []).add(*epochs(1, 1))
    assert capsys.readouterr() == ("", "")


def test_a_file_replaced_by_another_run_is_ignored(member):
    HistoryWriter(member.path, "run", []).add(*epochs(1, 1))
    assert len(member.read_new_epochs("run")) == 1
    HistoryWriter(member.path, "another", epochs(1, 3))
    assert member.read_new_epochs("run") == []
