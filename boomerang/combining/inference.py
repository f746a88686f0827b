"""Trained ensembles and trees, loaded, checked, and run over the purchases of a table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch

from boomerang.base.columns import known_of
from boomerang.base.ensembles import QUESTION_OF, TREES, short_name
from boomerang.base.errors import SettingsError
from boomerang.combining.artifacts import read_forest, read_member, read_metadata
from boomerang.combining.metadata import Metadata
from boomerang.combining.pools import Member, Pool
from boomerang.combining.table_windows import TableWindows
from boomerang.features.columns import add_columns, count_columns
from boomerang.model.devices import one_thread
from boomerang.model.forward import BATCH_SIZE, MemberForward
from boomerang.model.lstm import MemberLSTM
from boomerang.model.window_inputs import WindowInputs
from boomerang.trees.forest import Forest

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
        What to load, of `QUESTION_OF`: an ensemble; `combination`, which is all members of `time` and `simple`; the
        trees of a question, such as `trees_made`; or a question's members and trees together, such as `blend_made`.
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
        names: Iterable[str] = tuple(QUESTION_OF),
        device: torch.device = CPU,
    ) -> None:
        self.metadata, self.artifacts_dir, self.device = metadata, artifacts_dir, device
        self._pools = {name: Pool.of(metadata, name) for name in names}
        self._models: dict[Member, MemberForward] = {}
        self._forests: dict[Member, Forest] = {}
        described = {
            (name, member.seq_length): member
            for name, ensemble in metadata.ensembles.items()
            for member in ensemble.members
        }
        for member in dict.fromkeys(member for pool in self._pools.values() for member in pool.members):
            name, _ = member
            if short_name(name) == TREES:
                question = QUESTION_OF[name]
                self._forests[member] = read_forest(artifacts_dir, question, metadata.trees[question])
                continue
            ensemble = metadata.ensembles[name]
            sizes = (ensemble.input_size, ensemble.hidden_size, ensemble.num_layers)
            self._models[member] = MemberForward(read_member(artifacts_dir, name, described[member], sizes).to(device))

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
        return self._models[member].model

    def forest(self, member: Member) -> Forest:
        """Trees."""
        return self._forests[member]

    def scale(self, table: pd.DataFrame) -> pd.DataFrame:
        """A history, as `Purchases.table` has it, with what is scaled of it as further columns, as its windows need it.

        How many labels of each value are known is counted in the history, unless its columns say it (see `known_of`).
        Raises DataError as `Metadata.scale` does.
        """
        columns = self.metadata.columns if self.knows_purchase else None
        if columns is not None and not all(known_of(name)[0] in table for name in columns.categorical):
            table = add_columns(table, count_columns(table, columns, self.metadata.past))
        return add_columns(table, self.metadata.scale(table, self.knows_purchase))

    @property
    def knows_purchase(self) -> bool:
        """Whether anything that is loaded answers of a purchase just made, and so reads further columns."""
        return any(QUESTION_OF[name] == "made" for name in self._pools)

    def windows(self, table: pd.DataFrame) -> TableWindows:
        """What members read of every row of a table (see `TableWindows`), to be scored piece by piece."""
        return TableWindows(table, self.metadata)

    def score_scaled(
        self, table: pd.DataFrame | TableWindows, first: int, end: int, names: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """The probability of a return of each purchase from its own past.

        Parameters
        ----------
        table : DataFrame or TableWindows
            Purchases in time order, with `returned` and their scaled features (see `scale`); or what `windows` makes of
            such a table, which saves work where it is scored piece by piece.
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
        windows = table if isinstance(table, TableWindows) else self.windows(table)
        logits = self.member_logits(windows, first, end, {member for pool in pools.values() for member in pool.members})
        scores = {name: self.combine(logits, name) for name in pools}
        return pd.DataFrame(scores, index=windows.table.index[first:end])

    @one_thread()
    def member_logits(
        self, table: pd.DataFrame | TableWindows, first: int, end: int, members: Iterable[Member] | None = None
    ) -> dict[Member, np.ndarray]:
        """Each member's logits of shape (end - first,) for these rows, float64; NaN where the past is too short."""
        windows = table if isinstance(table, TableWindows) else self.windows(table)
        every = [*self._models, *self._forests]
        found = {member: np.full(end - first, np.nan) for member in every if members is None or member in members}
        for member in found:
            if member in self._forests:
                rows, inputs = windows.of_trees(QUESTION_OF[member[0]], first, end)
                found[member][rows - first] = self._forests[member].logits(inputs)
                continue
            of_member = windows.of_member(member)
            rows, numbers = of_member.of(first, end)
            chunks = (of_member.windows.gather(chunk) for chunk in torch.split(numbers, BATCH_SIZE) if len(chunk))
            found[member][rows - first] = np.concatenate([[], *(self.logits(member, chunk) for chunk in chunks)])
        return found

    @one_thread()
    def logits(self, member: Member, windows: WindowInputs) -> np.ndarray:
        """A member's logits for n windows, as float64 of shape (n,)."""
        return self._models[member].logits(windows).astype(np.float64)

    def combine(self, logits: dict[Member, np.ndarray], name: str) -> np.ndarray:
        """The probabilities that `name` makes of its members' logits of shape (n,); NaN where no member has a logit."""
        pool = self.pool(name)
        return pool.combine(np.array([logits[member] for member in pool.members]))
