"""Names and values from a shop's file, as pages show them."""

import re

from boomerang.measures.importance import Importance

# Characters of values in a table, and of columns in a heading and beside a bar; what is longer is cut.
LONGEST_VALUE, LONGEST_NAME, LONGEST_LABEL = 40, 30, 20
NOT_GIVEN = "(not given)"


def show_value(value: str) -> str:
    """A value of a column on one short line: what is not printable is written out, and what is long is cut."""
    # Cut first: each character that is written out takes up to ten.
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value[: LONGEST_VALUE + 1])
    return cut(plain, LONGEST_VALUE) if value.strip() else NOT_GIVEN


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def code_span(text: str) -> str:
    """Text that Markdown shows as it stands, whatever it holds: a fence longer than any row of backticks in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def name_columns(importance: Importance) -> dict[str, str]:
    """What pages call further columns beside features: their names, with "(column)" where a feature is called so."""
    features = {feature.lower() for feature in importance.features}
    return {name: f"{name} (column)" if name.lower() in features else name for name in importance.columns}
