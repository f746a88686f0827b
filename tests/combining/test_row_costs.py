import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.combining.decisions import Costs
from boomerang.combining.row_costs import RowCosts

NUMBERS = {"number": np.array([1.0, 4.0, -4.0, 0.0])}


def test_a_dear_purchase_is_acted_on_sooner():
    rows = RowCosts.of(Costs("number", 1), NUMBERS, 4)
    assert rows.missed.tolist() == [1, 4, 4, 0]
    assert rows.needless.tolist() == [1, 1, 1, 1]
    assert rows.thresholds.tolist() == [0.5, 0.2, 0.2, 1.0]
    assert rows.acts(np.array([0.4, 0.4, 0.2, 0.9])).tolist() == [False, True, True, False]
    assert rows.acts(np.full(4, np.nan)).tolist() == [False] * 4


@pytest.mark.parametrize(
    ("costs", "thresholds"),
    [
        # As everywhere: to thousandths, the same for all.
        (Costs(8, 1), [0.111, 0.111, 0.111, 0.111]),
        (Costs(1, "number"), [0.5, 0.8, 0.8, 0.0]),
        # Where neither mistake costs anything, nothing is done.
        (Costs("number", "number"), [0.5, 0.5, 0.5, 1.0]),
        (Costs("number", 0), [0.0, 0.0, 0.0, 1.0]),
    ],
)
def test_thresholds_weigh_the_costs_of_each_purchase(costs, thresholds):
    assert RowCosts.of(costs, NUMBERS, 4).thresholds.tolist() == thresholds


@pytest.mark.parametrize("number", [1.7e308, 5e-324])
def test_thresholds_of_the_largest_and_the_smallest_numbers_are_exact(number):
    rows = RowCosts.of(Costs("number", "number"), {"number": np.array([number])}, 1)
    assert rows.thresholds.tolist() == [0.5]


def test_what_is_expected_and_what_is_paid():
    rows = RowCosts.of(Costs("number", 2), NUMBERS, 4)
    act, let_be = rows.expect(np.array([0.25, 0.5, 0.5, 1.0]))
    assert act.tolist() == [1.5, 1.0, 1.0, 0.0]
    assert let_be.tolist() == [0.25, 2.0, 2.0, 0.0]
    returned, acts = np.array([1, 1, 0, 0]), np.array([True, False, True, False])
    assert rows.add_up(returned, acts).tolist() == [0, 4, 2, 0]


amounts = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, 1.0, 8.0]))


@given(st.lists(st.tuples(st.floats(0, 1), amounts, st.booleans()), min_size=1, max_size=20), amounts, st.booleans())
def test_each_purchase_is_decided_and_paid_for_by_itself(purchases, amount, swapped):
    probabilities, numbers, returned = map(np.array, zip(*purchases, strict=True))
    costs = Costs(amount, "number") if swapped else Costs("number", amount)
    rows = RowCosts.of(costs, {"number": numbers}, len(numbers))
    acts, paid = rows.acts(probabilities), rows.add_up(returned.astype(int), rows.acts(probabilities))
    act, let_be = rows.expect(probabilities)
    for row, (p, number, came_back) in enumerate(purchases):
        missed, needless = (amount, number) if swapped else (number, amount)
        assert (act[row], let_be[row]) == ((1 - p) * needless, p * missed)
        # The cheaper on average, but where rounding alone tells them apart, or nothing costs anything.
        if abs(act[row] - let_be[row]) > 1e-9 * (missed + needless):
            assert acts[row] == (act[row] < let_be[row])
        assert paid[row] == (0 if acts[row] == came_back else missed if came_back else needless)
