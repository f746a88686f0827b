import pytest

from boomerang.measures.importance import Importance, Rise
from boomerang.report.shown_text import code_span, cut, name_columns, show_value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "(not given)"),
        ("22632", "22632"),
        ("a\tb\x1b[31m", "a\\tb\\x1b[31m"),
        ("left\u202eright", "left\\u202eright"),
        ("käse & <b>", "käse & <b>"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        ("\0" * 100_000, "\\x00" * 9 + "\\x0…"),
    ],
)
def test_a_value_is_one_short_printable_line(value, shown):
    assert show_value(value) == shown
    assert len(shown) <= 40


def test_what_is_too_long_is_cut_before_a_blank():
    assert cut("a description", 13) == "a description"
    assert cut("a description", 3) == "a…"


@pytest.mark.parametrize(
    ("text", "span"),
    [("product", "`product`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("<b>|*", "`<b>|*`")],
)
def test_markdown_shows_a_name_as_it_stands(text, span):
    assert code_span(text) == span


def test_a_column_that_is_called_like_a_feature_is_said_to_be_one():
    rise = Rise(mean=0.5, spread=0.25)
    found = Importance(features={"month": rise}, columns={"Month": rise, "price": rise}, lags={}, n_rows=1)
    assert name_columns(found) == {"Month": "Month (column)", "price": "price"}
