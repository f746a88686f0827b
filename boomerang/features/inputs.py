"""What the members of an ensemble read of each purchase."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from boomerang.base.ensembles import (
    BACKWARD_FEATURES,
    HAS_PAST,
    LOG_COUNT_SCALED,
    LOG_GAP_SCALED,
    RATE_SO_FAR,
    RETURNED_LAG1,
    order_column,
)
from boomerang.base.errors import DataError
from boomerang.features.calendar import Table, log_counts, log_seconds
from boomerang.features.known_past import KnownPast, PastRules, PastView
from boomerang.features.scaler import Scaler


class Inputs(NamedTuple):
    """What one ensemble reads.

    Attributes
    ----------
    stream : ndarray of shape (n_stream, n_features), float32
        Of each purchase of a `KnownPast`, in the order of its stream: a step of the windows that hold it.
    own : ndarray of shape (n_rows, n_features), float32
        Of each row of the table: the step of the purchase in question.
    """

    stream: np.ndarray
    own: np.ndarray


def stack_features(table: Table, features: tuple[str, ...]) -> np.ndarray:
    """What an ensemble reads of each purchase of a history in which each knows all before it.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order; with `returned` and what is scaled of `features`.
    features : tuple of str
        Columns of `table`, or `RETURNED_LAG1`: whether the purchase before came back. It is 0 for the first purchase,
        which is a step of no window that reads it (see `EnsembleSpec.n_past`).

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32

    Raises
    ------
    DataError
        If a column is missing, or holds what is no finite number.
    """
    check_table(table)
    returned = _read_column(table, "returned")
    lagged = {RETURNED_LAG1: np.concatenate([[0], returned])[:-1]}
    columns = [lagged[name] if name in lagged else _read_column(table, name) for name in features]
    if len({len(column) for column in columns}) > 1:
        raise DataError("table: columns must be of one length")
    return np.stack(columns, axis=1, dtype=np.float32)


def stack_inputs(
    table: Table, features: tuple[str, ...], past: KnownPast, scaler: Scaler, rules: PastRules | None
) -> Inputs:
    """What an ensemble reads of each purchase, as a step of a window and as the purchase in question.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order, with what is scaled of `features`; `datetime` or `instant` where the gap is among them.
    features : tuple of str
        In the order in which members read them.
    past : KnownPast
        Of the rows of `table`.
    scaler : Scaler
        Of the training.
    rules : PastRules or None
        Of the training.

    Raises
    ------
    DataError
        If a column is missing, or holds what is no finite number.
    """
    check_table(table)
    views: dict[str, dict[str, np.ndarray]] = {"stream": {}, "own": {}}
    if not BACKWARD_FEATURES.isdisjoint(features):
        moments = np.asarray(table[order_column(table)]).astype("datetime64[us]")
        views["stream"] = describe_past(past.of_stream(), moments, past.returned, scaler, rules)
        views["own"] = describe_past(past.of_rows(), moments, past.returned, scaler, rules)
    static = {name: _read_column(table, name) for name in features if name not in BACKWARD_FEATURES}
    stream = [views["stream"][name] if name in BACKWARD_FEATURES else static[name][past.rows] for name in features]
    own = [views["own"][name] if name in BACKWARD_FEATURES else static[name] for name in features]
    return Inputs(np.stack(stream, axis=1, dtype=np.float32), np.stack(own, axis=1, dtype=np.float32))


def describe_past(
    view: PastView, moments: np.ndarray, returned: np.ndarray, scaler: Scaler, rules: PastRules | None
) -> dict[str, np.ndarray]:
    """The features that tell of the purchases before: of each in `view`, by name, of shape (n,), float32.

    Where there is none before, `has_past` is 0, and so are gap, count and the label of the purchase before.

    Parameters
    ----------
    view : PastView
        What is known before each of n purchases.
    moments : ndarray of shape (n_rows,), datetime64
        When each row of the table was made.
    returned : ndarray of shape (n_rows,), 0 or 1
        Label of each row of the table.
    scaler, rules
        As in `stack_inputs`.
    """
    has_past = view.last >= 0
    gaps = scaler.scale_column(LOG_GAP_SCALED, log_seconds(gap_seconds(view, moments)))
    found = {
        LOG_GAP_SCALED: gaps,
        RETURNED_LAG1: np.where(has_past, returned[view.last], 0).astype(np.float32),
    }
    if rules is not None:
        # Without rules the first purchase keeps the gap of 0 that the scaler was fitted with; no window holds it.
        found[LOG_GAP_SCALED] = np.where(has_past, gaps, np.float32(0))
        found |= describe_counts(view.n_known, view.n_returned, scaler, rules)
    return found


def describe_counts(
    n_known: np.ndarray, n_returned: np.ndarray, scaler: Scaler, rules: PastRules
) -> dict[str, np.ndarray]:
    """The features of `KNOWN_PAST_FEATURES` by name, each of shape (n,), float32; a count of 0 is 0 when scaled too.

    Parameters
    ----------
    n_known, n_returned : ndarray of shape (n,), int
        Known purchases, and how many of them came back.
    scaler, rules
        As in `stack_inputs`.
    """
    has_past = n_known > 0
    counts = scaler.scale_column(LOG_COUNT_SCALED, log_counts(n_known))
    return {
        HAS_PAST: has_past.astype(np.float32),
        LOG_COUNT_SCALED: np.where(has_past, counts, np.float32(0)),
        RATE_SO_FAR: rate_so_far(n_returned, n_known, rules).astype(np.float32),
    }


def gap_seconds(view: PastView, moments: np.ndarray) -> np.ndarray:
    """Seconds since the known purchase before, 0 where there is none: of shape (n,), float64."""
    return np.where(view.last >= 0, (moments[view.at] - moments[view.last]) / np.timedelta64(1, "s"), 0.0)


class RateRules(Protocol):
    """What a rate so far starts from: the share of returns in training, and how many purchases that counts."""

    @property
    def base_rate(self) -> float: ...

    @property
    def rate_strength(self) -> float: ...


def rate_so_far(n_returned: np.ndarray, n_known: np.ndarray, rules: RateRules) -> np.ndarray:
    """The share of returns among known purchases, drawn to the shop's: ``(returns + k p) / (n + k)``.

    With p the base rate and k the rate strength: the mean of a beta distribution whose prior mean is p, as sure
    of it as k purchases make (Gelman et al. 2013, "Bayesian Data Analysis", section 2.4).

    Parameters
    ----------
    n_returned, n_known : ndarray of shape (n,), int
        How many came back, of how many.
    rules : RateRules
        With p and k.
    """
    rates: np.ndarray = (n_returned + rules.rate_strength * rules.base_rate) / (n_known + rules.rate_strength)
    return rates


def check_table(table: Table, *kinds: type) -> None:
    """Refuse, with DataError, what is no table of purchases at all, or none of `kinds` where they are given."""
    is_table = isinstance(table, kinds or (pd.DataFrame, Mapping))
    if not is_table or "returned" not in table or np.ndim(table["returned"]) != 1:
        found = type(table).__name__
        raise DataError(f"table: must hold purchases, with one column returned (found {found})")


def _read_column(table: Table, name: str) -> np.ndarray:
    """A column as float32; raises DataError where it is missing or holds what is no finite number."""
    try:
        values = np.asarray(table[name], dtype=np.float32)
    except KeyError:
        rule = "the columns that members read are needed, which Scaler.extend adds to a history"
        raise DataError(f"table: {rule} (found none named {name})") from None
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"table: {name} must be a finite number in every row")
    return values
