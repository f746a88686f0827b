"""Trained ensembles: members that are loaded, checked, and run over the windows of a table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch

from boomerang.base.ensembles import COMBINATION, ENSEMBLES, most_past
from boomerang.base.errors import SettingsError
from boomerang.combining.artifacts import read_member, read_metadata
from boomerang.combining.metadata import Metadata
from boomerang.combining.pools import Member, Pool
from boomerang.features.calendar import Table
from boomerang.features.inputs import check_table, stack_features
from boomerang.model.devices import one_thread
from boomerang.model.lstm import MemberLSTM

# Windows always go through a member so many at a time, and the last batch is filled up: a matrix product of another
# height may take another path through the kernels and end in another last bit.
BATCH_SIZE = 256
CPU = torch.device("cpu")


class TrainedEnsembles:
    """Trained ensembles, loaded once, ready to tell the probability of a return of every row of a table.

    Parameters
    ----------
    metadata : Metadata
        As `read_metadata` returns it.
    artifacts_dir : Path
        The folder that holds it; member files are found by ensemble and length, never by a path in the metadata.
    names : iterable of str
        What to load: `time`, `simple`, `context`, or `combination`, which is all members of `time` and `simple`.
    device : torch.device
        Where the members compute.

    Raises
    ------
    ArtifactError
        If a member is missing or differs from what the metadata says of it.
    """

    @one_thread()
    def __init__(
        self,
        metadata: Metadata,
        artifacts_dir: Path,
        names: Iterable[str] = (*ENSEMBLES, COMBINATION),
        device: torch.device = CPU,
    ) -> None:
        self.metadata, self.device = metadata, device
        self._pools = {name: Pool.of(metadata, name) for name in names}
        self._models: dict[Member, MemberLSTM] = {}
        described = {
            (name, member.seq_length): member
            for name, ensemble in metadata.ensembles.items()
            for member in ensemble.members
        }
        for member in dict.fromkeys(member for pool in self._pools.values() for member in pool.members):
            name, _ = member
            ensemble = metadata.ensembles[name]
            sizes = (ensemble.input_size, ensemble.hidden_size, ensemble.num_layers)
            self._models[member] = read_member(artifacts_dir, name, described[member], sizes).to(device)

    @classmethod
    def load(cls, artifacts_dir: str | Path = "artifacts") -> Self:
        """All ensembles of a finished training, on the CPU; raises ArtifactError where a file is missing or damaged."""
        return cls(read_metadata(Path(artifacts_dir)), Path(artifacts_dir))

    def pool(self, name: str) -> Pool:
        """The members behind one of `names`, and how they are combined; raises SettingsError for another name."""
        if name not in self._pools:
            raise SettingsError(f"{name!r:.200} is not loaded: {', '.join(self._pools)} are")
        return self._pools[name]

    def model(self, member: Member) -> MemberLSTM:
        """A member, on the device that computes."""
        return self._models[member]

    def score_scaled(
        self, table: pd.DataFrame, first: int, end: int, names: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """The probability of a return of each purchase from its own past.

        Parameters
        ----------
        table : DataFrame
            Purchases in time order, with `returned` and their scaled features (see `Scaler.extend`).
        first, end : int
            The rows to score; the rows before them are their past. A row gets the same number, to the last bit,
            whatever rows are scored with it.
        names : iterable of str, optional
            What predicts, a column each: all that is loaded by default.

        Returns
        -------
        DataFrame of shape (end - first, n_names), float64
            NaN where the past is too short for every member.
        """
        pools = {name: self.pool(name) for name in (self._pools if names is None else names)}
        logits = self.member_logits(table, first, end, {member for pool in pools.values() for member in pool.members})
        scores = {name: self.combine(logits, name) for name in pools}
        return pd.DataFrame(scores, index=table.index[first:end])

    @one_thread()
    def member_logits(
        self, table: pd.DataFrame, first: int, end: int, members: Iterable[Member] | None = None
    ) -> dict[Member, np.ndarray]:
        """Each member's logits of shape (end - first,) for these rows, float64; NaN where the past is too short."""
        check_table(table, pd.DataFrame)
        start = max(first - most_past(self.metadata.seq_lengths[-1]), 0)
        found = {}
        for member, windows in self.windows(table.iloc[start:end], first - start, end - start, members).items():
            found[member] = np.full(end - first, np.nan)
            found[member][end - first - len(windows) :] = self.logits(member, windows)
        return found

    def windows(
        self, table: pd.DataFrame, first: int, end: int, members: Iterable[Member] | None = None
    ) -> dict[Member, torch.Tensor]:
        """Each member's windows for the rows from `first` to `end`, without rows whose past is too short.

        Returns
        -------
        dict of Tensor of shape (at most end - first, n_steps, n_features), float32
            Views over one stream per ensemble.
        """
        asked = [member for member in self._models if members is None or member in members]
        streams = stack_streams(table, {name for name, _ in asked})
        found = {}
        for name, length in asked:
            n_steps, n_past = ENSEMBLES[name].n_steps(length), ENSEMBLES[name].n_past(length)
            stream = streams[name][n_past - length :]
            if len(stream) < n_steps:
                found[name, length] = stream.new_empty((0, n_steps, stream.shape[1]))
                continue
            # The target of window i is row i + n_past.
            every = stream.unfold(0, n_steps, 1).transpose(1, 2)  # (n_windows, n_steps, n_features)
            found[name, length] = every[max(first - n_past, 0) : max(end - n_past, 0)]
        return found

    @one_thread()
    def logits(self, member: Member, windows: torch.Tensor) -> np.ndarray:
        """A member's logits for windows of shape (n, n_steps, n_features), as float64 of shape (n,)."""
        found = np.empty(len(windows))
        batch = torch.zeros((BATCH_SIZE, *windows.shape[1:]))
        with torch.inference_mode():
            for at in range(0, len(windows), BATCH_SIZE):
                n_rows = min(BATCH_SIZE, len(windows) - at)
                batch[:n_rows] = windows[at : at + n_rows]
                found[at : at + n_rows] = self._models[member](batch.to(self.device))[:n_rows].cpu()
        return found

    def combine(self, logits: dict[Member, np.ndarray], name: str) -> np.ndarray:
        """The probabilities that `name` makes of its members' logits of shape (n,); NaN where no member has a logit."""
        pool = self.pool(name)
        return pool.combine(np.array([logits[member] for member in pool.members]))


def stack_streams(table: Table, ensembles: set[str]) -> dict[str, torch.Tensor]:
    """By ensemble, what it reads of every row of `table`: tensors of shape (n_rows, n_features), float32."""
    return {name: torch.from_numpy(stack_features(table, ENSEMBLES[name].features)) for name in ensembles}
