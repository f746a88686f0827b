import pytest

from boomerang.base.errors import SettingsError
from boomerang.combining.decisions import Costs, Decision, cost_threshold, show_amount


@pytest.mark.parametrize(
    ("cost_missed", "cost_needless", "threshold"),
    [
        (5, 1, 0.167),
        (1, 1, 0.5),
        (0, 3, 1.0),
        (3, 0, 0.0),
        # Halves go up: 1 / 400 is 0.0025.
        (399, 1, 0.003),
        (1.7e308, 1.7e308, 0.5),
        (5e-324, 5e-324, 0.5),
    ],
)
def test_the_threshold_weighs_the_costs(cost_missed, cost_needless, threshold):
    assert cost_threshold(cost_missed, cost_needless) == threshold


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ((-1, 1), r"cost_missed must be 0 or a finite number above \(found -1\)"),
        ((1, float("nan")), r"cost_needless must be 0 or a finite number above \(found nan\)"),
        ((0, 0), "above 0"),
        (("", 1), r"cost_missed must be an amount or the name of a column \(found ''\)"),
    ],
)
def test_costs_that_decide_nothing_are_refused(costs, message):
    with pytest.raises(SettingsError, match=message):
        Costs(*costs)


@pytest.mark.parametrize(
    ("costs", "columns", "threshold", "words"),
    [
        (Costs(8, 1), [], 0.111, "a missed return costs 8 and a needless intervention 1"),
        (Costs(1234.5, 0), [], 0.0, "a missed return costs 1,234.5 and a needless intervention 0"),
        (
            Costs("number", 1.5),
            ["number"],
            None,
            "a missed return costs the purchase's number and a needless intervention 1.5",
        ),
        (
            Costs("number", "number"),
            ["number"],
            None,
            "a missed return costs the purchase's number and a needless intervention the purchase's number",
        ),
    ],
)
def test_costs_say_whether_each_purchase_has_its_own(costs, columns, threshold, words):
    assert (costs.columns, costs.threshold, costs.words) == (columns, threshold, words)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (1764.2, "1,764"),
        (312, "312"),
        (54.41, "54.4"),
        (8, "8"),
        (0.71034, "0.71"),
        (0, "0"),
        (-0.0, "0"),
        (-130, "-130"),
    ],
)
def test_amounts_are_shown_to_three_digits_or_to_the_whole(amount, shown):
    assert show_amount(amount) == shown


def test_a_decision_expects_costs_where_there_are_any():
    assert Decision(0.2, missed=4.0, needless=1.0).expect(0.25) == (0.75, 1.0)
    assert Decision(0.2).expect(0.25) is None
