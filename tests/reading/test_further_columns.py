import numpy as np
import pytest

from boomerang.base.columns import Columns
from boomerang.base.errors import DataError
from boomerang.reading.purchases import MAX_CELL
from tests.reading.support import read

COLUMNS = Columns(numeric=["price"], categorical=["product"])
HEADER = "datetime,returned,number,product,price\n"
ROWS = (
    "2024-01-01T10:00:00,yes,1,  B ,2.50\n"
    "2024-01-02T10:00:00,no,1,A,\n"
    "2024-01-03T10:00:00,no,1,,0\n"
    "2024-01-04T10:00:00,no,1,b, -1e3 \n"
)


def test_a_blank_number_is_not_given_and_a_blank_word_is_a_value(tmp_path):
    found = read(tmp_path, HEADER + ROWS, columns=COLUMNS)
    np.testing.assert_array_equal(found.table["price_raw"], [2.5, np.nan, 0.0, -1000.0])
    assert found.table["product_code"].tolist() == [0, 1, 2, 3]
    assert found.categories == {"product": ["B", "A", "", "b"]}
    assert found.others.empty
    assert "price: 1 of 4 cells are blank: not given" in found.notes


def test_values_are_numbered_in_the_order_of_time(tmp_path):
    lines = ROWS.splitlines(keepends=True)
    found = read(tmp_path, HEADER + "".join(lines[::-1]), columns=COLUMNS)
    assert found.categories == {"product": ["B", "A", "", "b"]}
    assert found.table["product_code"].tolist() == [0, 1, 2, 3]


def test_columns_are_found_in_any_case_and_kept_by_the_name_asked_for(tmp_path):
    header = HEADER.replace("product", "Product").replace("price", " PRICE ")
    found = read(tmp_path, header + ROWS, columns=COLUMNS, keep_others=True)
    assert found.categories == {"product": ["B", "A", "", "b"]}
    assert list(found.others) == ["product", "price"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "datetime,returned,number,product,x\n",
            r"row 1: numeric_columns must be columns of the file \(found 'price', not",
        ),
        (
            "datetime,returned,number,x,price\n",
            r"row 1: categorical_columns must be columns of the file \(found 'product'",
        ),
        ("datetime,returned,number,Price,PRICE\n", r"row 1: each column must stand once \(found twice: price\)"),
    ],
)
def test_a_column_that_is_missing_or_stands_twice_is_refused(tmp_path, header, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, header + ROWS, columns=COLUMNS)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("A,cheap", r"row 6: price must be a finite number like 3 or 19.90 \(found 'cheap'\)"),
        ("A,inf", r"row 6: price must be a finite number like 3 or 19.90 \(found 'inf'\)"),
        ('A,"2,50"', r"row 6: price must be a finite number .* without decimal or thousands comma \(found '2,50'\)"),
        ("A,9007199254740993", r"row 6: price must be exact in float64"),
        (f"{'x' * (MAX_CELL + 1)},1", f"row 6: product must have at most {MAX_CELL} characters"),
        (f"A,{'1' * (MAX_CELL + 1)}", f"row 6: price must have at most {MAX_CELL} characters"),
    ],
)
def test_a_cell_that_breaks_a_rule_is_refused_or_left_out(tmp_path, cell, message):
    content = HEADER + ROWS + f"2024-01-05T10:00:00,no,1,{cell}\n"
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, columns=COLUMNS)
    found = read(tmp_path, content, columns=COLUMNS, on_bad_rows="drop")
    assert len(found.table) == 4
    assert list(found.dropped.values()) == [1]
