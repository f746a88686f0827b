import numpy as np
import pytest

from boomerang.base.errors import DataError
from boomerang.reading.csv_quotes import check_quotes, check_swallowed

HEADER = "note,time,yes,n\n"
PATTERNS = [".*", ".*[0-9].*", "yes|no", ".*[0-9].*"]


@pytest.mark.parametrize(
    "body",
    [
        "a,b\n1,2\n",
        'a,b\n"1","2"',
        'a,"b ""c"", d\n",e\n"",""\n',
        'a,5" pipe,b "c"\n',
        'a,"b" \t,c\n"d" \n',
        '""\n"""",""""""',
    ],
)
def test_cells_in_quotes_may_hold_anything(body):
    check_quotes("a.csv", body, 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('a,b\nc,"d\n1,2\n', "a.csv row 8: a quote is opened and never closed"),
        ('"', "a.csv row 7: a quote is opened and never closed"),
        ('a\n"b""\nc\n', "a.csv row 8: a quote is opened and never closed"),
        ('a\n"b"c,d\n', r"a.csv row 8: a quote is opened and closed before other text: .*\(found 'c,d' in row 8\)"),
        ('a\n"b" "c"', r"a.csv row 8: .*\(found ' \"c\"' in row 8\)"),
        ('a\nb,"c\nd,"e\nf', r"a.csv row 8: a quote is opened and closed .*\(found 'e' in row 9\)"),
    ],
)
def test_a_stray_quote_is_named_with_the_row_where_it_is_opened(body, message):
    with pytest.raises(DataError, match=message):
        check_quotes("a.csv", body, 7)


def test_quotes_without_a_partner_are_looked_for_in_one_pass():
    check_quotes("a.csv", 'a,"b ""c"""\n' * 200_000, 1)
    with pytest.raises(DataError, match=r"a\.csv row 1: a quote is opened and never closed"):
        check_quotes("a.csv", 'a,"b' + '""\n' * 200_000, 1)


@pytest.mark.parametrize(
    "body",
    [
        'a,2024-01-01,yes,1\n"b,2024-01-02,yes,2\nc,2024-01-03,no,3\nd",2024-01-04,yes,4\n',
        'a,2024-01-01,yes,1\n"b,2024-01-02,yes,2\nc",2024-01-03, NO ,3\nd,2024-01-04,yes,4\n',
        'a,2024-01-01,yes,1\nb,2024-01-02,yes,"2\nc,2024-01-03,no,3"\nd,2024-01-04,yes,4\n',
    ],
)
def test_rows_between_two_stray_quotes_are_not_swallowed(body):
    bounds = np.array([[0, 1], [1, body.count("\n")]])
    with pytest.raises(DataError, match=r"a.csv row 3: an unclosed quote makes one cell of rows 3 to . \(found "):
        check_swallowed("a.csv", 2, body, bounds, PATTERNS)


@pytest.mark.parametrize(
    "body",
    [
        '"a\nb",2024-01-01,yes,1',
        '"a, b, c, d\ne",2024-01-01,yes,1',
        '"a\nb, c, d, e\nf",2024-01-01,yes,1',
    ],
)
def test_a_cell_of_several_lines_is_read(body):
    check_swallowed("a.csv", 2, body, np.array([[0, body.count("\n") + 1]]), PATTERNS)
