"""The test purchases, what the models say of them, and how far figures of them can be trusted."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from boomerang.measures.intervals import Interval, choose_block_length, simultaneous_intervals
from boomerang.measures.metrics import round_figure

SEED = 0
# With fewer purchases of one label, the resamples hold about the same ones every time and intervals become too short.
FEWEST_OF_A_LABEL = 30

# The least and the greatest value that a figure can have. A bootstrap, which knows of none, may go beyond.
Limits = tuple[float, float]
SHARE: Limits = (0.0, 1.0)
LOG_LOSS: Limits = (0.0, math.inf)
SKILL: Limits = (-math.inf, 1.0)
UNLIMITED: Limits = (-math.inf, math.inf)

# What a blend has to beat: the trees, which are part of it, are a baseline too.
RIVALS = ("trees", "baseline")
ModelKind = Literal["blend", "trees", "combination", "ensemble", "member", "baseline"]


@dataclass(frozen=True)
class ModelPredictions:
    """Probabilities of the test purchases, of shape (n_test,), by one model; the rest as in `ModelFigures`."""

    name: str
    kind: ModelKind
    probabilities: np.ndarray
    chosen: str = ""


class TestSet:
    """The test purchases.

    Parameters
    ----------
    returned : ndarray of shape (n_test,), 0 or 1
        Which came back, in time order.
    before : ndarray of shape (n_train + n_val,), 0 or 1
        Which of the purchases for training and validation came back, in time order.
    n_val : int
        How many of those, the last, are for validation.
    margin : float
        A difference of log loss in nats that is surely smaller does not matter.
    """

    def __init__(self, returned: np.ndarray, before: np.ndarray, n_val: int, margin: float) -> None:
        self.returned, self.before, self.n_val, self.margin = returned, before, n_val, margin
        self.train_rate = float(before[: len(before) - n_val].mean())
        self.n_returned = int(returned.sum())
        self.n_kept = len(returned) - self.n_returned

    def of_rows(self, rows: np.ndarray) -> "TestSet":
        """Some of the test purchases, after the same ones before."""
        return TestSet(self.returned[rows], self.before, self.n_val, self.margin)

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always saying what is more frequent."""
        return round_figure(max(self.returned.mean(), 1 - self.returned.mean()))

    @property
    def is_enough(self) -> bool:
        """Whether there are enough purchases of either label to tell an effect from chance."""
        return min(self.n_returned, self.n_kept) >= FEWEST_OF_A_LABEL

    def intervals(
        self,
        values: np.ndarray,
        series: np.ndarray,
        confidence: float,
        limits: Limits = UNLIMITED,
        share_blocks: bool = False,
    ) -> list[Interval]:
        """An interval for each value, without bounds where the purchases are too few.

        Parameters
        ----------
        values, series, confidence
            As in `simultaneous_intervals`.
        limits : tuple of float
            The least and the greatest value that the figure can have; no bound goes beyond.
        share_blocks : bool
            Whether the series that depends longest on its past says for all of them how long a block is; by default
            each has blocks of its own.
        """
        if not self.is_enough:
            return [Interval(value=round_figure(value), low=None, high=None, block_length=None) for value in values]
        lengths = [choose_block_length(of_value) for of_value in series]
        if share_blocks:
            lengths = [max(lengths)] * len(lengths)
        bounds = np.clip(simultaneous_intervals(values, series, lengths, confidence, SEED), *limits)
        return [
            Interval(value=round_figure(value), low=round_figure(low), high=round_figure(high), block_length=length)
            for value, low, high, length in zip(values, *bounds, lengths, strict=True)
        ]
