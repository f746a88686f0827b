"""From a probability to a decision: which purchases to act on, given what mistakes cost.

`predict.py` imports this before it knows what is asked: what needs numpy is in `boomerang.combining.row_costs`.
"""

import math
from dataclasses import dataclass

from boomerang.base.costs import Cost, is_cost
from boomerang.base.errors import SettingsError

# Thresholds of all purchases alike are printed and counted in thousandths.
THRESHOLD_STEPS = 1000


def show_threshold(threshold: float) -> str:
    """The threshold in thousandths, or in full where it is finer: `0.111`, `0.0004`."""
    return f"{threshold:.3f}" if round(threshold, 3) == threshold else f"{threshold:g}"


def describe_threshold(threshold: float) -> str:
    """What deciding by the threshold comes to where no probability matters; nothing for any other threshold."""
    # A model says 1 of a purchase only where float64 cannot tell its probability from 1.
    return {0.0: "acts on every purchase", 1.0: "acts on no purchase"}.get(threshold, "")


def show_amount(amount: float) -> str:
    """A cost to three digits or to the whole: `0.0123`, `8`, `1,235`."""
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount + 0.0:.3g}"


@dataclass(frozen=True)
class Costs:
    """What the two mistakes cost; what is decided rightly costs nothing more.

    Attributes
    ----------
    missed : Cost
        Of a purchase that comes back and was not acted on.
    needless : Cost
        Of a purchase that was acted on and stays.

    Raises
    ------
    SettingsError
        If a cost is negative, not finite or no name of a column, or both are 0.
    """

    missed: Cost
    needless: Cost

    def __post_init__(self) -> None:
        _check(self.missed, self.needless)

    @property
    def columns(self) -> list[str]:
        """The columns that say what a mistake costs; none where it costs the same for all purchases."""
        return sorted({cost for cost in (self.missed, self.needless) if isinstance(cost, str)})

    @property
    def threshold(self) -> float | None:
        """The threshold of all purchases, as `cost_threshold` gives it; None where each has one of its own."""
        if isinstance(self.missed, str) or isinstance(self.needless, str):
            return None
        return cost_threshold(self.missed, self.needless)

    @property
    def words(self) -> str:
        """`a missed return costs 8 and a needless intervention 1`; a column is called the purchase's."""
        missed, needless = (
            f"the purchase's {cost}" if isinstance(cost, str) else f"{cost:,.10g}"
            for cost in (self.missed, self.needless)
        )
        return f"a missed return costs {missed} and a needless intervention {needless}"


def cost_threshold(cost_missed: float, cost_needless: float) -> float:
    """The probability from which acting is cheaper than not: ``cost_needless / (cost_missed + cost_needless)``.

    The costs are amounts, as `Costs` explains them. With calibrated probabilities no other threshold costs less (Elkan
    2001, "The Foundations of Cost-Sensitive Learning"). Rounded to thousandths, halves up. Raises SettingsError as
    `Costs` does.
    """
    _check(cost_missed, cost_needless)
    # Divided by the larger first: the sum of two finite costs may be more than float64 holds.
    largest = max(cost_missed, cost_needless)
    share = (cost_needless / largest) / (cost_missed / largest + cost_needless / largest)
    return math.floor(share * THRESHOLD_STEPS + 0.5) / THRESHOLD_STEPS


def _check(missed: Cost, needless: Cost) -> None:
    for name, cost in (("cost_missed", missed), ("cost_needless", needless)):
        if is_cost(cost):
            continue
        if isinstance(cost, str):
            raise SettingsError(f"{name} must be an amount or the name of a column (found {cost!r:.200})")
        raise SettingsError(f"{name} must be 0 or a finite number above (found {cost})")
    if (missed, needless) == (0, 0):
        raise SettingsError("cost_missed or cost_needless must be above 0 (found 0 for both)")


@dataclass(frozen=True)
class Decision:
    """How one purchase is decided.

    Attributes
    ----------
    threshold : float
        The probability of a return from which to act.
    missed, needless : float, optional
        What either mistake about this purchase costs, where costs set the threshold.
    is_own : bool
        Whether these costs are its own, as a column says, and another purchase may have others.
    """

    threshold: float
    missed: float | None = None
    needless: float | None = None
    is_own: bool = False

    def expect(self, probability: float) -> tuple[float, float] | None:
        """What acting costs on average, and what letting be does; None where no costs are given."""
        if self.missed is None or self.needless is None:
            return None
        return (1 - probability) * self.needless, probability * self.missed
