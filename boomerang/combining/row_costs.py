"""Costs of mistakes purchase by purchase: thresholds, expected costs, and what decisions have cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from boomerang.base.columns import amount_of
from boomerang.base.costs import Cost
from boomerang.combining.decisions import Costs


@dataclass(frozen=True)
class RowCosts:
    """What mistakes about each of n purchases cost; arrays of shape (n,), float64.

    Attributes
    ----------
    costs : Costs
        What mistakes cost, as it was asked for.
    missed, needless : ndarray
        As in `Costs`, an amount for each purchase. Of a column it is the size of the value, without its sign: shops
        book what comes back with a minus, and it is worth the same. NaN where the purchase has no value there.
    thresholds : ndarray
        The probability from which acting on the purchase is cheaper than not,
        ``needless / (missed + needless)``: to thousandths where it is the same for all purchases, as
        `Costs.threshold` says; else not rounded, 1 where neither mistake costs anything, and NaN where it is not known
        what they cost.
    """

    costs: Costs
    missed: np.ndarray
    needless: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of(cls, costs: Costs, columns: Mapping[str, ArrayLike] | pd.DataFrame, n_rows: int) -> Self:
        """The costs of `n_rows` purchases, of which `columns` has those that `costs` names, as `amount_of` has it."""

        missed, needless = (_amounts(cost, columns, n_rows) for cost in (costs.missed, costs.needless))
        if costs.threshold is not None:
            return cls(costs, missed, needless, np.full(n_rows, costs.threshold))
        # Halved first, which loses nothing, where the sum of two finite costs is more than float64 holds.
        scale = np.where(np.maximum(missed, needless) > np.finfo(np.float64).max / 2, 0.5, 1.0)
        total = missed * scale + needless * scale
        thresholds = np.divide(needless * scale, total, out=np.ones(n_rows), where=total > 0)
        thresholds[np.isnan(total)] = np.nan
        return cls(costs, missed, needless, thresholds)

    @property
    def is_known(self) -> np.ndarray:
        """Of which purchases it is known what a mistake costs: of shape (n,), bool."""
        known: np.ndarray = ~np.isnan(self.missed + self.needless)
        return known

    def of_rows(self, rows: np.ndarray) -> Self:
        """The costs of some of the purchases."""
        return replace(self, missed=self.missed[rows], needless=self.needless[rows], thresholds=self.thresholds[rows])

    def acts(self, probabilities: np.ndarray) -> np.ndarray:
        """Whether to act on each purchase, of which `probabilities` says how likely it comes back; not where NaN."""
        acts: np.ndarray = probabilities >= self.thresholds
        return acts

    def expect(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What acting on each purchase costs on average, and what letting it be does."""
        return (1 - probabilities) * self.needless, probabilities * self.missed

    def add_up(self, returned: np.ndarray, acts: np.ndarray) -> np.ndarray:
        """What these decisions have cost, purchase by purchase, when it is known which came back."""
        paid: np.ndarray = np.where(returned == 1, np.where(acts, 0.0, self.missed), np.where(acts, self.needless, 0.0))
        return paid


def _amounts(cost: Cost, columns: Mapping[str, ArrayLike] | pd.DataFrame, n_rows: int) -> np.ndarray:
    """What the mistake costs at each of `n_rows` purchases, of shape (n_rows,), float64."""
    if isinstance(cost, str):
        return np.abs(np.asarray(columns[amount_of(cost)], dtype=np.float64))
    return np.full(n_rows, float(cost))
