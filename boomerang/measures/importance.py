"""What a prediction rests on: the rise of the log loss when a feature, a column or one past purchase is shuffled."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from boomerang.base.checks import Section, int_between
from boomerang.base.columns import ColumnName, FeatureName
from boomerang.base.ensembles import QUESTION_OF, EnsembleSpec
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.metadata import Finite
from boomerang.combining.pools import Member
from boomerang.measures.metrics import log_losses, round_figure
from boomerang.model.window_inputs import WindowInputs

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
        By feature, shuffled in all steps at once; those that are made of further columns are not among them.
    columns : dict of str to Rise
        By further column that is read, all that is made of it shuffled together, in all steps at once.
    lags : dict of str to Rise
        By lag, all features shuffled at once. Lag 1 is the latest purchase. Lag 0 exists for `context` alone: it is the
        purchase in question, whose `returned_before` is the label of lag 1.
    n_rows : int
        Purchases that were predicted.
    """

    features: dict[FeatureName, Rise]
    # Left out where there are none: files of trainings without further columns are as they were before there were any.
    columns: dict[ColumnName, Rise] = Field(default_factory=dict, exclude_if=lambda columns: not columns)
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
        Seeds the orders of the shuffles, which are the same for every feature, column and lag.
    """
    specs, question = ensembles.metadata.specs, QUESTION_OF[name]
    members = [member for member in ensembles.pool(name).members if member[0] in specs]
    of_trees = [member for member in ensembles.pool(name).members if member[0] not in specs]
    columns = ensembles.metadata.tree_inputs(question) if of_trees else ()
    read = [feature for ensemble, _ in members for feature in specs[ensemble].features]
    of_columns = ensembles.metadata.columns.features_of if ensembles.metadata.columns else {}
    alone, together = _split_features([*read, *(column.feature for column in columns)], of_columns)
    n_steps = {member: specs[member[0]].n_steps(member[1]) for member in members}
    first_lag = min(length - steps + 1 for (_, length), steps in n_steps.items())
    lags = _choose_lags(first_lag, max(length for _, length in members))
    n_shuffles = {one: sum(map(len, _split_features(spec.features, of_columns))) for one, spec in specs.items()}
    cost = sum(n_steps[member] * (len(lags) + n_shuffles[member[0]]) for member in members)
    n_rows = min(len(table) - first, max(MIN_ROWS, min(MAX_ROWS, MAX_STEPS // (N_REPEATS * cost))))
    chosen = np.linspace(0, len(table) - first - 1, n_rows).round().astype(int)
    targets = table["returned"].to_numpy()[first:][chosen]
    of_table, windows = ensembles.windows(table), {}
    for member in members:
        of_member = of_table.of_member(member)
        # Every test purchase has a window: enough purchases to train on lie before it.
        windows[member] = of_member.windows.gather(of_member.of(first, len(table))[1][chosen])
    rows = {member: of_table.of_trees(question, first, len(table))[1][chosen] for member in of_trees}
    plain = {member: ensembles.logits(member, windows[member]) for member in members}
    plain |= {member: ensembles.forest(member).logits(rows[member]) for member in of_trees}
    draw = np.random.default_rng(seed)
    orders = [torch.from_numpy(draw.permutation(n_rows)) for _ in range(N_REPEATS)]

    def loss(logits: dict[Member, np.ndarray]) -> float:
        return float(log_losses(targets, ensembles.combine(logits, name)).mean())

    def rise(shuffle: Callable[[torch.Tensor], dict[Member, torch.Tensor]], is_shuffled: list[bool]) -> Rise:
        """By how much the log loss rises.

        `shuffle` gives the inputs of the members that change, in a given order; `is_shuffled` says which columns of the
        trees do.
        """
        shuffled = [shuffle(order) for order in orders]
        # All at once, because a member always computes whole batches, however few windows there are.
        changed = {}
        for member in shuffled[0]:
            every = _repeat(windows[member], [of_order[member] for of_order in shuffled])
            changed[member] = np.split(ensembles.logits(member, every), N_REPEATS)
        for member in of_trees if any(is_shuffled) else []:
            exchanged = [_shuffle_columns(rows[member], is_shuffled, order.numpy()) for order in orders]
            changed[member] = [ensembles.forest(member).logits(inputs) for inputs in exchanged]
        losses = [loss(plain | {member: changed[member][repeat] for member in changed}) for repeat in range(N_REPEATS)]
        return Rise(mean=round_figure(float(np.mean(losses)) - loss(plain)), spread=round_figure(float(np.std(losses))))

    def rise_of(features: tuple[str, ...]) -> Rise:
        return rise(partial(_shuffle_features, windows, specs, features), [one.feature in features for one in columns])

    by_feature = {feature: rise_of((feature,)) for feature in alone}
    by_column = {name: rise_of(features) for name, features in together.items()}
    by_lag = {
        str(lag): rise(partial(_shuffle_lag, windows, specs, lag), [one.lag == lag for one in columns]) for lag in lags
    }
    return Importance(features=by_feature, columns=by_column, lags=by_lag, n_rows=n_rows)


def _split_features(
    read: Iterable[str], of_columns: Mapping[str, tuple[str, str]]
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Which of the features that are read are shuffled one by one, and by further column which are together."""
    names = dict.fromkeys(read)
    together = {name: features for name, features in of_columns.items() if not names.keys().isdisjoint(features)}
    of_further = {feature for features in together.values() for feature in features}
    return [name for name in names if name not in of_further], together


def _shuffle_columns(rows: np.ndarray, is_shuffled: list[bool], order: np.ndarray) -> np.ndarray:
    """What trees read, with some columns exchanged among the rows that have a number there, in `order`."""
    found = rows.copy()
    for column in np.flatnonzero(is_shuffled):
        is_there = ~np.isnan(rows[:, column])
        found[is_there, column] = rows[order[is_there[order]], column]
    return found


def _choose_lags(first: int, last: int) -> list[int]:
    """Every lag from `first` to `last`, or about `MAX_LAGS` of them whose distances grow."""
    if last - first < MAX_LAGS:
        return list(range(first, last + 1))
    return sorted({first, *np.geomspace(1, last, MAX_LAGS).round().astype(int).tolist()})


def _repeat(windows: WindowInputs, shuffled: list[torch.Tensor]) -> WindowInputs:
    """All shuffles of the windows of one member together."""
    return WindowInputs(torch.cat(shuffled), windows.n_steps.repeat(len(shuffled)))


def _shuffle_features(
    windows: dict[Member, WindowInputs], specs: dict[str, EnsembleSpec], features: tuple[str, ...], order: torch.Tensor
) -> dict[Member, torch.Tensor]:
    """The inputs of the members that read any of `features`, each with their values of one other window."""
    found = {}
    for member, of_member in windows.items():
        read = specs[member[0]].features
        if columns := [read.index(feature) for feature in features if feature in read]:
            found[member] = of_member.inputs.clone()
        for column in columns:
            for from_end in range(of_member.inputs.shape[1]):
                _exchange(found[member], of_member, from_end, slice(column, column + 1), order)
    return found


def _shuffle_lag(
    windows: dict[Member, WindowInputs], specs: dict[str, EnsembleSpec], lag: int, order: torch.Tensor
) -> dict[Member, torch.Tensor]:
    """The inputs of the members that reach back to `lag`, each with the purchase that another window has there."""
    found = {}
    for member, of_member in windows.items():
        name, length = member
        if lag <= length:
            found[member] = of_member.inputs.clone()
            # The last step is lag 0 where it is the purchase in question, else lag 1.
            from_end = lag - 1 + specs[name].n_steps(length) - length
            _exchange(found[member], of_member, from_end, slice(None), order)
    return found


def _exchange(inputs: torch.Tensor, windows: WindowInputs, from_end: int, columns: slice, order: torch.Tensor) -> None:
    """Put into `inputs`, at the step that is so many before the last, what another window has there.

    Only windows that have such a step exchange it, in `order`.
    """
    n_steps = windows.n_steps
    into = torch.nonzero(n_steps > from_end)[:, 0]
    out_of = order[n_steps[order] > from_end]
    values = windows.inputs[out_of, n_steps[out_of] - 1 - from_end, columns]
    inputs[into, n_steps[into] - 1 - from_end, columns] = values
