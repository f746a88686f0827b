"""The windows of every row of a table, for the members that ask for them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from boomerang.base.ensembles import EnsembleSpec
from boomerang.combining.metadata import Metadata
from boomerang.combining.pools import Member
from boomerang.features.inputs import Inputs, check_table, stack_features, stack_inputs
from boomerang.features.known_past import KnownPast, find_known_past
from boomerang.model.known_past_windows import KnownPastWindows
from boomerang.model.windows import AnyWindows, Windows
from boomerang.trees.inputs import TreeTable


@dataclass(frozen=True)
class RowWindows:
    """The windows that a member reads of the rows of a table.

    Attributes
    ----------
    windows : Windows or KnownPastWindows
        One for each of `rows`; its targets are not those of the rows.
    rows : ndarray of shape (n_windows,), int64
        The rows whose past is long enough, in order.
    """

    windows: AnyWindows
    rows: np.ndarray

    def of(self, first: int, end: int) -> tuple[np.ndarray, torch.Tensor]:
        """Those of `rows` from `first` to `end`, and the numbers of their windows."""
        bounds = np.searchsorted(self.rows, [first, end])
        return self.rows[slice(*bounds)], torch.arange(*bounds.tolist())


class TableWindows:
    """What the members of trained ensembles read of a table; each ensemble's share is computed when it is asked for.

    Parameters
    ----------
    table : DataFrame
        Purchases in time order, with `returned` and what is scaled of the features; `group` where the training had a
        group column; `is_open` where labels may be open. An open purchase is in no window but as the one in question.
    metadata : Metadata
        Of the training.

    Raises
    ------
    DataError
        If `table` is no table of purchases; where it is used, if a column is missing or holds what is no number.
    """

    def __init__(self, table: pd.DataFrame, metadata: Metadata) -> None:
        check_table(table, pd.DataFrame)
        self.table, self._metadata = table, metadata
        self._is_stream = metadata.past is None and not ("is_open" in table and table["is_open"].any())
        self._past: KnownPast | None = None
        self._streams: dict[str, torch.Tensor] = {}
        self._inputs: dict[str, Inputs] = {}
        self._tree_table: TreeTable | None = None

    @property
    def past(self) -> KnownPast:
        """What is known before each row."""
        if self._past is None:
            self._past = find_known_past(self.table, self._metadata.past)
        return self._past

    def of_member(self, member: Member) -> RowWindows:
        """The windows that a member reads."""
        name, length = member
        spec = self._metadata.specs[name]
        return self._cut_stream(name, spec, length) if self._is_stream else self._cut_known_past(name, spec, length)

    def _inputs_of(self, name: str) -> Inputs:
        """What an ensemble reads, where each row has a known past."""
        if name not in self._inputs:
            features, scaling, rules = self._metadata.specs[name].features, self._metadata.scaling, self._metadata.past
            self._inputs[name] = stack_inputs(self.table, features, self.past, scaling, rules)
        return self._inputs[name]

    def of_trees(self, question: str, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Those rows from `first` to `end` that trees answer for, and what they read of them (see `TreeTable`)."""
        if self._tree_table is None:
            features = self._metadata.specs["context"].features
            self._tree_table = TreeTable(self.past, self._inputs_of("context"), features)
        rows = np.arange(first, end)
        rows = rows[self.past.n_known[rows] >= self._metadata.fewest_past_of_trees]
        return rows, self._tree_table.read(self._metadata.tree_inputs(question), rows)

    def _cut_stream(self, name: str, spec: EnsembleSpec, length: int) -> RowWindows:
        """Windows in which each purchase is the one after the other in the table."""
        if name not in self._streams:
            self._streams[name] = torch.from_numpy(stack_features(self.table, spec.features))
        n_steps, n_past = spec.n_steps(length), spec.n_past(length)
        rows = np.arange(n_past, len(self.table))
        stream = self._streams[name][n_past - length :]
        if not len(rows):
            inputs = stream.new_empty((0, n_steps, stream.shape[1]))
        else:
            inputs = stream.unfold(0, n_steps, 1).transpose(1, 2)  # (n_windows, n_steps, n_features)
        return RowWindows(Windows(inputs, stream[:0, 0], {}, length), rows)

    def _cut_known_past(self, name: str, spec: EnsembleSpec, length: int) -> RowWindows:
        """Windows of the purchases that each row knows."""
        past, inputs = self.past, self._inputs_of(name)
        rows = np.flatnonzero(past.n_known >= spec.n_past(length))
        own = inputs.own[rows] if spec.question == "made" else inputs.own[:0]
        spans = past.starts[rows], past.ends[rows]
        return RowWindows(KnownPastWindows.cut(inputs.stream, own, spans, past.returned[:0], {}, length), rows)
