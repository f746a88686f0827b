"""What training shows while it runs: one line per epoch, and on a terminal a table with a row per member below them.

The members train in processes of their own. Each writes its history to a file; one thread here follows the files and
writes to the console, so no line cuts into another.
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

from stages.lib.files import append_line, write_atomic

POLL_SECONDS = 0.1


class HistoryWriter:
    """Writes one member's history for whoever follows it.

    Parameters
    ----------
    path : Path
        A file of JSON lines: one that tells the run and how many epochs it found done, then one per epoch.
    run : str
        What `show_members` yielded: whoever follows leaves the lines of earlier runs aside.
    done : list of Epoch
        The epochs that were done before, in an earlier run.
    """

    def __init__(self, path: Path, run: str, done: list[Any]) -> None:
        self.path = path
        lines = [{"run": run, "n_done": len(done)}, *map(asdict, done)]
        write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        self.started = time.monotonic()

    def add(self, epoch: Any) -> None:
        """One epoch more, an instance of `stages.lib.training.Epoch`."""
        now = time.monotonic()
        line = asdict(epoch) | {"seconds": round(now - self.started, 3)}
        self.started = now
        append_line(self.path, json.dumps(line))


@dataclass
class Row:
    """What is known of one member; `n_done` epochs, None before it starts, were done in an earlier run."""

    ensemble: str
    seq_length: int
    n_epochs: int
    path: Path
    n_done: int | None = None
    epochs: list[dict] = field(default_factory=list)
    offset: int = 0

    def follow(self, run: str) -> list[str]:
        """Read what was added; the lines that it is worth."""
        try:
            with self.path.open("rb") as file:
                # Another run of the same member, whose turn came, may have put its own file in place of ours.
                header = file.readline()
                if not header.endswith(b"\n") or json.loads(header).get("run") != run:
                    return []
                if self.n_done is None:
                    self.n_done, self.offset = json.loads(header)["n_done"], file.tell()
                file.seek(self.offset)
                lines = file.read()
        except (FileNotFoundError, ValueError):
            return []
        lines = lines[: lines.rfind(b"\n") + 1]
        first = len(self.epochs)
        self.offset += len(lines)
        self.epochs += map(json.loads, lines.splitlines())
        said = [format_epoch(epoch) for epoch in self.epochs[max(first, self.n_done) :]]
        if first == 0 < self.n_done:
            said.insert(0, f"{self._name()} {self.n_done} of {self.n_epochs} epochs taken from the store")
        return said

    def _name(self) -> str:
        return f"{self.ensemble:<7} L={self.seq_length:<3}"

    def cells(self) -> list[str]:
        """A row of the table: the last epoch's figures and the time left."""
        if not self.epochs:
            return [self.ensemble, str(self.seq_length), f"0/{self.n_epochs}", "", "", "", ""]
        last = self.epochs[-1]
        figures = [f"{last[key]:.4f}" for key in ("train_loss", "val_loss", "val_accuracy")]
        seconds = [epoch["seconds"] for epoch in self.epochs if "seconds" in epoch]
        left = (self.n_epochs - last["epoch"]) * sum(seconds) / len(seconds) if seconds else 0
        minutes, seconds_left = divmod(round(left), 60)
        return [
            self.ensemble,
            str(self.seq_length),
            f"{last['epoch']}/{self.n_epochs}",
            *figures,
            f"{minutes}:{seconds_left:02}",
        ]


@contextmanager
def show_members(rows: list[Row], quiet: bool) -> Iterator[str]:
    """Show on stderr how the members of `rows` come along.

    Yields
    ------
    str
        A name for this run, for the members' `HistoryWriter`s.
    """
    run, finished = uuid.uuid4().hex, threading.Event()
    follower = threading.Thread(target=_follow, args=(rows, run, finished))
    if not quiet:
        follower.start()
    try:
        yield run
    finally:
        finished.set()
        if not quiet:
            follower.join()


def _follow(rows: list[Row], run: str, finished: threading.Event) -> None:
    console = Console(file=sys.stderr)
    with_table = console.is_terminal and not console.is_dumb_terminal
    with Live(_table(rows), console=console, auto_refresh=False) if with_table else nullcontext() as live:
        while True:
            # Asked before reading: what was written before the end is then still read below.
            last_round = finished.wait(POLL_SECONDS)
            said = [line for row in rows for line in row.follow(run)]
            if said:
                # A table on display moves down.
                console.print("\n".join(said), markup=False, highlight=False, soft_wrap=True)
            if said and live:
                live.update(_table(rows), refresh=True)
            if last_round:
                return


def _table(rows: list[Row]) -> Table:
    table = Table("ensemble")
    for title in ("L", "epoch", "train loss", "val loss", "val accuracy", "time left"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row.cells())
    return table


def format_epoch(figures: dict) -> str:
    """One line: ensemble, L, epoch, train loss, validation loss, validation accuracy."""
    return (
        f"{figures['ensemble']:<7} L={figures['seq_length']:<3} epoch {figures['epoch']:<3} "
        f"train_loss {figures['train_loss']:.4f}  val_loss {figures['val_loss']:.4f}  "
        f"val_accuracy {figures['val_accuracy']:.4f}"
    )
