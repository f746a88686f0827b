import pytest

from boomerang.base.costs import is_cost, parse_cost


@pytest.mark.parametrize(
    ("text", "cost"),
    [("8", 8.0), ("1.5", 1.5), ("1e3", 1000.0), ("-1", -1.0), ("number", "number"), ("many", "many"), ("", "")],
)
def test_what_is_no_number_stays_text(text, cost):
    assert parse_cost(text) == cost


@pytest.mark.parametrize("text", ["1_0", "\u0661"])
def test_only_numbers_as_a_person_writes_them_are_read(text):
    assert parse_cost(text) == text


@pytest.mark.parametrize(
    ("cost", "holds"),
    [(0, True), (2.5, True), ("number", True), (-1, False), (float("nan"), False), (float("inf"), False), ("x", False)],
)
def test_a_cost_is_an_amount_or_a_column_that_may_be_one(cost, holds):
    assert is_cost(cost) == holds
