"""The min-max scaler, fitted on training purchases only."""

import math
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import model_validator
from sklearn.preprocessing import MinMaxScaler

from boomerang.base.checks import Section
from boomerang.base.ensembles import SCALED_FEATURES
from boomerang.base.errors import DataError
from boomerang.features.calendar import Table, raw_features


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
    def fit(cls, train_table: pd.DataFrame, number_transform: Literal["asinh", "none"]) -> "Scaler":
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
            values = raw_features(table, self.number_transform) * self._fitted.scale_ + self._fitted.min_
            values[:, np.equal(self.data_min, self.data_max)] = 0.0
            scaled: np.ndarray = values.astype(np.float32)
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

    def as_dict(self) -> dict[str, Any]:
        """The attributes as plain values, to be written as JSON."""
        return self.model_dump()
