"""Numbers of a purchase history, from text to float64 without loss."""

from decimal import Decimal

import numpy as np
import pandas as pd

from boomerang.reading.faults import Faults

NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# Whole numbers up to this one are exact in float64.
MAX_EXACT = 2**53


def parse_numbers(text: pd.Series, faults: Faults, name: str = "number") -> pd.Series:
    """Finite float64 values of the column `name`, NaN where a fault was added."""
    is_number = text.str.fullmatch(NUMBER)
    with_comma = text.str.fullmatch(r"[+-]?[0-9.]*,[0-9.,]*")
    expected = f"{name} must be a finite number like 3 or 19.90"
    faults.add(text, with_comma, f"{name} with a comma", f"{expected}, without decimal or thousands comma")
    # Python parses to the nearest float64, which pandas' own parser misses by a last bit now and then.
    values = pd.Series(text.where(is_number, "nan").to_numpy(dtype=object).astype(np.float64), index=text.index)
    faults.add(text, ~np.isfinite(values), f"{name} not a finite number", expected)
    zero = text[values == 0]
    vanished = zero.index[zero.str.contains("^[+-]?[0.]*[1-9]")]
    faults.add(text, text.index.isin(vanished), f"{name} too small", f"{expected}, not too small for float64")
    large = text[np.isfinite(values) & (values.abs() >= MAX_EXACT)]
    lossy = large.index[list(map(_loses_digits, large, values[large.index]))]
    expected = f"{name} must be exact in float64, whole numbers up to 2^53"
    faults.add(text, text.index.isin(lossy), f"{name} loses digits", expected)
    return values


def _loses_digits(written: str, value: float) -> bool:
    """Whether a large number is another than its float64; with an exponent, than its float64 as it is written."""
    number = Decimal(written)
    is_short = "e" in written.lower() and number == Decimal(repr(value))
    return not is_short and number == number.to_integral_value() and number != Decimal(value)
