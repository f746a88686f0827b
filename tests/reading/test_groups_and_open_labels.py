import pytest

from boomerang.base.errors import DataError
from boomerang.reading.purchases import read_purchases


def write(folder, content):
    path = folder / "purchases.csv"
    path.write_text(content)
    return path


ROWS = (
    "2024-01-01,no,1, 007 \n2024-01-02,yes,2,7\n2024-01-03,no,3,\n"
    "2024-01-04,yes,4,007\n2024-01-05,no,5,A\n2024-01-06,no,6,a\n"
)
HEADER = "datetime,returned,number,customer\n"


def test_groups_are_text_without_outer_blanks(tmp_path):
    found = read_purchases(write(tmp_path, HEADER + ROWS), group_column="customer")
    assert found.table["group"].tolist() == [0, 1, -1, 0, 2, 3]
    assert found.group_values == ["007", "7", "A", "a"]
    assert "customer: 1 of 6 cells are blank: purchases of nobody that is known" in found.notes
    assert list(found.others.columns) == []


def test_codes_follow_time_and_not_the_order_of_the_file(tmp_path):
    lines = ROWS.splitlines(keepends=True)
    found = read_purchases(write(tmp_path, HEADER + "".join(lines[::-1])), group_column="customer")
    assert found.table["group"].tolist() == [0, 1, -1, 0, 2, 3]


@pytest.mark.parametrize("header", ["Customer", "CUSTOMER", " customer "])
def test_the_group_column_is_found_in_any_case(tmp_path, header):
    path = write(tmp_path, f"datetime,returned,number,{header}\n{ROWS}")
    assert read_purchases(path, group_column="customer").group_values == ["007", "7", "A", "a"]
    kept = read_purchases(path, group_column="customer", keep_others=True).others
    assert kept["customer"].tolist()[:2] == [" 007 ", "7"]


def test_a_missing_group_column_is_refused_with_those_there_are(tmp_path):
    path = write(tmp_path, HEADER + ROWS)
    expected = r"row 1: group_column must be a column of the file \(found 'client', not in datetime, returned, number,"
    with pytest.raises(DataError, match=expected):
        read_purchases(path, group_column="client")


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (
            ["x", "x", "x"],
            "customer: a single value in all purchases, so there is one history",
        ),
        (
            ["x", "y", "z"],
            "customer: every value stands once, as that of an order number does",
        ),
        (
            ["x", "", "z"],
            "customer: every value stands once, as that of an order number does",
        ),
        (["x", "y", "y"], ""),
    ],
)
def test_a_column_that_tells_no_groups_apart_is_told_of(tmp_path, values, note):
    rows = "".join(f"2024-01-0{day},no,1,{value}\n" for day, value in enumerate(values, start=1))
    notes = read_purchases(write(tmp_path, HEADER + rows), group_column="customer").notes
    assert any(line.startswith(note) for line in notes) if note else notes == []


def test_a_column_of_blanks_alone_is_refused(tmp_path):
    path = write(tmp_path, HEADER + "2024-01-01,no,1,\n2024-01-02,no,1, \n")
    with pytest.raises(DataError, match="group_column customer: all 2 cells are blank, so nobody has a past"):
        read_purchases(path, group_column="customer")


def test_an_empty_label_is_open_only_where_that_is_allowed(tmp_path):
    path = write(tmp_path, "datetime,returned,number\n2024-01-01,yes,1\n2024-01-02, ,2\n2024-01-03,no,3\n")
    table = read_purchases(path, open_returned=True).table
    assert (table["is_open"].tolist(), table["returned"].tolist()) == ([False, True, False], [1, 0, 0])
    with pytest.raises(DataError, match="row 3: returned must not be blank, unless open_returned is set"):
        read_purchases(path)
    path.write_text(path.read_text().replace(" ,2", "maybe,2"))
    with pytest.raises(DataError, match="1/no/n/false/f/0 or empty"):
        read_purchases(path, open_returned=True)
