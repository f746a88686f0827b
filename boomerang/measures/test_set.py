"""The test purchases, their resamples, and what the models say of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from boomerang.measures.intervals import Blocks, Interval, simultaneous_intervals
from boomerang.measures.metrics import round_figure

SEED = 0
# With fewer purchases of one label, the resamples hold about the same ones every time and intervals become too short.
FEWEST_OF_A_LABEL = 30

ModelKind = Literal["combination", "ensemble", "member", "baseline"]


@dataclass(frozen=True)
class ModelPredictions:
    """Probabilities of the test purchases, of shape (n_test,), by one model; the rest as in `ModelFigures`."""

    name: str
    kind: ModelKind
    probabilities: np.ndarray
    chosen: str = ""


class TestSet:
    """The test purchases and their resamples.

    Parameters
    ----------
    returned : ndarray of shape (n_test,), 0 or 1
        Which came back, in time order.
    train_rate : float
        Share of returns among the training purchases.
    """

    def __init__(self, returned: np.ndarray, train_rate: float) -> None:
        self.returned, self.train_rate = returned, train_rate
        self.n_returned = int(returned.sum())
        self.n_kept = len(returned) - self.n_returned
        self.blocks = Blocks.draw(len(returned), SEED)

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always saying what is more frequent."""
        return round_figure(max(self.returned.mean(), 1 - self.returned.mean()))

    @property
    def is_enough(self) -> bool:
        """Whether there are enough purchases of either label to tell an effect from chance."""
        return min(self.n_returned, self.n_kept) >= FEWEST_OF_A_LABEL

    def intervals(self, values: np.ndarray, resampled: np.ndarray, confidence: float) -> list[Interval]:
        """An interval for each value, without bounds where the purchases are too few; parameters as in `intervals`."""
        if not self.is_enough:
            return [Interval(value=round_figure(value), low=None, high=None) for value in values]
        bounds = zip(values, *simultaneous_intervals(values, resampled, confidence), strict=True)
        return [
            Interval(value=round_figure(value), low=round_figure(low), high=round_figure(high))
            for value, low, high in bounds
        ]
