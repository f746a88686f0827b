import numpy as np
import pytest

from boomerang.combining.decisions import Costs
from boomerang.combining.row_costs import RowCosts
from boomerang.measures.worth import compare_costs, measure_worth
from tests.measures.support import BASE, KNOWING, RETURNED, TRUTH, N, answer, model, purchases_of

NUMBER = np.random.default_rng(2).integers(1, 50, N).astype(float)


def rows_of(missed, needless, number=NUMBER):
    return RowCosts.of(Costs(missed, needless), {"number": number}, len(number))


def test_costs_are_added_up_by_hand():
    returned = np.array([1, 1, 0, 0])
    judged, best = (
        model(name, kind, np.array(probabilities))
        for name, kind, probabilities in (
            ("blend", "blend", [0.9, 0.1, 0.6, 0.1]),
            ("base_rate", "baseline", [0.4, 0.4, 0.4, 0.4]),
        )
    )
    found = measure_worth("next", purchases_of(returned), judged, best, rows_of(3, 1, np.ones(4)))
    # From 0.25 on: ours misses the second and acts on the third for nothing, the base rate acts on all.
    assert found.n_acted == 2
    assert found.cost.value == 1000
    costs = {one.name: (one.cost.value, one.difference.value) for one in found.alternatives}
    assert costs == {"act_on_all": (500, 500), "base_rate": (500, 500), "act_on_none": (1500, -500)}
    assert [one.name for one in found.alternatives] == ["act_on_all", "base_rate", "act_on_none"]
    assert found.sentence == (
        "Acting on the next purchase: too few test purchases to tell whether deciding by blend costs less than "
        "acting on all, the cheapest alternative. Where a missed return costs 3 and a needless intervention 1, "
        "deciding by blend costs 1,000 per 1,000 purchases, acting on all 500, deciding by base rate 500, acting "
        "on none 1,500, and perfect knowledge 0."
    )


def test_each_purchase_is_decided_and_paid_by_its_own_number():
    returned = np.array([1, 1, 0])
    judged = model("context", "ensemble", np.array([0.2, 0.2, 0.2]))
    best = model("base_rate", "baseline", np.array([0.01, 0.01, 0.01]))
    rows = rows_of("number", 1, np.array([-2.0, 9.0, 9.0]))
    found = measure_worth("made", purchases_of(returned), judged, best, rows)
    # Thresholds 1/3, 1/10, 1/10: it misses the first, which costs 2, and acts on the others, one of which stays.
    assert (found.n_acted, found.cost.value) == (2, 1000)
    costs = {one.name: one.cost.value for one in found.alternatives}
    assert costs == {"act_on_none": 3666.666668, "base_rate": 3666.666668, "act_on_all": 333.333332}
    assert (found.cost_missed, found.cost_needless) == ("number", 1)


def test_of_the_next_purchase_nobody_knows_the_number():
    found = measure_worth("next", purchases_of(), KNOWING, BASE, rows_of("number", 1))
    assert (found.n_acted, found.cost, found.alternatives) == (None, None, [])
    assert found.sentence == (
        "What acting on the next purchase is worth is not measured: a missed return costs the purchase's number and a "
        "needless intervention 1, and nobody knows the number of a purchase before it is made."
    )


def test_a_model_that_knows_costs_less_than_the_cheapest_alternative():
    found = measure_worth("made", purchases_of(), KNOWING, BASE, rows_of(2, 1))
    cheapest = found.alternatives[0]
    assert cheapest.difference.high < 0
    assert found.cost.low < found.cost.value < found.cost.high
    assert found.sentence.startswith(
        "Acting on a purchase just made: deciding by blend costs less than acting on none, the cheapest "
        "alternative, by "
    )
    assert f"({found.cost.low:,.0f} to {found.cost.high:,.0f}) per 1,000 purchases" in found.sentence


def test_perfect_knowledge_costs_nothing():
    found = measure_worth("made", purchases_of(), model("context", "ensemble", RETURNED * 1.0), BASE, rows_of(2, 1))
    assert (found.cost.value, found.cost.low, found.cost.high) == (0, 0, 0)


def test_no_bound_of_a_cost_is_below_0():
    almost = model("context", "ensemble", np.where(np.arange(N) < 1, 1 - RETURNED, RETURNED) * 1.0)
    found = measure_worth("made", purchases_of(), almost, BASE, rows_of(2, 1))
    assert found.cost.value > 0
    assert found.cost.low == 0


def test_who_decides_like_the_cheapest_alternative_costs_the_same():
    found = measure_worth("made", purchases_of(), model("context", "ensemble", TRUTH / 1000), BASE, rows_of(1, 1))
    assert "deciding by context costs the same as acting on none, the cheapest alternative, purchase" in found.sentence


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_the_costs_does_not_matter(factor):
    found, scaled = (
        measure_worth("made", purchases_of(), KNOWING, BASE, rows_of(2 * times, times)) for times in (1, factor)
    )
    assert scaled.n_acted == found.n_acted
    assert [one.name for one in scaled.alternatives] == [one.name for one in found.alternatives]
    pairs = [(found.cost, scaled.cost)]
    for one, other in zip(found.alternatives, scaled.alternatives, strict=True):
        pairs += [(one.cost, other.cost), (one.difference, other.difference)]
    for of_one, of_other in pairs:
        for name in ("value", "low", "high"):
            assert getattr(of_other, name) == pytest.approx(factor * getattr(of_one, name), rel=1e-6)
        assert of_other.block_length == of_one.block_length


OURS, NONE = "deciding by context", "acting on none"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (None, None, f"too few test purchases to tell whether {OURS} costs less than {NONE}, the cheapest alternative"),
        (-130.4, -86, f"{OURS} costs less than {NONE}, the cheapest alternative, by 86 to 130 per 1,000 purchases"),
        (2.5, 1234, f"{OURS} costs more than {NONE}, the cheapest alternative, by 2.5 to 1,234 per 1,000 purchases"),
        (
            -30,
            12,
            f"{OURS} and {NONE}, the cheapest alternative, cannot be told apart on these purchases; a difference of up "
            f"to 30 per 1,000 purchases is possible",
        ),
        (
            0.0,
            12.3,
            f"{OURS} and {NONE}, the cheapest alternative, cannot be told apart on these purchases; a difference of up "
            f"to 12.3 per 1,000 purchases is possible",
        ),
        (0.0, 0.0, f"{OURS} costs the same as {NONE}, the cheapest alternative, purchase by purchase"),
    ],
)
def test_a_claim_goes_no_further_than_its_interval(low, high, said):
    assert compare_costs(OURS, NONE, low, high) == said


def test_answers_hold_what_acting_is_worth_where_costs_are_given():
    assert answer(KNOWING, BASE).worth is None
    found = answer(KNOWING, BASE, rows=rows_of(2, 1))
    assert found.worth == measure_worth("next", purchases_of(), KNOWING, BASE, rows_of(2, 1))
