"""Dates and times of a purchase history, from text to naive local time."""

import re
from datetime import datetime

import numpy as np
import pandas as pd

from stages.lib.errors import DataError

ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?)?"
OFFSET = r"Z|[+-][0-9]{2}(?::?[0-9]{2})?"


def parse_datetimes(
    name: str, text: pd.Series, notes: list[str], datetime_format: str | None, timezone: str | None
) -> tuple[pd.Series, str]:
    """Naive local times, NaT where the text is no date, and the rule that was applied.

    Parameters
    ----------
    name : str
        The file, for messages.
    text : Series of str
        Stripped, indexed by row number.
    notes : list of str
        Gets what was done with offsets.
    datetime_format : str or None
        A strptime pattern, or ISO 8601.
    timezone : str or None
        IANA zone to whose local time datetimes with an offset are converted.

    Raises
    ------
    DataError
        If some rows have an offset and others none, or offsets differ and no timezone says where they lead.
    """
    if datetime_format:
        parsed = pd.to_datetime(text, format=datetime_format, errors="coerce", utc="%z" in datetime_format)
        if parsed.dt.tz is not None:
            parsed = parsed.dt.tz_convert(timezone).dt.tz_localize(None)
        return parsed, f"datetime must be in the form {datetime_format} (prepare.datetime_format)"
    is_plain = text.str.fullmatch(ISO_DATE)
    offsets = text.where(~is_plain, "").str.extract(f"[0-9]({OFFSET})$", expand=False)
    # A date alone ends in what could be an offset: 2024-03-31 has none.
    has_offset = offsets.notna() & text.str.fullmatch(f"(?:{ISO_DATE})(?:{OFFSET})") & text.str.contains(":")
    naive = text.where(~has_offset, text.str.replace(f"(?:{OFFSET})$", "", regex=True))
    # Microseconds are kept; finer digits would narrow the range of years.
    naive = naive.where(is_plain | has_offset).str.replace(r"([.][0-9]{6})[0-9]+", r"\1", regex=True)
    parsed = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    minutes = _offset_minutes(offsets.where(has_offset))
    bad = parsed.isna() | (parsed.dt.year < 1) | (minutes.abs() >= 24 * 60)
    parsed = parsed.where(~bad)
    if has_offset.any():
        parsed = _remove_offsets(name, text, parsed, minutes.where(~bad), notes, timezone)
    return parsed, "datetime must be an ISO 8601 date like 2024-03-31 18:05:00"


def _offset_minutes(offsets: pd.Series) -> pd.Series:
    """Minutes east of UTC of `Z`, `+01`, `+0100` or `+01:00`, NaN where there is none."""
    digits = offsets.str.replace(":", "").str.replace("Z", "+0000").str.ljust(5, "0")
    minutes = digits.str[1:3].astype("float64") * 60 + digits.str[3:5].astype("float64")
    return minutes.where(digits.str[0] != "-", -minutes)


def _remove_offsets(
    name: str, text: pd.Series, parsed: pd.Series, minutes: pd.Series, notes: list[str], timezone: str | None
) -> pd.Series:
    """Local times without an offset; whether those of a mixed file are the shop's own cannot be guessed."""
    good = parsed.notna()
    if (lacking := good & minutes.isna()).any():
        row, value = text.index[lacking][0], text[lacking].iloc[0]
        raise DataError(f"{name} row {row}: datetime must have an offset like the other rows (found {value!r})")
    found = np.unique(minutes[good])
    if timezone:
        notes.append(f"datetime: converted to local time in {timezone}")
        instants = parsed - pd.to_timedelta(minutes, unit="min")
        return instants.dt.tz_localize("UTC").dt.tz_convert(timezone).dt.tz_localize(None)
    if len(found) > 1:
        other = minutes[good & (minutes != minutes[good].iloc[0])].index[0]
        raise DataError(
            f"{name} row {other}: datetime must have one offset throughout, or prepare.timezone must say which zone "
            f"to convert to (found {text[other]!r} after {text[good].iloc[0]!r})"
        )
    notes.append("datetime: the offset, the same in every row, was left out: local times are kept")
    return parsed


def hint_at_form(value: str) -> str:
    """What a value that is no ISO 8601 date looks like, and what to do."""
    if found := re.fullmatch(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(.*)", value, re.ASCII):
        first, mark, second, year, time = found.groups()
        clock = {0: "", 1: " %H:%M", 2: " %H:%M:%S"}.get(time.count(":") if time.startswith(" ") or not time else 3, "")
        readings = []
        for day, month, order in ((first, second, ("%d", "%m")), (second, first, ("%m", "%d"))):
            try:
                date = datetime(int(year), int(month), int(day))
            except ValueError:
                continue
            readings.append(f"{date.day} {date:%B %Y} with {mark.join((*order, '%Y'))}{clock}")
        if readings:
            return f", which is {' or '.join(readings)}: say which in prepare.datetime_format"
    if re.fullmatch(r"\d{9,}(\.\d+)?", value, re.ASCII):
        return ", an epoch number: convert it to a date"
    if re.fullmatch(r"\d{1,2}:\d{2}.*", value, re.ASCII):
        return ", a time without a date"
    if re.fullmatch(ISO_DATE + f"(?:{OFFSET})?", value):
        return ", a day or time that does not exist"
    return "; for another form set prepare.datetime_format"
