"""What a prediction rests on: the rise of the log loss when one feature, or one past purchase, is shuffled."""

import numpy as np
import pandas as pd
import torch

from stages.lib.layout import ENSEMBLES
from stages.lib.pools import Member
from stages.lib.scorer import Scorer
from stages.lib.scores import log_losses

MAX_ROWS, MIN_ROWS = 1000, 100
# LSTM steps that all shuffles together may take: a few seconds on one core, for lengths of up to about a hundred.
MAX_STEPS = 4_000_000
# Of longer pasts the lags are thinned towards the far end.
MAX_LAGS = 40


def permutation_importance(
    scorer: Scorer, name: str, table: pd.DataFrame, first: int, seed: int
) -> tuple[dict[str, float], dict[str, float], int]:
    """Rise of the log loss, in nats, by what is shuffled among windows (Breiman 2001, "Random Forests").

    Parameters
    ----------
    scorer : Scorer
        That can score by `name`.
    name : str
        What predicts.
    table : DataFrame
        Purchases in time order, with their scaled features.
    first : int
        The rows from here on are predicted, or, where they are many, a sample of them at equal distances.
    seed : int
        Of the shuffles.

    Returns
    -------
    features, lags : dict of str to float
        By feature, in all steps at once; by lag, all features at once. Lag 1 is the latest purchase, lag 0, for
        `context`, the purchase in question, whose `returned_before` is the label of lag 1.
    n_rows : int
        Purchases that were predicted.
    """
    members = scorer.pool(name).members
    n_steps = {member: ENSEMBLES[member[0]].n_steps(member[1]) for member in members}
    features = list(dict.fromkeys(f for ensemble, _ in members for f in ENSEMBLES[ensemble].features))
    first_lag = min(length - steps + 1 for (_, length), steps in n_steps.items())
    lags = _choose_lags(first_lag, max(length for _, length in members))
    cost = sum(n_steps[member] * (len(lags) + len(ENSEMBLES[member[0]].features)) for member in members)
    n_rows = min(len(table) - first, max(MIN_ROWS, min(MAX_ROWS, MAX_STEPS // cost)))
    sample = np.linspace(0, len(table) - first - 1, n_rows).round().astype(int)
    targets = table["returned"].to_numpy()[first:][sample]
    every = scorer.windows(table, first, len(table))
    windows = {member: every[member][sample] for member in members}
    plain = {member: scorer.logits(member, windows[member]) for member in members}
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n_rows))

    def loss(logits: dict[Member, np.ndarray]) -> float:
        return float(log_losses(targets, scorer.combine(logits, name)).mean())

    def rise(shuffled: dict[Member, torch.Tensor]) -> float:
        changed = {member: scorer.logits(member, inputs) for member, inputs in shuffled.items()}
        return loss(plain | changed) - loss(plain)

    by_feature = {feature: rise(_shuffle_feature(windows, feature, order)) for feature in features}
    by_lag = {str(lag): rise(_shuffle_lag(windows, lag, order)) for lag in lags}
    return by_feature, by_lag, n_rows


def _choose_lags(first: int, last: int) -> list[int]:
    """Every lag from `first` to `last`, or about `MAX_LAGS` of them whose distances grow."""
    if last - first < MAX_LAGS:
        return list(range(first, last + 1))
    return sorted({first, *np.geomspace(1, last, MAX_LAGS).round().astype(int).tolist()})


def _shuffle_feature(
    windows: dict[Member, torch.Tensor], feature: str, order: torch.Tensor
) -> dict[Member, torch.Tensor]:
    """The windows of the members that read `feature`, with those of another window in its place."""
    found = {}
    for member, inputs in windows.items():
        if feature in ENSEMBLES[member[0]].features:
            column = ENSEMBLES[member[0]].features.index(feature)
            found[member] = inputs.clone()
            found[member][:, :, column] = inputs[order, :, column]
    return found


def _shuffle_lag(windows: dict[Member, torch.Tensor], lag: int, order: torch.Tensor) -> dict[Member, torch.Tensor]:
    """The windows of the members that reach back to `lag`, with that purchase of another window in its place."""
    found = {}
    for member, inputs in windows.items():
        if lag <= member[1]:
            step = member[1] - lag
            found[member] = inputs.clone()
            found[member][:, step] = inputs[order, step]
    return found
