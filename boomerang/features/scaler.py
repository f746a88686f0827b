"""The min-max scaler, fitted on training purchases only."""

import math
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import model_validator

from boomerang.base.checks import Section
from boomerang.base.ensembles import LOG_COUNT_SCALED, SCALED_FEATURES
from boomerang.base.errors import DataError
from boomerang.features.calendar import Table, raw_features

# What is scaled, with a past of its own for each purchase also how many purchases are known.
KINDS = (SCALED_FEATURES, (*SCALED_FEATURES, LOG_COUNT_SCALED))


class Scaler(Section):
    """What min-max scaling learned from the training rows.

    Attributes
    ----------
    features : list of str
        Names, in the order of the columns: those of `kind`, then what is scaled of further columns.
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
    def fit(
        cls,
        train_table: pd.DataFrame,
        number_transform: Literal["asinh", "none"],
        further: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> "Scaler":
        """The range of each feature over `train_table`, which must hold training rows only.

        Parameters
        ----------
        train_table : DataFrame
            As for `raw_features`.
        number_transform : {"asinh", "none"}
            Applied to `number`.
        further : mapping of str to ndarray of shape (n_rows,)
            By feature, what else is scaled, before scaling; NaN where it is not given.

        Raises
        ------
        DataError
            If the range of `number`, or of a further feature, is more than float64 can hold.
        """
        features = KINDS["n_known" in train_table]
        values = raw_features(train_table, number_transform, features)
        low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        for found in further.values():
            given = found[~np.isnan(found)]
            # What is given in no training purchase is a constant, which scaling makes 0.
            low.append(float(given.min()) if len(given) else 0.0)
            high.append(float(given.max()) if len(given) else 0.0)
        features = (*features, *further)
        for name, least, most in zip(features, low, high, strict=True):
            if not math.isfinite(most - least):
                column = name.removesuffix("_scaled").removesuffix("_value")
                raise DataError(
                    f"{column} must span a range that float64 can hold over the training purchases, or "
                    f"number_transform be asinh (found {least!r} to {most!r})"
                )
        return cls(features=list(features), number_transform=number_transform, data_min=low, data_max=high)

    @model_validator(mode="after")
    def _hold_a_range_of_each_feature(self) -> "Scaler":
        if tuple(self.features[: len(self.kind)]) != self.kind or len(set(self.features)) < len(self.features):
            rule = " or ".join(str(list(kind)) for kind in KINDS)
            raise ValueError(f"features must begin with {rule}, each once (found {str(self.features)[:200]})")
        if not len(self.data_min) == len(self.data_max) == len(self.features):
            found = f"{len(self.data_min)}, {len(self.data_max)}"
            raise ValueError(f"data_min and data_max must have {len(self.features)} numbers each (found {found})")
        for low, high in zip(self.data_min, self.data_max, strict=True):
            if not 0 <= high - low < math.inf:
                raise ValueError(f"data_max must be a finite way above data_min (found {low!r} to {high!r})")
        return self

    @property
    def kind(self) -> tuple[str, ...]:
        """What is scaled of time, number, gap and count: one of `KINDS`."""
        return KINDS[self.counts]

    @property
    def counts(self) -> bool:
        """Whether the count of known purchases is among the features."""
        return LOG_COUNT_SCALED in self.features

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        """What each feature is multiplied by, and what is added then: `scale_` and `min_` of a `MinMaxScaler`."""
        low, high = np.array(self.data_min), np.array(self.data_max)
        # A narrower range is none to scikit-learn, which then only moves the values.
        ranges = np.where(high - low < 10 * np.finfo(np.float64).eps, 1.0, high - low)
        return 1 / ranges, 0 - low * (1 / ranges)

    def transform(self, table: Table, features: tuple[str, ...] = ()) -> np.ndarray:
        """The scaled features of `kind`, or the first of them, where only those are asked for.

        ``(x - data_min) / (data_max - data_min)``, to the last bit as scikit-learn's `MinMaxScaler` computes it, whose
        import would take longer than a prediction. Values outside the range seen in
        training lie outside 0 to 1. A feature that was constant there is 0 for any value: no weight ever learned what
        another value means.

        Returns
        -------
        ndarray of shape (n_rows, n_features), float32

        Raises
        ------
        DataError
            If a number lies so far outside the range seen in training that float32 cannot hold it scaled.
        """
        # What is too large becomes infinite here, and is refused below.
        with np.errstate(over="ignore"):
            values = raw_features(table, self.number_transform, features or self.kind)
            n_features = values.shape[1]
            factors, offsets = self._factors
            values = values * factors[:n_features] + offsets[:n_features]
            values[:, np.equal(self.data_min, self.data_max)[:n_features]] = 0.0
            scaled: np.ndarray = values.astype(np.float32)
        if (lost := ~np.isfinite(scaled).all(axis=1)).any():
            row = int(lost.argmax())
            number, when = np.asarray(table["number"])[row], pd.DatetimeIndex(table["datetime"])[row]
            raise DataError(
                f"number must, scaled as in training, be within float32, or number_transform be asinh "
                f"(found {float(number)!r} on {when})"
            )
        return scaled

    def extend(self, table: pd.DataFrame, features: tuple[str, ...] = ()) -> pd.DataFrame:
        """`table` with its scaled features as further columns; parameters and errors are those of `transform`."""
        columns = list(features or self.kind)
        scaled = pd.DataFrame(self.transform(table, features), columns=columns, index=table.index)
        return pd.concat([table, scaled], axis=1)

    def scale_column(self, name: str, values: np.ndarray) -> np.ndarray:
        """Values of one feature, before scaling and as float64, scaled as `transform` does: of shape (n,), float32."""
        at = self.features.index(name)
        if self.data_min[at] == self.data_max[at]:
            return np.zeros(len(values), dtype=np.float32)
        factors, offsets = self._factors
        scaled: np.ndarray = (values * factors[at] + offsets[at]).astype(np.float32)
        return scaled

    def as_dict(self) -> dict[str, Any]:
        """The attributes as plain values, to be written as JSON."""
        return self.model_dump()
