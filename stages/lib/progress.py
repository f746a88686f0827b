"""What training shows while it runs: one line per epoch and, on a terminal, a bar."""

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

POLL_SECONDS = 0.1


@contextmanager
def show_epochs(n_epochs: int, quiet: bool) -> Iterator[Path]:
    """Print every epoch that workers report, on stderr.

    The workers are processes of their own; they append to one file, and one thread here reads it and writes to the
    console, so lines and bar never mix.

    Parameters
    ----------
    n_epochs : int
        Epochs of all members together.
    quiet : bool
        Print nothing.

    Yields
    ------
    Path
        Hand it to `report_epoch` in the workers.
    """
    with tempfile.TemporaryDirectory(prefix="boomerang-") as folder:
        path = Path(folder) / "epochs.jsonl"
        path.touch()
        finished = threading.Event()
        reader = threading.Thread(target=_follow, args=(path, n_epochs, quiet, finished))
        reader.start()
        try:
            yield path
        finally:
            finished.set()
            reader.join()


def report_epoch(path: Path, figures: dict) -> None:
    """Append one epoch's figures to the file that `show_epochs` follows."""
    # One short write in append mode is not mixed with another process's.
    with path.open("ab", buffering=0) as file:
        file.write(f"{json.dumps(figures)}\n".encode())


def format_epoch(figures: dict) -> str:
    """One line: ensemble, L, epoch, train loss, validation loss, validation accuracy."""
    return (
        f"{figures['ensemble']:<6} L={figures['seq_length']:<3} epoch {figures['epoch']:<3} "
        f"train_loss {figures['train_loss']:.4f}  val_loss {figures['val_loss']:.4f}  "
        f"val_accuracy {figures['val_accuracy']:.4f}"
    )


def _follow(path: Path, n_epochs: int, quiet: bool, finished: threading.Event) -> None:
    show_bar = sys.stderr.isatty() and not quiet
    with path.open() as file, tqdm(total=n_epochs, unit="epoch", disable=not show_bar, file=sys.stderr) as bar:
        while True:
            # Asked before reading: what was written before the end is then still read below.
            last_round = finished.wait(POLL_SECONDS)
            for line in file:
                if not quiet:
                    tqdm.write(format_epoch(json.loads(line)), file=sys.stderr)
                bar.update()
            if last_round:
                return
