"""Trained ensembles that predict one purchase at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from boomerang.base.ensembles import COMBINATION, ENSEMBLES, SCALED_FEATURES
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.wording import counted
from boomerang.combining.calibration import combine
from boomerang.combining.inference import TrainedEnsembles, stack_streams
from boomerang.combining.pools import Member
from boomerang.features.calendar import Table
from boomerang.features.prepared import Source

COLUMNS = ("datetime", "returned", "number")


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
        history: pd.DataFrame | Sequence[int],
        made: tuple[pd.Timestamp, float] | None = None,
        name: str | None = None,
    ) -> float:
        """The probability that the next purchase, or the one just made, comes back.

        Parameters
        ----------
        history : DataFrame or sequence of {0, 1}
            Past purchases in time order, with `datetime` (naive local time), `returned` (0 or 1) and `number`; or their
            labels alone, from which only `simple` predicts.
        made : (datetime, number), optional
            The purchase just made, about which `context` answers.
        name : {"combination", "time", "simple", "context"}, optional
            What predicts; by default `context` where `made` is given, `simple` for labels, else `combination`.

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
        # One purchase more than any member reads: the gap and the label before each purchase need the one before it.
        n_read = self.metadata.seq_lengths[-1] + 1
        if isinstance(history, pd.DataFrame):
            return self.predict(self._scale(_read_history(history, n_read, made)), name).probability
        labels = {"returned": np.asarray(history[-n_read:])}
        _check_history(labels)
        return self.predict(labels, name).probability

    def _scale(self, history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The columns of a history with their scaled features."""
        scaled = self.metadata.scaling.transform(history)
        return history | dict(zip(SCALED_FEATURES, scaled.T, strict=True))

    def predict(self, table: Table, name: str, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `table`, or for `context` its last one, comes back, and why.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            Purchases in time order with `returned`, which suffices for `simple`, and their scaled features (see
            `Scaler.extend`). For `context` the last one is the purchase in question, whose `returned` is not read.
        name : str
            One of the `names` of this predictor.
        weights : list of float, optional
            One per member, in the order of the members of a prediction, used instead of those of the metadata; then
            the temperature is 1.

        Raises
        ------
        DataError
            If the history is shorter than the shortest sequence length whose weight is above 0.
        SettingsError
            If the weights are not one per member, are negative, not finite, or all 0.
        """
        pool = self._pools[name] if weights is None else self._pools[name].reweighted(weights)
        n_past = len(table["returned"]) - (name == "context")
        fits = pool.lengths <= n_past
        if n_past < pool.shortest:
            raise DataError(f"history must hold at least {counted(pool.shortest, 'purchase')} (found {n_past})")
        shares = pool.shares(fits)
        fitting = [member for member, does in zip(pool.members, fits, strict=True) if does]
        recent = {
            column: np.asarray(table[column])[-pool.lengths.max() - 2 :] for column in table if isinstance(column, str)
        }
        streams = stack_streams(recent, {ensemble for ensemble, _ in fitting})
        with torch.inference_mode():
            logits = np.array([self._last_logit(member, streams[member[0]]) for member in fitting])
        members = [
            MemberPrediction(*member, *figures)
            for member, *figures in zip(fitting, expit(logits).tolist(), shares.tolist(), strict=True)
        ]
        left_out = sorted(set(pool.lengths[~fits].tolist()))
        return Prediction(float(combine(logits, shares, pool.temperature, pool.base_logit)), members, left_out)

    def _last_logit(self, member: Member, stream: torch.Tensor) -> float:
        window = stream[None, -ENSEMBLES[member[0]].n_steps(member[1]) :]
        return float(self._models[member](window.to(self.device)))


def _read_history(history: pd.DataFrame, n_read: int, made: tuple[pd.Timestamp, float] | None) -> dict[str, np.ndarray]:
    """The columns of the last `n_read` purchases, checked, and after them the purchase just made.

    Raises
    ------
    DataError
        If a column is missing, or what they hold is no history.
    """
    if missing := [column for column in COLUMNS if column not in history.columns]:
        raise DataError(f"history: the columns {', '.join(COLUMNS)} are needed (found none named {missing[0]})")
    recent = {column: history[column].to_numpy()[-n_read:] for column in COLUMNS}
    if made is not None:
        if (when := pd.Timestamp(made[0])).tzinfo is not None:
            raise DataError(f"made: the datetime must be naive local time, as in the history (found {when})")
        purchase: dict[str, Any] = {"datetime": when.to_datetime64(), "returned": 0, "number": made[1]}
        recent = {column: np.append(values, purchase[column]) for column, values in recent.items()}
    _check_history(recent)
    return recent


def _check_history(history: dict[str, np.ndarray]) -> None:
    """Refuse what is no history: a table that was not read from a CSV by us may break the rules that reading checks."""
    if not ((history["returned"] == 0) | (history["returned"] == 1)).all():
        raise DataError("history: returned must be 0 or 1 in every row")
    if "datetime" in history:
        times = history["datetime"]
        if times.dtype.kind != "M" or not (times[1:] >= times[:-1]).all():
            raise DataError("history: datetime must be naive datetimes, none before the one above it")
        if not np.isfinite(history["number"].astype(np.float64)).all():
            raise DataError("history: number must be finite in every row")
