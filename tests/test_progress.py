import io

from stages.lib import progress

FIGURES = {
    "ensemble": "simple",
    "seq_length": 12,
    "epoch": 3,
    "train_loss": 0.43214,
    "val_loss": 0.5,
    "val_accuracy": 0.75,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_there_are_lines_and_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.show_epochs(2, quiet=False) as path:
        progress.report_epoch(path, FIGURES)
        progress.report_epoch(path, FIGURES | {"epoch": 4})
    shown = terminal.getvalue()
    assert "simple L=12  epoch 3   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500" in shown
    assert "2/2" in shown


def test_elsewhere_there_are_lines_and_no_bar(capsys):
    with progress.show_epochs(2, quiet=False) as path:
        progress.report_epoch(path, FIGURES)
    err = capsys.readouterr().err
    assert err == "simple L=12  epoch 3   train_loss 0.4321  val_loss 0.5000  val_accuracy 0.7500\n"
