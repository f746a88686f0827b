import pytest

from boomerang.base.errors import SettingsError
from boomerang.combining.decisions import cost_threshold


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
    ],
)
def test_costs_that_decide_nothing_are_refused(costs, message):
    with pytest.raises(SettingsError, match=message):
        cost_threshold(*costs)
