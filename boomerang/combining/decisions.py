"""From a probability to a decision: which purchases to act on, given what mistakes cost."""

import math

from boomerang.base.errors import SettingsError

# Thresholds are printed and counted in thousandths.
THRESHOLD_STEPS = 1000


def show_threshold(threshold: float) -> str:
    """The threshold in thousandths, or in full where it is finer: `0.111`, `0.0004`."""
    return f"{threshold:.3f}" if round(threshold, 3) == threshold else f"{threshold:g}"


def describe_threshold(threshold: float) -> str:
    """What deciding by the threshold comes to where no probability matters; nothing for any other threshold."""
    # A model says 1 of a purchase only where float64 cannot tell its probability from 1.
    return {0.0: "acts on every purchase", 1.0: "acts on no purchase"}.get(threshold, "")


def cost_threshold(cost_missed: float, cost_needless: float) -> float:
    """The probability from which acting is cheaper than not: ``cost_needless / (cost_missed + cost_needless)``.

    A purchase that comes back and was not acted on costs `cost_missed`; one that was acted on and stays costs
    `cost_needless`; the other two cases cost nothing more. With calibrated probabilities no other threshold costs less
    (Elkan 2001, "The Foundations of Cost-Sensitive Learning"). Rounded to thousandths, halves up.

    Raises
    ------
    SettingsError
        If a cost is negative or not finite, or both are 0.
    """
    for name, cost in (("cost_missed", cost_missed), ("cost_needless", cost_needless)):
        if not (math.isfinite(cost) and cost >= 0):
            raise SettingsError(f"{name} must be 0 or a finite number above (found {cost})")
    # Divided by the larger first: the sum of two finite costs may be more than float64 holds.
    largest = max(cost_missed, cost_needless)
    if largest == 0:
        raise SettingsError("cost_missed or cost_needless must be above 0 (found 0 for both)")
    share = (cost_needless / largest) / (cost_missed / largest + cost_needless / largest)
    return math.floor(share * THRESHOLD_STEPS + 0.5) / THRESHOLD_STEPS
