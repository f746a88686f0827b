"""Purchases as numbers: the split into parts, calendar features, the number transform and the scaler."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import MinMaxScaler

from stages.lib.errors import ArtifactError, DataError
from stages.lib.layout import PARTS, SCALED_FEATURES
from stages.lib.split import count_parts, fewest_rows, have_rows

NUMBER_TRANSFORMS = ("asinh", "none")


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


def raw_features(table: pd.DataFrame, number_transform: str) -> np.ndarray:
    """The features of each purchase before scaling.

    Parameters
    ----------
    table : DataFrame
        With `datetime` and `number`.
    number_transform : {"asinh", "none"}
        `asinh` grows like a logarithm, is defined for zero and negative numbers and keeps an order of 80,000 pieces
        from flattening all others to nothing.

    Returns
    -------
    ndarray of shape (n_rows, 6), float64
        Year, month 1-12, day 1-31, hour 0-23, weekday 0-6 from Monday, and the transformed number.
    """
    clock = table["datetime"].dt
    number = table["number"].to_numpy(dtype=np.float64)
    columns = [clock.year, clock.month, clock.day, clock.hour, clock.day_of_week]
    columns.append(np.arcsinh(number) if number_transform == "asinh" else number)
    return np.column_stack(columns).astype(np.float64)


@dataclass(frozen=True)
class Scaler:
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
    number_transform: str
    data_min: list[float]
    data_max: list[float]

    @classmethod
    def fit(cls, train_table: pd.DataFrame, number_transform: str) -> "Scaler":
        """The range of each feature over `train_table`, which must hold training rows only."""
        values = raw_features(train_table, number_transform)
        return cls(list(SCALED_FEATURES), number_transform, values.min(axis=0).tolist(), values.max(axis=0).tolist())

    @classmethod
    def from_dict(cls, content: Any) -> "Scaler":
        """The scaler that `as_dict` described.

        Raises
        ------
        ArtifactError
            If the features are not ours, the transform is unknown, or the ranges are not finite and ascending.
        """
        try:
            scaler = cls(**content)
            low, high = np.array(scaler.data_min, dtype=np.float64), np.array(scaler.data_max, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"scaling is not that of this format: {error}") from None
        if tuple(scaler.features) != SCALED_FEATURES or scaler.number_transform not in NUMBER_TRANSFORMS:
            found = f"{scaler.features}, {scaler.number_transform!r}"
            raise ArtifactError(f"scaling must be of {list(SCALED_FEATURES)}, by {NUMBER_TRANSFORMS} (found {found})")
        if low.shape != (len(SCALED_FEATURES),) or low.shape != high.shape or not np.isfinite(high - low).all():
            raise ArtifactError(f"scaling must have {len(SCALED_FEATURES)} finite minima and maxima (found {content})")
        if (low > high).any():
            raise ArtifactError(f"scaling must have minima below maxima (found {content})")
        return scaler

    def transform(self, table: pd.DataFrame) -> np.ndarray:
        """The scaled features of `table`.

        ``(x - data_min) / (data_max - data_min)``, by scikit-learn's `MinMaxScaler`. Values outside the range seen in
        training lie outside 0 to 1. A feature that was constant there is 0 for any value: no weight ever learned what
        another value means.

        Returns
        -------
        ndarray of shape (n_rows, 6), float32
        """
        scaler = MinMaxScaler().fit(np.array([self.data_min, self.data_max]))
        scaled = scaler.transform(raw_features(table, self.number_transform))
        scaled[:, np.equal(self.data_min, self.data_max)] = 0.0
        return scaled.astype(np.float32)

    def as_dict(self) -> dict:
        """The attributes as plain values, to be written as JSON."""
        return asdict(self)
