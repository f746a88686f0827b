"""Purchases as unscaled numbers: calendar features, the number transform, the time since the purchase before."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from boomerang.base.ensembles import LOG_COUNT_SCALED, LOG_GAP_SCALED, SCALED_FEATURES, order_column

# A DataFrame, or its columns as arrays, which cost a prediction of one purchase far less.
Table = pd.DataFrame | Mapping[str, np.ndarray]


def _apply(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """A function of Python's `math` on each value: NumPy's own gives another last bit where a CPU has AVX-512."""
    return np.asarray(np.frompyfunc(function, 1, 1)(values), dtype=np.float64)


def log_seconds(gaps: np.ndarray) -> np.ndarray:
    """log(1 + x) of each gap in seconds, as float64 of the same shape."""
    return _apply(math.log1p, gaps)


def log_counts(counts: np.ndarray) -> np.ndarray:
    """log(1 + n) of each count, as float64 of the same shape."""
    logs: np.ndarray = log_seconds(np.arange(counts.max(initial=0) + 1))[counts]
    return logs


def transform_number(values: np.ndarray, number_transform: str) -> np.ndarray:
    """Numbers as they are scaled: float64 of the same shape, NaN where they are NaN."""
    return _apply(math.asinh, values) if number_transform == "asinh" else values


def raw_features(table: Table, number_transform: str, features: tuple[str, ...] = SCALED_FEATURES) -> np.ndarray:
    """The features of each purchase before scaling.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        With `datetime` (naive local time), `number` and, where it is known, `instant` (naive UTC), in time order. Where
        each has a past of its own, also `gap_seconds`, since the group's known purchase before (0 where there is none),
        and `n_known`, how many there are.
    number_transform : {"asinh", "none"}
        `asinh` grows like a logarithm, is defined for zero and negative numbers and keeps an order of 80,000 pieces
        from flattening all others to nothing.
    features : tuple of str
        Which of them: the first of `TIME_FEATURES`, the scaled gap, the scaled count.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
        Year, month 1-12, day 1-31, hour 0-23, weekday 0-6 from Monday, all of the local time, the transformed number,
        log(1 + gap) and log(1 + n_known). The gap is `gap_seconds`, or the seconds since the purchase before (0 for the
        first); without instants it is that of the local times, which a clock change makes longer or shorter.
    """
    # NumPy's own calendar: pandas' takes a tenth of the time that a single prediction may take.
    times = np.asarray(table["datetime"]).astype("datetime64[us]")
    years, months, days = (times.astype(f"datetime64[{unit}]") for unit in "YMD")
    number = np.asarray(table["number"], dtype=np.float64)
    columns = [
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
        (times - days) // np.timedelta64(1, "h"),
        # The first day of 1970 was a Thursday.
        (days.astype(np.int64) + 3) % 7,
    ]
    columns.append(transform_number(number, number_transform))
    if LOG_GAP_SCALED in features:
        columns.append(_log_gaps(table))
    if LOG_COUNT_SCALED in features:
        columns.append(log_counts(np.asarray(table["n_known"])))
    return np.column_stack(columns).astype(np.float64)


def _log_gaps(table: Table) -> np.ndarray:
    """log(1 + gap) of each purchase."""
    if "gap_seconds" in table:
        return log_seconds(np.asarray(table["gap_seconds"]))
    moments = np.asarray(table[order_column(table)]).astype("datetime64[us]")
    return log_seconds(np.diff(moments, prepend=moments[:1]) / np.timedelta64(1, "s"))
