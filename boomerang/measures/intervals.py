"""Intervals for figures of neighbouring purchases, which are not independent: a circular block bootstrap.

Whole blocks of consecutive rows stand for what might have happened (Künsch 1989, "The jackknife and the bootstrap for
general stationary observations"). They lie on a ring in which the first row follows the last, so that the rows at both
ends count as often as the others (Politis and Romano 1992, "A circular block-resampling procedure for stationary
data"). How long a block is, the data say.
"""

import math
from typing import Annotated

import numpy as np
from scipy.special import ndtr, stdtrit

from boomerang.base.checks import Section, int_between
from boomerang.combining.metadata import Finite

# The confidence of the difference that a verdict rests on, and of a whole table, where any model could seem better than
# chance without being so.
CONFIDENCE, TABLE_CONFIDENCE = 0.95, 0.99
N_RESAMPLES = 1000
# Blocks that estimate a variance best are too short for an interval, which suffers more from bias than from scatter
# (Sun, Phillips and Jin 2008, "Optimal bandwidth selection in heteroskedasticity-autocorrelation robust testing"). Ours
# are so many times as long; `python -m tests.benchmarks.coverage` prints what is reached.
LENGTHENING = 1.5
# With fewer blocks, Student's t makes intervals that exclude nothing.
FEWEST_BLOCKS = 8
# Values are rounded to so many digits before dependence is looked for in them: where nothing varies but last bits,
# which the CPU decides, there is none.
DIGITS = 9


class Interval(Section):
    """An estimate and the bounds of its confidence interval, null where the test purchases are too few for any.

    `block_length` is how many neighbouring purchases count as one, because they are not independent.
    """

    value: Finite
    low: Finite | None
    high: Finite | None
    block_length: Annotated[int, int_between(1, 1 << 40)] | None


def optimal_block_length(values: np.ndarray) -> float:
    """The block length at which a circular block bootstrap estimates the variance of the mean best.

    With R(k) the autocovariance at lag k, M twice the lag from which on autocorrelations are negligible, and the
    flat-top window h(x) = min(1, 2 (1 - x)), it is ``(2 G^2 n / D)^(1/3)``. Here G is the sum over k = -M to M of
    ``h(|k| / M) |k| R(k)``, and D is 4/3 times the square of the sum of ``h(|k| / M) R(k)`` (Politis and White 2004,
    "Automatic block-length selection for the dependent bootstrap", corrected by Patton, Politis and White 2009).

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        In time order.

    Returns
    -------
    float
        From 0, for values that are all alike, to the least of ``3 sqrt(n)`` and ``n / 3``, rounded up, as in the paper.
    """
    values = np.round(values, DIGITS)
    n = len(values)
    if np.ptp(values) == 0:
        return 0.0
    longest, n_negligible = math.ceil(min(3 * math.sqrt(n), n / 3)), 5
    last_lag = min(math.ceil(math.sqrt(n)) + n_negligible, n - 1)
    centred = values - np.sum(values) / n
    # Summed by numpy, not by BLAS, whose order of summing depends on the CPU.
    covariances = np.array([np.sum(centred[lag:] * centred[: n - lag]) for lag in range(last_lag + 1)]) / n
    negligible = np.abs(covariances / covariances[0]) < 2 * math.sqrt(math.log10(n) / n)
    starts = range(1, last_lag - n_negligible + 2)
    first = next((lag for lag in starts if negligible[lag : lag + n_negligible].all()), last_lag)
    lags = np.arange(1, min(2 * first, last_lag) + 1)
    weighted = np.minimum(1, 2 * (1 - lags / lags[-1])) * covariances[lags]
    slope, variance = 2 * float(np.sum(lags * weighted)), float(covariances[0] + 2 * np.sum(weighted))
    if variance == 0:
        return float(longest)
    best: float = (1.5 * (slope / variance) ** 2 * n) ** (1 / 3)
    return min(best, float(longest))


def choose_block_length(values: np.ndarray) -> int:
    """How many neighbours of `values`, of shape (n,), count as one: 1 to n / `FEWEST_BLOCKS`, but never 0."""
    # Rounded first, so that a last bit makes no block longer.
    length = math.ceil(round(LENGTHENING * optimal_block_length(values), 6))
    return max(1, min(length, len(values) // FEWEST_BLOCKS))


def block_means(values: np.ndarray, length: int) -> np.ndarray:
    """The mean of each of the n blocks of `length` neighbours on the ring of `values`, both of shape (n,), float64."""
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: length - 1]]), dtype=np.float64)])
    means: np.ndarray = (sums[length:] - sums[:-length]) / length
    return means


def spread_of_mean(values: np.ndarray, length: int) -> float:
    """The standard deviation of the mean of `values`, by that of the means of blocks of `length` neighbours."""
    n_blocks = len(values) / length
    return float(block_means(values, length).std() / math.sqrt(n_blocks - 1))


def simultaneous_intervals(
    values: np.ndarray, series: np.ndarray, lengths: list[int], confidence: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds that hold for all `values` at once with the probability `confidence`.

    A value's spread is that of means of its blocks, which need not be drawn to be known. How many spreads the bounds
    are away, resamples of all series at once decide, by the largest deviation in each (Romano and Wolf 2005, "Stepwise
    multiple testing as formalized data snooping"). With separate intervals, one of twenty models that know nothing
    would seem to know something. The fewer the blocks, the less is known of the spread, so Student's t takes the place
    of the normal distribution, as for the mean of so many independent values.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float64
        Figures of the test set.
    series : ndarray of shape (n_values, n_purchases), float64
        Purchase by purchase, what each figure is a mean of, but for a constant.
    lengths : list of int
        Purchases in a block, for each value; at most half of the purchases.
    confidence : float
        Above 0, below 1.
    seed : int
        Seeds the resamples.
    """
    n_blocks = series.shape[1] / np.array(lengths, dtype=np.float64)
    spreads = np.array([spread_of_mean(of_value, length) for of_value, length in zip(series, lengths, strict=True)])
    tail = ndtr(-_critical_value(series, max(lengths), confidence, seed))
    reach = -stdtrit(n_blocks - 1, tail) * spreads
    return values - reach, values + reach


def _critical_value(series: np.ndarray, length: int, confidence: float, seed: int) -> float:
    """What the largest of the means' deviations, in units of their spread, stays below with the given probability."""
    n_purchases = series.shape[1]
    draw = np.random.default_rng(seed)
    starts = draw.integers(0, n_purchases, size=(N_RESAMPLES, -(-n_purchases // length)))
    resampled = np.array([block_means(of_value, length)[starts].mean(axis=1) for of_value in series])
    means, spreads = resampled.mean(axis=1, keepdims=True), resampled.std(axis=1, keepdims=True)
    # What varies by last bits alone does not vary.
    varies = spreads[:, 0] > 10.0**-DIGITS
    if not varies.any():
        return 0.0
    deviations = np.abs((resampled - means)[varies]) / spreads[varies]
    return float(np.quantile(deviations.max(axis=0), confidence))
