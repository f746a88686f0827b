"""What a prediction rests on: the rise of the log loss when one feature, or one past purchase, is shuffled."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from boomerang.base.checks import Section, int_between
from boomerang.base.ensembles import ENSEMBLES
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.metadata import Finite, MeasuredName
from boomerang.combining.pools import Member
from boomerang.measures.metrics import log_losses, round_figure

# How often each feature and each lag is shuffled; scikit-learn's `permutation_importance` does it as often.
N_REPEATS = 5
# How many purchases are predicted again for every shuffle: at most and, however long the windows, at least.
MAX_ROWS, MIN_ROWS = 1000, 100
# LSTM steps that all shuffles together may take: a few seconds on one core, for lengths of up to about a hundred.
MAX_STEPS = 4_000_000
# Where the past is longer than this, not every lag is shuffled: they are thinned towards the far end.
MAX_LAGS = 40


class Rise(Section):
    """How much the log loss rises, in nats: mean and standard deviation over `N_REPEATS` shuffles."""

    mean: Finite
    spread: Annotated[Finite, Field(ge=0)]


class Importance(Section):
    """Rise of the log loss when a feature, or all of one past purchase, is shuffled among windows.

    Attributes
    ----------
    features : dict of str to Rise
        By feature, shuffled in all steps at once.
    lags : dict of str to Rise
        By lag, all features shuffled at once. Lag 1 is the latest purchase. Lag 0 exists for `context` alone: it is the
        purchase in question, whose `returned_before` is the label of lag 1.
    n_rows : int
        Purchases that were predicted.
    """

    features: dict[MeasuredName, Rise]
    lags: dict[Annotated[str, Field(pattern="^[0-9]{1,5}$")], Rise]
    n_rows: Annotated[int, int_between(0, 1 << 40)]


def permutation_importance(
    ensembles: TrainedEnsembles, name: str, table: pd.DataFrame, first: int, seed: int
) -> Importance:
    """How much worse `name` predicts when what it reads is shuffled (Breiman 2001, "Random Forests").

    Parameters
    ----------
    ensembles : TrainedEnsembles
        With `name` among those loaded.
    name : str
        What predicts.
    table : DataFrame
        Purchases in time order, with their scaled features.
    first : int
        The rows from here on are predicted, or, where they are many, some of them at equal distances.
    seed : int
        Seeds the orders of the shuffles, which are the same for every feature and lag.
    """
    members = ensembles.pool(name).members
    features = list(dict.fromkeys(f for ensemble, _ in members for f in ENSEMBLES[ensemble].features))
    n_steps = {member: ENSEMBLES[member[0]].n_steps(member[1]) for member in members}
    first_lag = min(length - steps + 1 for (_, length), steps in n_steps.items())
    lags = _choose_lags(first_lag, max(length for _, length in members))
    cost = sum(n_steps[member] * (len(lags) + len(ENSEMBLES[member[0]].features)) for member in members)
    n_rows = min(len(table) - first, max(MIN_ROWS, min(MAX_ROWS, MAX_STEPS // (N_REPEATS * cost))))
    chosen = np.linspace(0, len(table) - first - 1, n_rows).round().astype(int)
    targets = table["returned"].to_numpy()[first:][chosen]
    every = ensembles.windows(table, first, len(table))
    windows = {member: every[member][chosen] for member in members}
    plain = {member: ensembles.logits(member, windows[member]) for member in members}
    draw = np.random.default_rng(seed)
    orders = [torch.from_numpy(draw.permutation(n_rows)) for _ in range(N_REPEATS)]

    def loss(logits: dict[Member, np.ndarray]) -> float:
        return float(log_losses(targets, ensembles.combine(logits, name)).mean())

    def rise(shuffle: Callable[[torch.Tensor], dict[Member, torch.Tensor]]) -> Rise:
        """By how much the log loss rises; `shuffle` gives the inputs of the members that change, in a given order."""
        shuffled = [shuffle(order) for order in orders]
        # All at once, because a member always computes whole batches, however few windows there are.
        changed = {
            member: np.split(ensembles.logits(member, torch.cat([inputs[member] for inputs in shuffled])), N_REPEATS)
            for member in shuffled[0]
        }
        losses = [loss(plain | {member: changed[member][repeat] for member in changed}) for repeat in range(N_REPEATS)]
        return Rise(mean=round_figure(float(np.mean(losses)) - loss(plain)), spread=round_figure(float(np.std(losses))))

    return Importance(
        features={feature: rise(partial(_shuffle_feature, windows, feature)) for feature in features},
        lags={str(lag): rise(partial(_shuffle_lag, windows, lag)) for lag in lags},
        n_rows=n_rows,
    )


def _choose_lags(first: int, last: int) -> list[int]:
    """Every lag from `first` to `last`, or about `MAX_LAGS` of them whose distances grow."""
    if last - first < MAX_LAGS:
        return list(range(first, last + 1))
    return sorted({first, *np.geomspace(1, last, MAX_LAGS).round().astype(int).tolist()})


def _shuffle_feature(
    windows: dict[Member, torch.Tensor], feature: str, order: torch.Tensor
) -> dict[Member, torch.Tensor]:
    """The windows of the members that read `feature`, each with that feature's values of another window."""
    found = {}
    for member, inputs in windows.items():
        if feature in ENSEMBLES[member[0]].features:
            column = ENSEMBLES[member[0]].features.index(feature)
            found[member] = inputs.clone()
            found[member][:, :, column] = inputs[order, :, column]
    return found


def _shuffle_lag(windows: dict[Member, torch.Tensor], lag: int, order: torch.Tensor) -> dict[Member, torch.Tensor]:
    """The windows of the members that reach back to `lag`, each with the purchase that another window has there."""
    found = {}
    for member, inputs in windows.items():
        if lag <= member[1]:
            step = member[1] - lag
            found[member] = inputs.clone()
            found[member][:, step] = inputs[order, step]
    return found
