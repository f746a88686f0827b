"""What text a strptime pattern reads, as a regular expression: to find the part that a directive stands for."""

import calendar
import re

import pandas as pd

from boomerang.reading.offsets import offset_minutes

# Text that a directive reads; whether that is a day or time which exists, only reading it tells.
TEXTS = {
    **{"Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r" ?\d{1,2}", "j": r"\d{1,3}"},
    **{"b": r"[^\W\d_]+", "B": r"[^\W\d_]+", "a": r"[^\W\d_]+", "A": r"[^\W\d_]+"},
    **{"H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{1,2}", "S": r"\d{1,2}", "f": r"\d{1,9}"},
    **{"p": "[AaPp][Mm]", "z": r"(?:[Zz]|[Uu][Tt][Cc]|[+-]\d{2}(?::?\d{2}(?::?\d{2}(?:[.]\d{1,6})?)?)?)", "%": "%"},
}
NUMBERS = {f"%{letter}" for letter in "YymdjHIMSf"}
WEEKDAYS = {"a", "A"}
DAYS = {name.lower(): day for names in (calendar.day_name, calendar.day_abbr) for day, name in enumerate(names)}


def shape(pattern: str, named: str = "") -> str:
    """A regular expression of the text that a pattern reads, with a group for each directive in `named`.

    Blanks stand for any number of them, as they do in strptime. Numbers that touch are of full width: what `%Y%m%d`
    reads has eight digits.
    """
    found = []
    parts = [part for part in re.split(r"(%.|\s+)", pattern) if part]
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        letter = part[1:] if part.startswith("%") else ""
        text = TEXTS[letter] if letter in TEXTS else r"\s+" if part.isspace() else re.escape(part)
        if text.endswith(r"\d{1,2}") and not NUMBERS.isdisjoint((before, after)):
            text = r"\d{2}"
        found.append(f"(?P<{letter}>{text})" if letter and letter in named else text)
    return "".join(found)


def falls_on_its_weekday(text: pd.Series, parsed: pd.Series, pattern: str) -> pd.Series:
    """Whether each date is of the weekday that its text names, which strptime reads but does not compare.

    Parameters
    ----------
    text : Series of str
        Read by `pattern`, which has a weekday.
    parsed : Series of datetime64
        The dates, in UTC where the pattern has an offset; NaT falls on no weekday.
    pattern : str
        A strptime pattern.
    """
    groups = text.str.extract(f"^{shape(pattern, 'aAz')}$", flags=re.IGNORECASE)
    name = groups["A" if "A" in groups else "a"].str.lower()
    if "z" in groups:
        # The weekday is that of the day as it is written, not of that in Greenwich.
        parsed = parsed + pd.to_timedelta(offset_minutes(groups["z"]), unit="min")
    is_on_it: pd.Series = name.map(DAYS) == parsed.dt.day_of_week
    return is_on_it
