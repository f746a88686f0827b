"""What acting is worth: what decisions by the predictions would have cost on the test purchases.

A purchase that comes back and was not acted on costs `cost_missed`, one that was acted on and stays `cost_needless`,
and what is decided rightly nothing. So whoever knew the answers would pay nothing.
"""

import math
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from boomerang.base.checks import Section, int_between
from boomerang.base.settings import Cost
from boomerang.base.wording import counted
from boomerang.combining.decisions import Costs, show_amount
from boomerang.combining.metadata import MeasuredName
from boomerang.combining.row_costs import RowCosts
from boomerang.measures.intervals import CONFIDENCE, TABLE_CONFIDENCE, Interval
from boomerang.measures.test_set import ModelPredictions, TestSet
from boomerang.measures.verdicts import SUBJECTS, name_in_words

# Costs are told of so many purchases: of one they are small change.
PER = 1000
ON_NONE, ON_ALL = "act_on_none", "act_on_all"


class Alternative(Section):
    """Another way to decide, by its name: a model, `act_on_none` or `act_on_all`.

    `cost` is what it costs per 1,000 purchases, `difference` that of the judged model less this, paired purchase by
    purchase: below 0 the judged model is cheaper.
    """

    name: MeasuredName
    cost: Interval
    difference: Interval


class Worth(Section):
    """What acting by the judged model is worth.

    Attributes
    ----------
    cost_missed, cost_needless : float or str
        As in the settings.
    sentence : str
        What can be claimed, for the person who decides, with the figures.
    n_acted : int or null
        Test purchases that the judged model acts on; null where nothing was measured, and the sentence says why.
    cost : Interval or null
        What its decisions cost per 1,000 purchases. Its bounds, and those of the other ways to decide, hold for all of
        them at once.
    alternatives : list of Alternative
        By ascending cost. The bounds of the differences hold for all of them at once, so they hold for whichever turns
        out to be the cheapest.
    """

    cost_missed: Cost
    cost_needless: Cost
    sentence: Annotated[str, Field(min_length=1, max_length=2000)]
    n_acted: Annotated[int, int_between(0, 1 << 40)] | None
    cost: Interval | None
    alternatives: list[Alternative]


def measure_worth(
    question: str, test_set: TestSet, judged: ModelPredictions, best: ModelPredictions, rows: RowCosts
) -> Worth:
    """What acting by `judged` has cost on the test purchases, beside deciding by `best` and acting on none or all.

    Nothing is measured of the next purchase where its costs stand in a column, which nobody knows before it is made.

    Parameters
    ----------
    question : {"next", "made"}
        What is asked.
    test_set : TestSet
        The purchases that are decided about.
    judged, best : ModelPredictions
        The judged model and the best baseline.
    rows : RowCosts
        What mistakes about each test purchase cost.
    """
    costs, is_known = rows.costs, rows.is_known
    if question == "next" and costs.columns:
        return _leave_unmeasured(
            costs, question, f"nobody knows the {' and '.join(costs.columns)} of a purchase before it is made"
        )
    if not is_known.any():
        return _leave_unmeasured(costs, question, "no test purchase has one")
    if not is_known.all():
        # What is not known cannot be added up.
        test_set, rows = test_set.of_rows(is_known), rows.of_rows(is_known)
        judged, best = (replace(one, probabilities=one.probabilities[is_known]) for one in (judged, best))
    n = len(test_set.returned)
    acts = {
        judged.name: rows.acts(judged.probabilities),
        best.name: rows.acts(best.probabilities),
        ON_NONE: np.zeros(n, dtype=bool),
        ON_ALL: np.ones(n, dtype=bool),
    }
    paid = np.array([rows.add_up(test_set.returned, of_one) for of_one in acts.values()])
    # Intervals are rounded to digits that are fine for figures of this size; a power of two changes no other digit.
    unit = 2.0 ** math.ceil(math.log2(float(paid.mean(axis=1).max()) or 1.0))
    series = paid / unit * PER
    found = test_set.intervals(series.mean(axis=1), series, TABLE_CONFIDENCE)
    less = series[0] - series[1:]
    differences = test_set.intervals(less.mean(axis=1), less, CONFIDENCE, share_blocks=True)
    # What costs nothing below 0 has no bound there either.
    cost, *others = [_in_units(interval, unit, 0.0) for interval in found]
    alternatives = [
        Alternative(name=name, cost=other, difference=_in_units(difference, unit))
        for name, other, difference in zip(list(acts)[1:], others, differences, strict=True)
    ]
    alternatives.sort(key=lambda one: (one.cost.value, one.name))
    return Worth(
        cost_missed=costs.missed,
        cost_needless=costs.needless,
        sentence=_write_sentence(question, judged.name, costs, cost, alternatives) + _tell_left_out(is_known),
        n_acted=int(acts[judged.name].sum()),
        cost=cost,
        alternatives=alternatives,
    )


def _leave_unmeasured(costs: Costs, question: str, reason: str) -> Worth:
    """What is said where a cost is not known when it is decided."""
    sentence = f"What acting on {SUBJECTS[question]} is worth is not measured: {costs.words}, and {reason}."
    return Worth(
        cost_missed=costs.missed,
        cost_needless=costs.needless,
        sentence=sentence,
        n_acted=None,
        cost=None,
        alternatives=[],
    )


def _tell_left_out(is_known: np.ndarray) -> str:
    """How many purchases were left out, where any were."""
    n_left_out = int((~is_known).sum())
    return f" Left out: {counted(n_left_out, 'test purchase')} of which no cost is given." if n_left_out else ""


def _in_units(interval: Interval, unit: float, least: float = -np.inf) -> Interval:
    """The interval in the units of the costs, within which no bound lies below `least`."""

    def turn(value: float | None) -> float | None:
        return None if value is None else max(value * unit, least)

    return Interval(
        value=interval.value * unit,
        low=turn(interval.low),
        high=turn(interval.high),
        block_length=interval.block_length,
    )


def name_way(name: str) -> str:
    """A way to decide in words: `acting on none`, `deciding by logistic regression`."""
    return {ON_NONE: "acting on none", ON_ALL: "acting on all"}.get(name, f"deciding by {name_in_words(name)}")


def _write_sentence(question: str, judged: str, costs: Costs, cost: Interval, alternatives: list[Alternative]) -> str:
    """What can be claimed, then what each way to decide costs."""
    ours, cheapest = name_way(judged), alternatives[0]
    claim = compare_costs(ours, name_way(cheapest.name), cheapest.difference.low, cheapest.difference.high)
    bounds = "" if cost.low is None or cost.high is None else f" ({show_amount(cost.low)} to {show_amount(cost.high)})"
    others = ", ".join(f"{name_way(one.name)} {show_amount(one.cost.value)}" for one in alternatives)
    return (
        f"Acting on {SUBJECTS[question]}: {claim}. Where {costs.words}, {ours} costs {show_amount(cost.value)}{bounds} "
        f"per {PER:,} purchases, {others}, and perfect knowledge 0."
    )


def compare_costs(ours: str, theirs: str, low: float | None, high: float | None) -> str:
    """What can be claimed of two ways to decide, as `verdicts.compare` claims it of two models.

    Parameters
    ----------
    ours, theirs : str
        Our way to decide and the cheapest alternative, in words.
    low, high : float, optional
        Bounds of the cost of ours less that of the other, per 1,000 purchases; none where the purchases are too few.
    """
    theirs, per = f"{theirs}, the cheapest alternative", f"per {PER:,} purchases"
    if low is None or high is None:
        return f"too few test purchases to tell whether {ours} costs less than {theirs}"
    if high < 0:
        return f"{ours} costs less than {theirs}, by {show_amount(-high)} to {show_amount(-low)} {per}"
    if low > 0:
        return f"{ours} costs more than {theirs}, by {show_amount(low)} to {show_amount(high)} {per}"
    largest = max(abs(low), abs(high))
    if not largest:
        return f"{ours} costs the same as {theirs}, purchase by purchase"
    return (
        f"{ours} and {theirs}, cannot be told apart on these purchases; a difference of up to {show_amount(largest)} "
        f"{per} is possible"
    )
