"""What is caught by acting on the purchases that most likely come back: the gains curve, and a table of it.

Where purchases have the same probability, any of them may come first. So what is caught is the mean over all orders of
them: of a part of such purchases, the same part of their returns.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from boomerang.base.checks import Section, int_between
from boomerang.combining.metadata import Finite
from boomerang.measures.metrics import round_figure

# Shares of the purchases, in percent, for which the table says what is caught.
PERCENTS = (1, 5, 10, 20)


class Gain(Section):
    """What is caught by acting on the purchases with the highest probabilities.

    Attributes
    ----------
    percent : int
        The share of the purchases that one can act on.
    n_acted : int
        So many are that, to the nearest whole number, but at least 1.
    n_caught : float
        Returns among them, on average over the orders of purchases with the same probability.
    caught : float
        Their share of all returns.
    lift : float
        `caught` divided by what acting on as many purchases at random catches, which is their share of all purchases.
    """

    percent: Annotated[int, int_between(1, 100)]
    n_acted: Annotated[int, int_between(1, 1 << 40)]
    n_caught: Annotated[Finite, Field(ge=0)]
    caught: Annotated[float, Field(ge=0, le=1)]
    lift: Annotated[Finite, Field(ge=0)]


def count_caught(targets: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the gains curve: how many purchases are acted on, and how many of them come back.

    Parameters
    ----------
    targets : ndarray of shape (n,), 0 or 1
        Which purchases came back.
    probabilities : ndarray of shape (n,), float64
        The highest come first.

    Returns
    -------
    two ndarrays of shape (n_different + 1,), int64
        They begin with 0; a corner for each different probability follows, where all purchases with this probability or
        a higher one are acted on. Between two corners the curve is a straight line.
    """
    _, groups = np.unique(-probabilities, return_inverse=True)
    n_acted = np.cumsum(np.bincount(groups))
    n_caught = np.cumsum(np.bincount(groups[targets == 1], minlength=len(n_acted)))
    return np.concatenate([[0], n_acted]), np.concatenate([[0], n_caught])


def list_gains(targets: np.ndarray, probabilities: np.ndarray) -> list[Gain]:
    """A row for each of `PERCENTS`; none where nothing came back."""
    acted, caught = count_caught(targets, probabilities)
    n, n_returned = int(acted[-1]), int(caught[-1])
    if not n_returned:
        return []
    found = []
    for percent in PERCENTS:
        # Halves go up, in whole numbers, so that no last bit decides.
        n_acted = max(1, (2 * percent * n + 100) // 200)
        n_caught = float(np.interp(n_acted, acted, caught))
        gain = Gain(
            percent=percent,
            n_acted=n_acted,
            n_caught=round_figure(n_caught),
            caught=round_figure(n_caught / n_returned),
            lift=round_figure(n_caught * n / (n_returned * n_acted)),
        )
        found.append(gain)
    return found
