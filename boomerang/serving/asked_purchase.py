"""One purchase that is asked about, as members and trees read it."""

import numpy as np
import torch

from boomerang.base.ensembles import QUESTION_OF
from boomerang.combining.metadata import Metadata
from boomerang.combining.pools import Member
from boomerang.features.calendar import Table
from boomerang.features.inputs import Inputs, stack_features, stack_inputs
from boomerang.features.known_past import find_known_past
from boomerang.trees.inputs import TreeTable


class AskedPurchase:
    """The purchase after those of a table, or the last of them where it has been made.

    What several members read is computed once.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        As for `Predictor.predict`.
    metadata : Metadata
        Of the training.
    """

    def __init__(self, table: Table, metadata: Metadata) -> None:
        self._table, self._metadata = table, metadata
        self._streams: dict[str, torch.Tensor] = {}
        self._inputs: dict[str, Inputs] = {}

    def window(self, member: Member) -> torch.Tensor:
        """The window that a member reads, of shape (n_steps, n_features), float32."""
        name, length = member
        spec = self._metadata.specs[name]
        if self._metadata.past is None:
            if name not in self._streams:
                recent = self._latest(spec.n_past(self._metadata.seq_lengths[-1]) + 1)
                self._streams[name] = torch.from_numpy(stack_features(recent, spec.features))
            return self._streams[name][-spec.n_steps(length) :]
        # The table is the known past of one group already: all of it is past, in its order.
        stream, own = map(torch.from_numpy, self._inputs_of(name))
        n_past = len(stream) - (spec.question == "made")
        steps = stream[max(n_past - length, 0) : n_past]
        return torch.cat([steps, own[-1:]]) if spec.question == "made" else steps

    def tree_inputs(self, member: Member) -> np.ndarray:
        """What trees read, of shape (1, n_columns), float32."""
        metadata, question = self._metadata, QUESTION_OF[member[0]]
        rules, columns = metadata.past, metadata.tree_inputs(question)
        if question == "made" and rules is not None:
            features = metadata.specs["context"].features
            known = TreeTable(find_known_past(self._table, None), self._inputs_of("context"), features)
            return known.read(columns, slice(-1, None))
        recent = self._latest(metadata.n_labels + 2)
        if question == "made":
            known = TreeTable.of(recent, find_known_past(recent, None), metadata.scaling, rules, metadata.further)
        else:
            returned = np.asarray(self._table["returned"])
            known = TreeTable.after(recent, (len(returned), int(returned.sum())), metadata.scaling, rules)
        return known.read(columns, slice(-1, None))

    def _inputs_of(self, name: str) -> Inputs:
        """What an ensemble reads of each purchase of the table, where it is the known past of one group."""
        if name not in self._inputs:
            metadata, past = self._metadata, find_known_past(self._table, None)
            features = metadata.specs[name].features
            self._inputs[name] = stack_inputs(self._table, features, past, metadata.scaling, metadata.past)
        return self._inputs[name]

    def _latest(self, n_rows: int) -> dict[str, np.ndarray]:
        """The columns of the last rows of the table."""
        names = (name for name in self._table if isinstance(name, str))
        return {name: np.atleast_1d(self._table[name])[-n_rows:] for name in names}
