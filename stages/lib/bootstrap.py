"""Intervals for figures of neighbouring purchases, which are not independent: a moving-block bootstrap.

Whole blocks of consecutive rows are drawn (Künsch 1989, "The jackknife and the bootstrap for general stationary
observations"), the same for every model, so that differences of models are paired.
"""

from dataclasses import dataclass

import numpy as np

# Of the difference that a verdict rests on; and of a whole table, every row of which could be a false discovery.
CONFIDENCE, TABLE_CONFIDENCE = 0.95, 0.99
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Blocks:
    """Which rows each resample holds.

    Attributes
    ----------
    n_rows : int
        Rows of the sample.
    length : int
        Rows of a block: the cube root of `n_rows`, the order at which variances are estimated best.
    starts : ndarray of shape (n_resamples, n_blocks), int
        First rows of the blocks.
    """

    n_rows: int
    length: int
    starts: np.ndarray

    @classmethod
    def draw(cls, n_rows: int, seed: int) -> "Blocks":
        """`N_RESAMPLES` resamples of about `n_rows` rows each."""
        length = max(1, round(n_rows ** (1 / 3)))
        draw = np.random.default_rng(seed)
        starts = draw.integers(0, n_rows - length + 1, size=(N_RESAMPLES, -(-n_rows // length)))
        return cls(n_rows, length, starts)

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of `values`, of shape (n_rows,), in each resample, of shape (n_resamples,)."""
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        block_means = (sums[self.length :] - sums[: -self.length]) / self.length
        return block_means[self.starts].mean(axis=1)

    def areas(self, targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """ROC-AUC in each resample, of shape (n_resamples,); NaN where all labels of one are alike.

        ``P(score of a return > score of another) + P(equal) / 2`` (Mann and Whitney), each row counted as often as it
        was drawn.
        """
        _, ranks = np.unique(scores, return_inverse=True)
        cells = 2 * ranks + targets.astype(np.int64)
        n_cells = 2 * (int(ranks.max()) + 1)
        areas = np.empty(len(self.starts))
        for index, starts in enumerate(self.starts):
            rows = (starts[:, None] + np.arange(self.length)).ravel()
            kept, returned = np.bincount(cells[rows], minlength=n_cells).reshape(-1, 2).T
            pairs = kept.sum() * returned.sum()
            below = np.cumsum(kept) - kept / 2
            areas[index] = returned @ below / pairs if pairs else np.nan
        return areas

    def describe(self) -> dict[str, float]:
        """How the intervals were made."""
        return {"block_length": self.length, "n_resamples": len(self.starts), "confidence": TABLE_CONFIDENCE}


def bounds(values: np.ndarray, resampled: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds that hold for all `values` at once with the probability `confidence`.

    Each value's deviations over the resamples are divided by their spread; the largest of them all, resample by
    resample, sets how far the bounds reach (Romano and Wolf 2005, "Stepwise multiple testing as formalized data
    snooping"). Without this, of twenty models that know nothing one would seem to know something.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float64
        Figures of the sample.
    resampled : ndarray of shape (n_values, n_resamples), float64
        The same figures in each resample; a resample with NaN is left out.
    confidence : float
        Above 0, below 1.
    """
    resampled = resampled[:, np.isfinite(resampled).all(axis=0)]
    if resampled.shape[1] == 0:
        return values, values
    centre, spread = resampled.mean(axis=1), resampled.std(axis=1)
    varies = spread > 0
    reach = 0.0
    if varies.any():
        deviations = np.abs(resampled - centre[:, None])[varies] / spread[varies, None]
        reach = np.quantile(deviations.max(axis=0), confidence)
    return values - reach * spread, values + reach * spread
