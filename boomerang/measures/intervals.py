"""Intervals for figures of neighbouring purchases, which are not independent: a moving-block bootstrap.

Whole blocks of consecutive rows are drawn (Künsch 1989, "The jackknife and the bootstrap for general stationary
observations"), the same for every model, so that differences of models are paired.
"""

from dataclasses import dataclass

import numpy as np

from boomerang.base.checks import Section
from boomerang.combining.metadata import Finite

# The confidence of the difference that a verdict rests on, and of a whole table, where any model could seem better than
# chance without being so.
CONFIDENCE, TABLE_CONFIDENCE = 0.95, 0.99
N_RESAMPLES = 1000


class Interval(Section):
    """An estimate and the bounds of its confidence interval, null where the test purchases are too few for any."""

    value: Finite
    low: Finite | None
    high: Finite | None


@dataclass(frozen=True)
class Blocks:
    """Which test purchases each resample holds.

    Attributes
    ----------
    n_purchases : int
        Purchases in the test set.
    length : int
        Purchases in a block: the cube root of `n_purchases`, the order at which variances are estimated best.
    starts : ndarray of shape (n_resamples, n_blocks), int
        Positions of the blocks' first purchases.
    """

    n_purchases: int
    length: int
    starts: np.ndarray

    @classmethod
    def draw(cls, n_purchases: int, seed: int) -> "Blocks":
        """`N_RESAMPLES` resamples of about `n_purchases` purchases each."""
        length = max(1, round(n_purchases ** (1 / 3)))
        draw = np.random.default_rng(seed)
        starts = draw.integers(0, n_purchases - length + 1, size=(N_RESAMPLES, -(-n_purchases // length)))
        return cls(n_purchases, length, starts)

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of `values`, of shape (n_purchases,), in each resample, of shape (n_resamples,)."""
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        block_means = (sums[self.length :] - sums[: -self.length]) / self.length
        means: np.ndarray = block_means[self.starts].mean(axis=1)
        return means

    def roc_aucs(self, targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """ROC-AUC in each resample, of shape (n_resamples,); NaN where all labels of a resample are alike.

        ``P(score of a return > score of another) + P(equal) / 2`` (Mann and Whitney), each purchase counted as often as
        it was drawn.
        """
        _, ranks = np.unique(scores, return_inverse=True)
        cells = 2 * ranks + targets.astype(np.int64)
        n_cells = 2 * (int(ranks.max()) + 1)
        found = np.empty(len(self.starts))
        for index, starts in enumerate(self.starts):
            drawn = (starts[:, None] + np.arange(self.length)).ravel()
            kept, returned = np.bincount(cells[drawn], minlength=n_cells).reshape(-1, 2).T
            pairs = kept.sum() * returned.sum()
            below = np.cumsum(kept) - kept / 2
            found[index] = returned @ below / pairs if pairs else np.nan
        return found


def simultaneous_intervals(
    values: np.ndarray, resampled: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds that hold for all `values` at once with the probability `confidence`.

    Each value's deviations over the resamples are divided by their spread. The largest deviation of each resample sets
    how far the bounds reach (Romano and Wolf 2005, "Stepwise multiple testing as formalized data snooping"). With
    separate intervals, one of twenty models that know nothing would seem to know something.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float64
        Figures of the test set.
    resampled : ndarray of shape (n_values, n_resamples), float64
        The same figures in each resample; a resample with NaN is left out.
    confidence : float
        Above 0, below 1.
    """
    resampled = resampled[:, np.isfinite(resampled).all(axis=0)]
    if resampled.shape[1] == 0:
        return values, values
    means, spread = resampled.mean(axis=1), resampled.std(axis=1)
    varies = spread > 0
    critical_value = 0.0
    if varies.any():
        deviations = np.abs(resampled - means[:, None])[varies] / spread[varies, None]
        critical_value = np.quantile(deviations.max(axis=0), confidence)
    return values - critical_value * spread, values + critical_value * spread
