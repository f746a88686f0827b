import pytest
from pydantic import ValidationError

from boomerang.base.columns import Columns, find_twice

COLUMNS = Columns(numeric=["Unit price"], categorical=["product", "country"])


def test_each_column_gives_two_features_the_numeric_ones_first():
    assert COLUMNS.features == (
        *("Unit price_value", "Unit price_given"),
        *("product_rate", "product_count", "country_rate", "country_count"),
    )
    assert COLUMNS.scaled == ("Unit price_value", "Unit price_given", "product_count", "country_count")
    assert COLUMNS.features_of["country"] == ("country_rate", "country_count")


@pytest.mark.parametrize(
    ("names", "twice"),
    [(["a", "b"], None), (["a", "b", "a"], "a"), (["size", "Size"], "Size"), ([], None)],
)
def test_names_that_differ_in_case_alone_are_the_same(names, twice):
    assert find_twice(names) == twice


def test_a_column_is_numeric_or_categorical():
    with pytest.raises(ValidationError, match=r"must stand once \(found 'price' twice\)"):
        Columns(numeric=["price"], categorical=["price"])
