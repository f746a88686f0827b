"""What a mistake may cost: an amount, or what a column says of each purchase."""

import math

# Columns that may say what a mistake about their purchase costs.
COST_COLUMNS = ("number",)
# An amount of 0 or more, or the name of one of these columns.
Cost = float | str


def is_cost(cost: Cost) -> bool:
    """Whether it is a finite amount of 0 or more, or one of `COST_COLUMNS`."""
    return cost in COST_COLUMNS if isinstance(cost, str) else math.isfinite(cost) and cost >= 0


def parse_cost(text: str) -> Cost:
    """The number that a person has written, else the text itself, which may be the name of a column."""
    try:
        # Python also takes `1_0` and digits of other scripts.
        return text if "_" in text or not text.isascii() else float(text)
    except ValueError:
        return text
