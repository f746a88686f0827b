import pytest

from boomerang.base.costs import find_no_column, is_cost, parse_cost


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
    [
        *((0, True), (2.5, True), (-1, False), (float("nan"), False), (float("inf"), False)),
        *(("number", True), ("price", True), ("", False), ("a\n", False)),
    ],
)
def test_a_cost_is_an_amount_or_the_name_of_a_column(cost, holds):
    assert is_cost(cost) == holds


def test_a_cost_names_number_or_a_numeric_column_that_is_read():
    assert find_no_column((5.0, "number"), ()) is None
    assert find_no_column(("price", None), ("price",)) is None
    assert find_no_column(("price", 1), ()) == (
        "must be an amount or a column: number, or one of numeric_columns (found 'price', not in none)"
    )
