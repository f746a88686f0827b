"""Trained ensembles that predict one purchase at a time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from boomerang.base.ensembles import COMBINATION, most_past
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.wording import counted
from boomerang.combining.calibration import combine
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.pools import Member
from boomerang.features.calendar import Table
from boomerang.features.inputs import check_table, stack_features, stack_inputs
from boomerang.features.known_past import find_known_past
from boomerang.features.prepared import Source
from boomerang.model.devices import one_thread
from boomerang.serving.group_histories import read_known_past, read_table
from boomerang.serving.histories import COLUMNS, History, read_history


@dataclass(frozen=True)
class MemberPrediction:
    """What one member says: its probability of a return, and its weight in the combined probability."""

    ensemble: str
    seq_length: int
    probability: float
    weight: float


@dataclass(frozen=True)
class Prediction:
    """A combined probability of a return, the members behind it, and the lengths left out for lack of history."""

    probability: float
    members: list[MemberPrediction]
    left_out: list[int]


class Predictor(TrainedEnsembles):
    """Trained ensembles, loaded once, ready to predict; parameters and errors are those of `TrainedEnsembles`."""

    @property
    def source(self) -> Source:
        """What they learned from: the name of the file (`file`), its parts (`parts`), `n_purchases` and `span`."""
        return self.metadata.source

    def predict_proba(
        self,
        history: History,
        made: tuple[pd.Timestamp, float] | None = None,
        name: str | None = None,
        group: object = None,
        now: pd.Timestamp | None = None,
    ) -> float:
        """The probability that the next purchase, or the one just made, comes back.

        Parameters
        ----------
        history : DataFrame or sequence of {0, 1}
            Past purchases in time order, with `datetime` (naive local time), `returned` (0 or 1) and `number`; or their
            labels alone, from which only `simple` predicts. With a column `instant` (naive UTC), that is their order:
            in the hour that autumn repeats local time is none.
        made : (datetime, number), optional
            The purchase just made, about which `context` answers. Beside `instant` its datetime may have an offset;
            without one, that of the last purchase is taken.
        name : {"combination", "time", "simple", "context"}, optional
            What predicts; by default `context` where `made` is given, `simple` for labels, else `combination`.
        group : str or int, optional
            Whose purchase: a value of the training's group column, which `history` must have then; one that is not
            there, or `''`, has no past. Without it, `history` is the past of one group.
        now : Timestamp, optional
            When it is asked, where each purchase has a past of its own: labels that were not certain by then are not
            read. By default when the purchase was made, or the latest datetime of `history`.

        Raises
        ------
        DataError
            If the history is too short, not in order, or holds anything else.
        SettingsError
            If `name` cannot predict from what is given.
        """
        is_table = isinstance(history, pd.DataFrame)
        name = name or ("simple" if not is_table else COMBINATION if made is None else "context")
        if name not in self._pools or (name == "context") != (made is not None) or not (is_table or name == "simple"):
            needs = "a table of purchases, and the purchase just made for context alone"
            raise SettingsError(f"{name} predicts from {needs}; of {', '.join(self._pools)} simple takes labels too")
        if self.metadata.past is not None and isinstance(history, pd.DataFrame):
            recent = read_known_past(history, self.metadata.past, made, group, now)
        elif group is not None or now is not None:
            raise SettingsError("group and now are for a table, and a training with a group column or a label delay")
        else:
            latest = slice(-most_past(self.metadata.seq_lengths[-1]), None)
            recent = read_history(history, _columns_of([name]), latest, made)
        return self.predict(self._scale(recent), name).probability

    def score(self, history: History, first: int = 0, end: int | None = None) -> pd.DataFrame:
        """The probability of a return of each purchase from those before it.

        Parameters
        ----------
        history : DataFrame or sequence of {0, 1}
            As `predict_proba` takes it; of labels alone only `simple` tells. Where the training had a group column, the
            table must have it too. Where a `returned` is missing (None, NaN) it is not known yet.
        first, end : int
            The purchases to score, all by default; those before them are their past. A purchase gets the same number,
            to the last bit, whatever is scored with it.

        Returns
        -------
        DataFrame of shape (end - first, n_names), float64
            A column for each of `combination`, `time`, `simple` and `context` that is loaded, with the index of the
            history; NaN where the past is too short. `context` knows a purchase's own time and number, none its label.

        Raises
        ------
        DataError
            If the history is not in order, or holds anything else.
        SettingsError
            If `first` and `end` are no purchases of it, or labels are given where `simple` is not loaded.
        """
        names = list(self._pools) if isinstance(history, pd.DataFrame) else ["simple"]
        if not set(names) <= self._pools.keys():
            raise SettingsError(f"labels alone are for simple; {', '.join(self._pools)} predict from a table")
        columns = read_table(history, _columns_of(names), slice(end), self.metadata.past)
        n_rows = len(columns["returned"])
        if not 0 <= first <= (n_rows if end is None else end) <= n_rows:
            raise SettingsError(f"first and end must be purchases of the history, in order (found {first}, {end})")
        index = history.index[:n_rows] if isinstance(history, pd.DataFrame | pd.Series) else None
        return self.score_scaled(pd.DataFrame(self._scale(columns), index=index), first, n_rows, names)

    def _scale(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The columns of a history with their scaled features, which labels alone do not have."""
        if not columns.keys() >= set(COLUMNS):
            return columns
        features = self.metadata.scaled_features
        scaled = self.metadata.scaling.transform(columns, features)
        return columns | dict(zip(features, scaled.T, strict=True))

    @one_thread()
    def predict(self, table: Table, name: str, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `table`, or for `context` its last one, comes back, and why.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            Purchases in time order with `returned`, which suffices for `simple`, and their scaled features (see
            `scale`). For `context` the last one is the purchase in question, whose `returned` is not read. Where each
            purchase has a past of its own, the others are the known past of its group.
        name : str
            One of the `names` of this predictor.
        weights : list of float, optional
            One per member, in the order of the members of a prediction, used instead of those of the metadata; then
            the temperature is 1.

        Raises
        ------
        DataError
            If the history is too short for every member whose weight is above 0, or a column that a member reads is
            missing or holds what is no number.
        SettingsError
            If `name` is not loaded, or the weights are not one per member, are negative, not finite, or all 0.
        """
        pool = self.pool(name) if weights is None else self.pool(name).reweighted(weights)
        check_table(table)
        n_past = len(table["returned"]) - (name == "context")
        fits = pool.n_past <= n_past
        if n_past < pool.shortest:
            raise DataError(f"history must hold at least {counted(pool.shortest, 'purchase')} (found {n_past})")
        shares = pool.shares(fits)
        fitting = [member for member, does in zip(pool.members, fits, strict=True) if does]
        windows = self._last_windows(table, fitting)
        with torch.inference_mode():
            logits = np.array(
                [float(self._models[member](window[None].to(self.device))) for member, window in windows.items()]
            )
        members = [
            MemberPrediction(*member, *figures)
            for member, *figures in zip(fitting, expit(logits).tolist(), shares.tolist(), strict=True)
        ]
        left_out = sorted(set(pool.lengths[~fits].tolist()))
        return Prediction(float(combine(logits, shares, pool.temperature, pool.base_logit)), members, left_out)

    def _last_windows(self, table: Table, members: list[Member]) -> dict[Member, torch.Tensor]:
        """The window, of shape (n_steps, n_features), that each member reads of the purchase after those of `table`.

        For `context` it is that of the last one of `table`.
        """
        specs, rules, scaling = self.metadata.specs, self.metadata.past, self.metadata.scaling
        names = {name for name, _ in members}
        if rules is None:
            n_recent = max(specs[name].n_past(length) for name, length in members) + 1
            recent = {column: np.atleast_1d(table[column])[-n_recent:] for column in table if isinstance(column, str)}
            streams = {name: torch.from_numpy(stack_features(recent, specs[name].features)) for name in names}
            return {(name, length): streams[name][-specs[name].n_steps(length) :] for name, length in members}
        # The table is the known past of one group already: all of it is past, in its order.
        past, found = find_known_past(table, None), {}
        inputs = {name: stack_inputs(table, specs[name].features, past, scaling, rules) for name in names}
        for name, length in members:
            stream, own = map(torch.from_numpy, inputs[name])
            is_made = specs[name].question == "made"
            n_past = len(stream) - is_made
            steps = stream[max(n_past - length, 0) : n_past]
            found[name, length] = torch.cat([steps, own[-1:]]) if is_made else steps
        return found


def _columns_of(names: list[str]) -> tuple[str, ...]:
    """Which columns of a history `names` read."""
    return ("returned",) if names == ["simple"] else COLUMNS
