"""Trained ensembles that predict one purchase at a time."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from boomerang.base.ensembles import BLEND, QUESTION_OF, TREES, most_past, name_for, order_column, short_name
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.wording import counted
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.pools import Member, Pool, combine
from boomerang.features.calendar import Table
from boomerang.features.inputs import check_table
from boomerang.features.prepared import Source
from boomerang.model.devices import one_thread
from boomerang.serving.asked_purchase import AskedPurchase
from boomerang.serving.further_columns import FurtherColumns
from boomerang.serving.group_histories import is_of_one_group, read_known_past, read_table
from boomerang.serving.histories import COLUMNS, History, read_history
from boomerang.serving.value_counts import ValueCounts


@dataclass(frozen=True)
class MemberPrediction:
    """What one member says: its probability of a return, and its weight in the combined probability.

    Trees are one of them: `ensemble` is `trees`, and `seq_length` is how many labels they read.
    """

    ensemble: str
    seq_length: int
    probability: float
    weight: float


@dataclass(frozen=True)
class Prediction:
    """A combined probability of a return, the members behind it, and those left out for lack of history.

    `left_out` holds the lengths of LSTMs, and `trees`.
    """

    probability: float
    members: list[MemberPrediction]
    left_out: list[int | str]


class Predictor(TrainedEnsembles):
    """Trained ensembles, loaded once, ready to predict; parameters and errors are those of `TrainedEnsembles`."""

    @property
    def source(self) -> Source:
        """What they learned from: the name of the file (`file`), its parts (`parts`), `n_purchases` and `span`."""
        return self.metadata.source

    def predict_proba(
        self,
        history: History,
        made: tuple[Any, ...] | None = None,
        name: str | None = None,
        group: object = None,
        now: pd.Timestamp | None = None,
        rates: Literal["history", "prepared"] | None = None,
    ) -> float:
        """The probability that the next purchase, or the one just made, comes back.

        Parameters
        ----------
        history : DataFrame or sequence of {0, 1}
            Past purchases in time order, with `datetime` (naive local time), `returned` (0 or 1) and `number`; or their
            labels alone, from which only `simple` predicts. With a column `instant` (naive UTC), that is their order:
            in the hour that autumn repeats local time is none.
        made : (datetime, number) or (datetime, number, columns), optional
            The purchase just made, of which it is asked then. Beside `instant` its datetime may have an offset;
            without one, that of the last purchase is taken. `columns`, where the training read further ones, which
            `history` must have then too, is a mapping of their names to what the purchase has there.
        name : {"blend", "trees", "combination", "time", "simple", "context"}, optional
            What predicts; by default `simple` for labels, else `blend`. `context` is for a purchase just made,
            `combination`, `time` and `simple` are for the next one, `blend` and `trees` for both.
        group : str or int, optional
            Whose purchase: a value of the training's group column, which `history` must have then; one that is not
            there, or `''`, has no past. Without it, `history` is the past of one group.
        now : Timestamp, optional
            When it is asked, where each purchase has a past of its own: labels that were not certain by then are not
            read. By default when the purchase was made, or the latest datetime of `history`.
        rates : {"history", "prepared"}, optional
            Where the rates so far of what a purchase has in categorical columns come from: `history`, as in training,
            or what `prepare` counted then, which is said of past purchases too. By default `history`, unless that holds
            a single group where the training had a group column.

        Raises
        ------
        DataError
            If the history is too short, not in order, or holds anything else.
        SettingsError
            If `name` cannot predict from what is given.
        """
        is_table = isinstance(history, pd.DataFrame)
        question = "next" if made is None else "made"
        asked = name or (BLEND if is_table else "simple")
        name = name_for(asked, question)
        if asked not in set(map(short_name, self._pools)):
            loaded = ", ".join(dict.fromkeys(map(short_name, self._pools)))
            raise SettingsError(f"name must be one of what is loaded: {loaded} (found {asked!r:.200})")
        if name not in self._pools or QUESTION_OF[name] != question or not (is_table or name == "simple"):
            loaded = ", ".join(dict.fromkeys(map(short_name, self._pools)))
            needs = "a table of purchases, and the purchase just made for context, trees and blend alone"
            raise SettingsError(f"{asked} predicts from {needs}; of {loaded} simple takes labels too")
        past, made, made_further = self.metadata.past, *_split(made, self.metadata.columns is not None)
        further = self._read_further(history, {question}, self._takes_counts(rates, question, history))
        if past is not None and isinstance(history, pd.DataFrame):
            recent = read_known_past(history, past, made, group, now, further, made_further)
        elif group is not None or now is not None:
            raise SettingsError("group and now are for a table, and a training with a group column or a label delay")
        else:
            latest = slice(-most_past(self.metadata.seq_lengths[-1]), None)
            recent = read_history(history, _columns_of([name]), latest, made)
            if further is not None:
                columns = read_history(history)
                columns |= further.of_rows(columns)
                of_made = further.of_made(columns, made_further, recent[order_column(recent)][-1])
                recent |= {at: np.append(columns[at][latest], value) for at, value in of_made.items()}
        return self.predict(self._scale(recent, question == "made"), name).probability

    def _takes_counts(self, rates: str | None, question: str, history: History) -> bool:
        """Whether rates so far come from what `prepare` counted; raises SettingsError for what `rates` cannot be."""
        columns, past = self.metadata.columns, self.metadata.past
        if rates is None:
            return isinstance(history, pd.DataFrame) and is_of_one_group(history, past)
        if columns is None or question == "next":
            raise SettingsError("rates is for a purchase just made, and a training that reads further columns")
        if rates not in ("history", "prepared"):
            raise SettingsError(f"rates must be history or prepared (found {rates!r:.100})")
        return rates == "prepared"

    def _read_further(self, history: History, questions: set[str], takes_counts: bool) -> FurtherColumns | None:
        """What a history has in further columns; None where they tell nothing of the questions."""
        columns = self.metadata.columns
        if columns is None or "made" not in questions or not isinstance(history, pd.DataFrame):
            return None
        return FurtherColumns(history, columns, self.metadata.past, self._value_counts if takes_counts else None)

    @cached_property
    def _value_counts(self) -> ValueCounts:
        """What `prepare` counted."""
        assert self.metadata.columns is not None
        return ValueCounts(self.artifacts_dir / "prepared", self.metadata.columns)

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
            A column for each of `time`, `simple`, `combination`, `trees_next`, `blend_next`, `context`, `trees_made`
            and `blend_made` that is loaded, with the index of the history; NaN where the past is too short. The last
            three know a purchase's own time and number, none knows its label.

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
        further = self._read_further(history, {QUESTION_OF[name] for name in names}, takes_counts=False)
        if further is not None:
            columns |= further.of_rows(columns)
        n_rows = len(columns["returned"])
        if not 0 <= first <= (n_rows if end is None else end) <= n_rows:
            raise SettingsError(f"first and end must be purchases of the history, in order (found {first}, {end})")
        index = history.index[:n_rows] if isinstance(history, pd.DataFrame | pd.Series) else None
        return self.score_scaled(
            pd.DataFrame(self._scale(columns, further is not None), index=index), first, n_rows, names
        )

    def _scale(self, columns: dict[str, np.ndarray], with_columns: bool) -> dict[str, np.ndarray]:
        """The columns of a history with their scaled features, which labels alone do not have."""
        if not columns.keys() >= set(COLUMNS):
            return columns
        return columns | self.metadata.scale(columns, with_columns)

    @one_thread()
    def predict(self, table: Table, name: str, weights: list[float] | None = None) -> Prediction:
        """The probability that the purchase after `table`, or for `context` its last one, comes back, and why.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray
            Purchases in time order with `returned`, which suffices for `simple`, and their scaled features (see
            `scale`). For `context`, `trees_made` and `blend_made` the last one is the purchase in question, whose
            `returned` is not read. Where each purchase has a past of its own, the others are the known past of its
            group.
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
        n_past = len(table["returned"]) - (QUESTION_OF[name] == "made")
        if n_past < pool.shortest:
            raise DataError(f"history must hold at least {counted(pool.shortest, 'purchase')} (found {n_past})")
        left_out = self._list_too_long(pool, n_past)
        pool = pool.answering(pool.n_past <= n_past)
        fits = pool.n_past <= n_past
        shares = pool.shares(fits)
        fitting = [member for member, does in zip(pool.members, fits, strict=True) if does]
        asked = AskedPurchase(table, self.metadata)
        logits = np.array([self._ask(member, asked) for member in fitting])
        members = [
            MemberPrediction(short_name(ensemble), length, *figures)
            for (ensemble, length), *figures in zip(fitting, expit(logits).tolist(), shares.tolist(), strict=True)
        ]
        return Prediction(float(combine(logits, shares, pool.temperature, pool.base_logit)), members, left_out)

    def _ask(self, member: Member, asked: AskedPurchase) -> float:
        """The logit of one member, or of trees."""
        if member in self._forests:
            return float(self._forests[member].logits(asked.tree_inputs(member))[0])
        return self._models[member].logit(asked.window(member))

    def _list_too_long(self, pool: Pool, n_past: int) -> list[int | str]:
        """What of a pool needs a longer past: lengths of LSTMs, then `trees`."""
        too_long = [member for member, needed in zip(pool.members, pool.n_past, strict=True) if needed > n_past]
        lengths = sorted({length for name, length in too_long if (name, length) in self._models})
        return [*lengths, *(TREES for member in too_long if member in self._forests)]


def _split(made: Any, has_further: bool) -> tuple[Any, Any]:
    """Datetime and number of a purchase just made, and what it has in further columns, where the training read any."""
    if has_further and isinstance(made, tuple | list) and len(made) == 3:
        return tuple(made[:2]), made[2]
    return made, None


def _columns_of(names: list[str]) -> tuple[str, ...]:
    """Which columns of a history `names` read."""
    return ("returned",) if names == ["simple"] else COLUMNS
