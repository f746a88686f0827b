"""What a mistake may cost: an amount, or what a column says of each purchase."""

import math
from collections.abc import Collection

# An amount of 0 or more, or the name of a column: `number`, or one of the numeric columns that are read.
Cost = float | str


def is_cost(cost: Cost) -> bool:
    """Whether it is a finite amount of 0 or more, or may name a column; whether there is one, `find_no_column` says."""
    return 0 < len(cost) <= 200 and cost.isprintable() if isinstance(cost, str) else math.isfinite(cost) and cost >= 0


def find_no_column(costs: Collection[Cost | None], numeric: Collection[str]) -> str | None:
    """What is wrong with costs that name a column which is neither `number` nor one of `numeric`; else None."""
    strangers = [cost for cost in costs if isinstance(cost, str) and cost not in ("number", *numeric)]
    if not strangers:
        return None
    read = ", ".join(numeric) or "none"
    return (
        f"must be an amount or a column: number, or one of numeric_columns (found {strangers[0]!r:.200}, not in {read})"
    )


def parse_cost(text: str) -> Cost:
    """The number that a person has written, else the text itself, which may be the name of a column."""
    try:
        # Python also takes `1_0` and digits of other scripts.
        return text if "_" in text or not text.isascii() else float(text)
    except ValueError:
        return text
