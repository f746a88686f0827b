"""What training shows while it runs: one line per epoch, and on a terminal a table of all members below them.

The members train in processes of their own. Each writes its history to a file. One thread of the main process reads
these files and writes to the console, so that no line cuts into another.
"""

import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from boomerang.base.files import append_line, write_atomic
from boomerang.training.trainer import Epoch

POLL_SECONDS = 0.1


class HistoryWriter:
    """Writes the history of one member to a file, where `MemberProgress` reads it.

    Parameters
    ----------
    path : Path
        A file of JSON lines: a header with the run and the number of epochs that earlier runs did, then a line per
        epoch.
    run_id : str
        What `show_progress` yielded. It ignores files of other runs.
    done : list of Epoch
        The epochs that earlier runs did.
    """

    def __init__(self, path: Path, run_id: str, done: list[Epoch]) -> None:
        self.path = path
        lines = [{"run": run_id, "n_done": len(done)}, *map(asdict, done)]
        write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        self.epoch_started = time.monotonic()

    def add(self, epoch: Epoch) -> None:
        """Append an epoch, with the seconds since the one before it."""
        now = time.monotonic()
        line = asdict(epoch) | {"seconds": round(now - self.epoch_started, 3)}
        self.epoch_started = now
        append_line(self.path, json.dumps(line))


@dataclass
class MemberProgress:
    """How far one member has come.

    Attributes
    ----------
    ensemble : str
        The ensemble that the member belongs to.
    seq_length : int
        L.
    n_epochs : int
        The most epochs that the member is trained for.
    path : Path
        The file of its `HistoryWriter`.
    n_done : int or None
        Epochs that earlier runs did; None before the member starts.
    epochs : list of dict
        The lines that have been read, one per epoch.
    offset : int
        Bytes of the file that have been read.
    """

    ensemble: str
    seq_length: int
    n_epochs: int
    path: Path
    n_done: int | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    offset: int = 0

    def read_new_epochs(self, run_id: str) -> list[str]:
        """Read the epochs that were written since the last call; returns the lines to print about them."""
        n_known = len(self.epochs)
        self.epochs += map(json.loads, self._read_new_lines(run_id))
        if self.n_done is None:
            return []
        printed = [format_epoch(epoch) for epoch in self.epochs[max(n_known, self.n_done) :]]
        if n_known == 0 < self.n_done:
            name = f"{self.ensemble:<7} L={self.seq_length:<3}"
            printed.insert(0, f"{name} {self.n_done} of {self.n_epochs} epochs taken from the store")
        return printed

    def _read_new_lines(self, run_id: str) -> list[bytes]:
        """The whole lines after `offset`, if the file is one of this run."""
        try:
            with self.path.open("rb") as file:
                # Another run of the same member may meanwhile have replaced our file by its own.
                header = file.readline()
                if not header.endswith(b"\n") or json.loads(header).get("run") != run_id:
                    return []
                if self.n_done is None:
                    self.n_done, self.offset = json.loads(header)["n_done"], file.tell()
                file.seek(self.offset)
                content = file.read()
        except (FileNotFoundError, ValueError):
            return []
        content = content[: content.rfind(b"\n") + 1]
        self.offset += len(content)
        return content.splitlines()

    def table_cells(self) -> list[str]:
        """The cells of a row of the table: the last epoch's figures and the time left."""
        if not self.epochs:
            return [self.ensemble, str(self.seq_length), f"0/{self.n_epochs}", "", "", "", ""]
        last = self.epochs[-1]
        figures = [f"{last[key]:.4f}" for key in ("train_loss", "val_loss", "val_accuracy")]
        n_done = f"{last['epoch']}/{self.n_epochs}"
        return [self.ensemble, str(self.seq_length), n_done, *figures, self._time_left()]

    def _time_left(self) -> str:
        """Minutes and seconds, if the epochs to come take as long as those of this run did."""
        seconds = [epoch["seconds"] for epoch in self.epochs if "seconds" in epoch]
        left = (self.n_epochs - self.epochs[-1]["epoch"]) * sum(seconds) / len(seconds) if seconds else 0
        minutes, seconds_left = divmod(round(left), 60)
        return f"{minutes}:{seconds_left:02}"


@contextmanager
def show_progress(members: list[MemberProgress], quiet: bool) -> Iterator[str]:
    """Show on stderr how far `members` have come, until the context ends; nothing if `quiet`.

    Yields
    ------
    str
        The id of this run, for the `HistoryWriter` of each member.
    """
    run_id, finished = uuid.uuid4().hex, threading.Event()
    thread = threading.Thread(target=_show_until, args=(finished, members, run_id))
    if not quiet:
        thread.start()
    try:
        yield run_id
    finally:
        finished.set()
        if not quiet:
            thread.join()


def _show_until(finished: threading.Event, members: list[MemberProgress], run_id: str) -> None:
    console = Console(file=sys.stderr)
    has_table = console.is_terminal and not console.is_dumb_terminal
    with Live(_table(members), console=console, auto_refresh=False) if has_table else nullcontext() as live:
        is_last_round = False
        while not is_last_round:
            # This is asked before the files are read, so that all that was written before the end is still read.
            is_last_round = finished.wait(POLL_SECONDS)
            lines = [line for member in members for line in member.read_new_epochs(run_id)]
            if lines:
                # If a table is on display, rich moves it down.
                console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
            if lines and live:
                live.update(_table(members), refresh=True)


def _table(members: list[MemberProgress]) -> Table:
    table = Table("ensemble")
    for title in ("L", "epoch", "train loss", "val loss", "val accuracy", "time left"):
        table.add_column(title, justify="right")
    for member in members:
        table.add_row(*member.table_cells())
    return table


def format_epoch(figures: dict[str, Any]) -> str:
    """One line: ensemble, L, epoch, train loss, validation loss, validation accuracy."""
    return (
        f"{figures['ensemble']:<7} L={figures['seq_length']:<3} epoch {figures['epoch']:<3} "
        f"train_loss {figures['train_loss']:.4f}  val_loss {figures['val_loss']:.4f}  "
        f"val_accuracy {figures['val_accuracy']:.4f}"
    )
