"""Purchases as numbers: the split into parts, calendar features, the number transform and the scaler."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import model_validator
from sklearn.preprocessing import MinMaxScaler

from stages.lib.checks import Section
from stages.lib.errors import DataError
from stages.lib.layout import PARTS, SCALED_FEATURES
from stages.lib.split import count_parts, fewest_rows, have_rows


def split_parts(n_rows: int, val_split: float, test_split: float) -> np.ndarray:
    """The part of each row, in time order: `train`, then `val`, then `test`.

    Parameters
    ----------
    n_rows : int
        Rows, sorted by time.
    val_split, test_split : float
        Shares of the rows; `test` takes the last rows, `val` those before.

    Returns
    -------
    ndarray of shape (n_rows,), str

    Raises
    ------
    DataError
        If a part with a share above 0 gets no row.
    """
    counts = count_parts(n_rows, val_split, test_split)
    if not have_rows(counts, 1, test_split):
        found = ", ".join(f"{part} {count}" for part, count in zip(PARTS, counts, strict=True))
        needed = fewest_rows(1, val_split, test_split) or "far more"
        raise DataError(
            f"{n_rows} purchases are too few: every part needs at least one, so {needed} are needed (found {found})"
        )
    return np.repeat(PARTS, counts)


# A DataFrame, or its columns as arrays, which cost a prediction of one purchase far less.
Table = pd.DataFrame | Mapping[str, np.ndarray]
# NumPy's own functions compute another last bit where a CPU has AVX-512.
_asinh, _log1p = (np.frompyfunc(function, 1, 1) for function in (math.asinh, math.log1p))


def raw_features(table: Table, number_transform: str) -> np.ndarray:
    """The features of each purchase before scaling.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        With `datetime` and `number`, in time order.
    number_transform : {"asinh", "none"}
        `asinh` grows like a logarithm, is defined for zero and negative numbers and keeps an order of 80,000 pieces
        from flattening all others to nothing.

    Returns
    -------
    ndarray of shape (n_rows, 7), float64
        Year, month 1-12, day 1-31, hour 0-23, weekday 0-6 from Monday, the transformed number, and log(1 + gap), where
        gap is the seconds since the purchase before (0 for the first).
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
    columns.append(_asinh(number).astype(np.float64) if number_transform == "asinh" else number)
    gaps = np.diff(times, prepend=times[:1])
    columns.append(_log1p(gaps / np.timedelta64(1, "s")).astype(np.float64))
    return np.column_stack(columns).astype(np.float64)


def stack_features(table: Table, features: tuple[str, ...]) -> np.ndarray:
    """What an ensemble reads of each purchase.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order; with `returned` and what is scaled of `features`.
    features : tuple of str
        Columns of `table`, or `returned_before`: whether the purchase before came back (0 for the first).

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32
    """
    returned = np.asarray(table["returned"], dtype=np.float32)
    before = {"returned_before": np.concatenate([[0], returned[:-1]])}
    columns = [before[name] if name in before else np.asarray(table[name]) for name in features]
    return np.stack(columns, axis=1, dtype=np.float32)


class Scaler(Section):
    """What min-max scaling learned from the training rows.

    Attributes
    ----------
    features : list of str
        Names, in the order of the columns.
    number_transform : {"asinh", "none"}
        Applied to `number` before scaling.
    data_min, data_max : list of float
        Range of each feature over the training rows.
    """

    features: list[str]
    number_transform: Literal["asinh", "none"]
    data_min: list[float]
    data_max: list[float]

    @classmethod
    def fit(cls, train_table: pd.DataFrame, number_transform: str) -> "Scaler":
        """The range of each feature over `train_table`, which must hold training rows only.

        Raises
        ------
        DataError
            If the range of `number` is more than float64 can hold.
        """
        values = raw_features(train_table, number_transform)
        low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        number = SCALED_FEATURES.index("number_scaled")
        if not math.isfinite(high[number] - low[number]):
            raise DataError(
                f"number must span a range that float64 can hold over the training purchases, or number_transform be "
                f"asinh (found {low[number]!r} to {high[number]!r})"
            )
        return cls(features=list(SCALED_FEATURES), number_transform=number_transform, data_min=low, data_max=high)

    @model_validator(mode="after")
    def _hold_a_range_of_each_feature(self) -> "Scaler":
        if tuple(self.features) != SCALED_FEATURES:
            raise ValueError(f"features must be {list(SCALED_FEATURES)} (found {str(self.features)[:200]})")
        if not len(self.data_min) == len(self.data_max) == len(SCALED_FEATURES):
            found = f"{len(self.data_min)}, {len(self.data_max)}"
            raise ValueError(f"data_min and data_max must have {len(SCALED_FEATURES)} numbers each (found {found})")
        for low, high in zip(self.data_min, self.data_max, strict=True):
            if not 0 <= high - low < math.inf:
                raise ValueError(f"data_max must be a finite way above data_min (found {low!r} to {high!r})")
        return self

    @cached_property
    def _fitted(self) -> MinMaxScaler:
        return MinMaxScaler().fit(np.array([self.data_min, self.data_max]))

    def transform(self, table: Table) -> np.ndarray:
        """The scaled features of `table`.

        ``(x - data_min) / (data_max - data_min)``, by scikit-learn's `MinMaxScaler`. Values outside the range seen in
        training lie outside 0 to 1. A feature that was constant there is 0 for any value: no weight ever learned what
        another value means.

        Returns
        -------
        ndarray of shape (n_rows, 7), float32

        Raises
        ------
        DataError
            If a number lies so far outside the range seen in training that float32 cannot hold it scaled.
        """
        # What is too large becomes infinite here, and is refused below.
        with np.errstate(over="ignore"):
            # What its `transform` computes, without the checks, which take longer than a prediction may.
            scaled = raw_features(table, self.number_transform) * self._fitted.scale_ + self._fitted.min_
            scaled[:, np.equal(self.data_min, self.data_max)] = 0.0
            scaled = scaled.astype(np.float32)
        if (lost := ~np.isfinite(scaled).all(axis=1)).any():
            row = int(lost.argmax())
            number, when = np.asarray(table["number"])[row], pd.DatetimeIndex(table["datetime"])[row]
            raise DataError(
                f"number must, scaled as in training, be within float32, or number_transform be asinh "
                f"(found {float(number)!r} on {when})"
            )
        return scaled

    def extend(self, table: pd.DataFrame) -> pd.DataFrame:
        """`table` with its scaled features as further columns; raises DataError as `transform` does."""
        scaled = pd.DataFrame(self.transform(table), columns=list(SCALED_FEATURES), index=table.index)
        return pd.concat([table, scaled], axis=1)

    def as_dict(self) -> dict:
        """The attributes as plain values, to be written as JSON."""
        return self.model_dump()
