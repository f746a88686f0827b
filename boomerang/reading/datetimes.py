"""Dates and times of a purchase history, from text to local times and instants."""

import re
from datetime import timezone as fixed_zone

import pandas as pd

from boomerang.base.datetime_settings import directives
from boomerang.reading.offsets import OFFSET, OWN, Times, convert, note_no_offset, offset_minutes, place
from boomerang.reading.patterns import WEEKDAYS, falls_on_its_weekday

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
CUT = "datetime: fractions of a second were cut to six digits"


def parse_datetimes(
    name: str,
    text: pd.Series,
    notes: list[str],
    datetime_format: str | None,
    timezone: str | None,
    offset: str | None = OWN,
) -> tuple[Times, str]:
    """When purchases were made, and the rule that was applied.

    Parameters
    ----------
    name : str
        The file, for messages.
    text : Series of str
        Stripped, indexed by row number.
    notes : list of str
        Gets what was done with offsets and fractions.
    datetime_format : str or None
        A strptime pattern, or ISO 8601.
    timezone : str or None
        IANA zone to whose local time datetimes with an offset are converted.
    offset : str or None
        Without a timezone, the offset whose local times are kept: `OWN` for the one that all rows share, or that of a
        training, such as +09:00, to which others are converted; None refuses offsets, as where a training had none.

    Raises
    ------
    DataError
        If some rows have an offset and others none, or nothing says to which local time offsets lead.
    """
    if datetime_format:
        day = " on the weekday that it names" if WEEKDAYS & set(directives(datetime_format)) else ""
        expected = f"datetime must be in the form {datetime_format} (prepare.datetime_format), and exist{day}"
        return _parse_format(text, notes, datetime_format, timezone, offset), expected
    is_plain = text.str.fullmatch(f"{DATE}(?:{TIME})?")
    has_offset = text.str.fullmatch(f"{DATE}{TIME}{OFFSET}")
    naive = text.where(~has_offset, text.str.replace(f"{OFFSET}$", "", regex=True)).where(is_plain | has_offset)
    # Microseconds are kept; finer digits would narrow the range of years.
    if naive.str.contains(r"[.][0-9]{7}", na=False).any():
        notes.append(CUT)
        naive = naive.str.replace(r"([.][0-9]{6})[0-9]+", r"\1", regex=True)
    parsed = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    minutes = offset_minutes(text.where(has_offset).str.replace(f"^{DATE}{TIME}", "", regex=True))
    parsed = parsed.where((parsed.dt.year >= 1) & (minutes.notna() | ~has_offset))
    times = place(name, text, parsed, minutes, notes, timezone, offset)
    return times, "datetime must be an ISO 8601 date like 2024-03-31 18:05:00"


def write_datetime(purchase: pd.Series, datetime_format: str | None) -> str:
    """When a purchase of a table was made, as a file of this form writes it: with its offset, where it has one.

    The pattern may leave out what is finer than a minute.
    """
    moment = purchase["datetime"]
    if "instant" in purchase:
        moment = moment.tz_localize(fixed_zone(moment - purchase["instant"]))
    return str(moment) if datetime_format is None else str(moment.strftime(datetime_format))


def _parse_format(
    text: pd.Series, notes: list[str], datetime_format: str, timezone: str | None, offset: str | None
) -> Times:
    """When purchases were made, NaT where the text is not of the form."""
    given = directives(datetime_format)
    if "z" in given and datetime_format.endswith("%z"):
        # As in ISO 8601, UTC is an offset, and whole hours need no minutes.
        text = text.str.replace(r"[Uu][Tt][Cc]$", "Z", regex=True)
        text = text.str.replace(r"([+-][0-9]{2})$", r"\g<1>00", regex=True)
    parsed = pd.to_datetime(text, format=datetime_format, errors="coerce", utc="z" in given)
    parsed = parsed.where(parsed.dt.year >= 1)
    if "S" in given:
        parsed = parsed.mask(parsed.index.isin(_leap_seconds(text[parsed.dt.second < 2], datetime_format)))
    if WEEKDAYS & set(given):
        parsed = parsed.where(falls_on_its_weekday(text, parsed, datetime_format))
    if parsed.dt.nanosecond.any():
        notes.append(CUT)
    if "z" in given and timezone:
        return convert(parsed.dt.tz_localize(None), timezone, notes)
    note_no_offset(timezone, offset, notes)
    return Times(parsed)


def _leap_seconds(text: pd.Series, datetime_format: str) -> list[int]:
    """Rows that are of the form with 60 or 61 in the place of the seconds, which is read as the next minute."""
    maybe = text[text.str.contains("6[01]")]
    rows: list[int] = []
    for second in ("60", "61"):
        # Split at each directive: `%%S` is a percent sign and a letter.
        form = "".join(second if part == "%S" else part for part in re.split("(%.)", datetime_format))
        rows += maybe.index[pd.to_datetime(maybe, format=form, errors="coerce").notna()].tolist()
    return rows
