"""Trained ensembles that predict: one purchase at a time, or every row of a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from stages.lib.artifacts import read_member, read_metadata
from stages.lib.calibration import combine
from stages.lib.errors import DataError, SettingsError
from stages.lib.features import Table, stack_features
from stages.lib.layout import COMBINATION, ENSEMBLES, SCALED_FEATURES
from stages.lib.lstm import MemberLSTM
from stages.lib.metadata import Metadata
from stages.lib.pools import Member, Pool

# Windows always go through a member so many at a time, the last batch filled up: a matrix product of another height may
# take another path through the kernels and end in another last bit.
BATCH_SIZE = 256
CPU = torch.device("cpu")
COLUMNS = ("datetime", "returned", "number")


@dataclass(frozen=True)
class MemberPrediction:
    """What one member says: its probability of a return and its share in the whole."""

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


class Predictor:
    """Trained ensembles, loaded once, ready to predict.

    Parameters
    ----------
    metadata : Metadata
        As `read_metadata` returns it.
    artifacts_dir : Path
        The folder that holds it; member files are found by ensemble and length, never by a path in the metadata.
    names : iterable of str
        What shall predict: `time`, `simple`, `context`, or `combination`, all members of `time` and `simple`.
    device : torch.device
        Where it predicts.

    Raises
    ------
    ArtifactError
        If a member is missing or differs from what the metadata says of it.
    """

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
        for key in dict.fromkeys(key for pool in self._pools.values() for key in pool.members):
            ensemble = metadata.ensembles[key[0]]
            sizes = (ensemble.input_size, ensemble.hidden_size, ensemble.num_layers)
            self._models[key] = read_member(artifacts_dir, key[0], described[key], sizes).to(device)

    @classmethod
    def load(cls, artifacts_dir: str | Path = "artifacts") -> "Predictor":
        """All ensembles of a finished training, on the CPU; raises ArtifactError where they are not as they were."""
        return cls(read_metadata(Path(artifacts_dir)), Path(artifacts_dir))

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
            The purchase just made: then `context` answers.
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
        # One purchase more than any member reads: the oldest tells what lies before the others.
        n_read = self.metadata.seq_lengths[-1] + 1
        if is_table and (missing := [column for column in COLUMNS if column not in history.columns]):
            raise DataError(f"history: the columns {', '.join(COLUMNS)} are needed (found none named {missing[0]})")
        columns = {column: history[column].to_numpy() for column in COLUMNS} if is_table else {"returned": history}
        recent = {column: np.asarray(values[-n_read:]) for column, values in columns.items()}
        if made is not None:
            if (when := pd.Timestamp(made[0])).tzinfo is not None:
                raise DataError(f"made: the datetime must be naive local time, as in the history (found {when})")
            row = {"datetime": when.to_datetime64(), "returned": 0, "number": made[1]}
            recent = {column: np.append(values, row[column]) for column, values in recent.items()}
        _check_history(recent)
        if is_table:
            scaled = self.metadata.scaling.transform(recent)
            recent |= dict(zip(SCALED_FEATURES, scaled.T, strict=True))
        return self.predict(recent, name).probability

    def predict(self, table: Table, name: str, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `table`, or for `context` its last one, comes back, and why.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            Purchases in time order with `returned`, which suffices for `simple`, and their scaled features (see
            `Scaler.extend`); for `context` the last is the purchase in question, its `returned` read by none.
        name : str
            One of the `names` of this predictor.
        weights : list of float, optional
            One per member, in the order of the members of a prediction, instead of those of the metadata; without the
            temperature, which is for those.

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
            raise DataError(f"history must hold at least {pool.shortest} purchases (found {n_past})")
        shares = pool.shares(fits)
        fitting = [member for member, does in zip(pool.members, fits, strict=True) if does]
        recent = {column: np.asarray(table[column])[-pool.lengths.max() - 2 :] for column in table}
        streams = _streams(recent, {ensemble for ensemble, _ in fitting})
        with torch.inference_mode():
            logits = np.array([self._last_logit(member, streams[member[0]]) for member in fitting])
        members = [
            MemberPrediction(*member, *figures)
            for member, *figures in zip(fitting, expit(logits).tolist(), shares.tolist(), strict=True)
        ]
        left_out = sorted(set(pool.lengths[~fits].tolist()))
        return Prediction(float(combine(logits, shares, pool.temperature, pool.centre)), members, left_out)

    def score(self, table: pd.DataFrame, first: int = 0, end: int | None = None) -> pd.DataFrame:
        """The probability of a return of each purchase from its own past, by every one of `names`.

        Parameters
        ----------
        table : DataFrame
            Purchases in time order, with `returned` and their scaled features (see `Scaler.extend`).
        first, end : int
            The rows to score, all by default; what lies before them is their past. A row gets the same number, to the
            last bit, whatever rows are scored with it.

        Returns
        -------
        DataFrame of shape (end - first, n_names), float64
            NaN where no member's sequence length fits the past.
        """
        end = len(table) if end is None else end
        logits = self.member_logits(table, first, end)
        scores = {name: self.combine(logits, name) for name in self._pools}
        return pd.DataFrame(scores, index=table.index[first:end])

    def member_logits(self, table: pd.DataFrame, first: int, end: int) -> dict[Member, np.ndarray]:
        """Each member's logits of shape (end - first,) for these rows, float64; NaN where the past is too short."""
        # One purchase more than the longest window reads: the labels before those of the window are right.
        start = max(first - self.metadata.seq_lengths[-1] - 1, 0)
        found = {}
        for member, windows in self.windows(table.iloc[start:end], first - start, end - start).items():
            found[member] = np.full(end - first, np.nan)
            found[member][end - first - len(windows) :] = self.logits(member, windows)
        return found

    def windows(self, table: pd.DataFrame, first: int, end: int) -> dict[Member, torch.Tensor]:
        """What each member reads to tell of the rows from `first` to `end`, less those with too short a past.

        Returns
        -------
        dict of Tensor of shape (at most end - first, n_steps, n_features), float32
            Views over one stream per ensemble.
        """
        streams = _streams(table, {name for name, _ in self._models})
        found = {}
        for name, length in self._models:
            stream, n_steps = streams[name], ENSEMBLES[name].n_steps(length)
            if len(stream) < n_steps:
                found[name, length] = stream.new_empty((0, n_steps, stream.shape[1]))
                continue
            # Window i is about row i + length.
            every = stream.unfold(0, n_steps, 1).transpose(1, 2)  # (n_windows, n_steps, n_features)
            found[name, length] = every[max(first - length, 0) : max(end - length, 0)]
        return found

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

    def _last_logit(self, member: Member, stream: torch.Tensor) -> float:
        window = stream[None, -ENSEMBLES[member[0]].n_steps(member[1]) :]
        return self._models[member].last_logit(window.to(self.device)).item()

    def pool(self, name: str) -> Pool:
        """The members behind one of `names`, and how they are combined."""
        return self._pools[name]

    def model(self, member: Member) -> MemberLSTM:
        """A member, on the predictor's device."""
        return self._models[member]

    def combine(self, logits: dict[Member, np.ndarray], name: str) -> np.ndarray:
        """The probabilities that `name` makes of its members' logits of shape (n,); NaN where none has one."""
        pool = self._pools[name]
        return pool.combine(np.array([logits[member] for member in pool.members]))


def _streams(table: Table, ensembles: set[str]) -> dict[str, torch.Tensor]:
    """What each of `ensembles` reads of every purchase, of shape (n_rows, n_features), float32."""
    return {name: torch.from_numpy(stack_features(table, ENSEMBLES[name].features)) for name in ensembles}


def _check_history(history: dict[str, np.ndarray]) -> None:
    """Refuse what is no history: reading a CSV sees to these rules, a table from elsewhere may break them."""
    if not ((history["returned"] == 0) | (history["returned"] == 1)).all():
        raise DataError("history: returned must be 0 or 1 in every row")
    if "datetime" in history:
        times = history["datetime"]
        if times.dtype.kind != "M" or not (times[1:] >= times[:-1]).all():
            raise DataError("history: datetime must be naive datetimes, none before the one above it")
        if not np.isfinite(history["number"].astype(np.float64)).all():
            raise DataError("history: number must be finite in every row")
