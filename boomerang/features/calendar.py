"""Purchases as unscaled numbers: calendar features, the number transform, the time since the purchase before."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from boomerang.base.ensembles import order_column

# A DataFrame, or its columns as arrays, which cost a prediction of one purchase far less.
Table = pd.DataFrame | Mapping[str, np.ndarray]


def _apply(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """A function of Python's `math` on each value: NumPy's own gives another last bit where a CPU has AVX-512."""
    return np.asarray(np.frompyfunc(function, 1, 1)(values), dtype=np.float64)


def raw_features(table: Table, number_transform: str) -> np.ndarray:
    """The features of each purchase before scaling.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        With `datetime` (naive local time), `number` and, where it is known, `instant` (naive UTC), in time order.
    number_transform : {"asinh", "none"}
        `asinh` grows like a logarithm, is defined for zero and negative numbers and keeps an order of 80,000 pieces
        from flattening all others to nothing.

    Returns
    -------
    ndarray of shape (n_rows, 7), float64
        Year, month 1-12, day 1-31, hour 0-23, weekday 0-6 from Monday, all of the local time, the transformed number,
        and log(1 + gap), where gap is the seconds since the purchase before (0 for the first). Without instants the gap
        is that of the local times, which a clock change makes longer or shorter.
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
    columns.append(_apply(math.asinh, number) if number_transform == "asinh" else number)
    moments = np.asarray(table[order_column(table)]).astype("datetime64[us]")
    gaps = np.diff(moments, prepend=moments[:1])
    columns.append(_apply(math.log1p, gaps / np.timedelta64(1, "s")))
    return np.column_stack(columns).astype(np.float64)
