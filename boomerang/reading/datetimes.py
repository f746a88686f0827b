"""Dates and times of a purchase history, from text to naive local time."""

import itertools
import re
from datetime import datetime

import numpy as np
import pandas as pd

from boomerang.base.errors import DataError

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
OFFSET = r"(?:Z|[+-][0-9]{2}(?::?[0-5][0-9])?)"
# What dates and times of other forms are made of, for hints.
DATE_FORMS = [
    *(mark.join((*order, year)) for year in ("%Y", "%y") for mark in "/.-" for order in (("%d", "%m"), ("%m", "%d"))),
    *("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *(form for month in ("%b", "%B") for form in (f"%d {month} %Y", f"%d-{month}-%Y", f"{month} %d, %Y")),
]
CLOCK_FORMS = [
    "",
    *(
        f"{mark}{clock}{offset}"
        for mark in (" ", "T", ", ")
        for clock in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
        for offset in ("", "%z", " %z")
    ),
]
CUT = "datetime: fractions of a second were cut to six digits"
# A day away from either end of the years 1 to 9999, an offset or a zone leads to no other year.
FIRST_INSTANT, LAST_INSTANT = pd.Timestamp("0001-01-02"), pd.Timestamp("9999-12-30 23:59:59.999999")


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
        Gets what was done with offsets and fractions.
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
        expected = f"datetime must be in the form {datetime_format} (prepare.datetime_format), and exist"
        return _parse_format(text, notes, datetime_format, timezone), expected
    is_plain = text.str.fullmatch(f"{DATE}(?:{TIME})?")
    has_offset = text.str.fullmatch(f"{DATE}{TIME}{OFFSET}")
    naive = text.where(~has_offset, text.str.replace(f"{OFFSET}$", "", regex=True)).where(is_plain | has_offset)
    # Microseconds are kept; finer digits would narrow the range of years.
    if naive.str.contains(r"[.][0-9]{7}", na=False).any():
        notes.append(CUT)
        naive = naive.str.replace(r"([.][0-9]{6})[0-9]+", r"\1", regex=True)
    parsed = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    parsed = parsed.where(parsed.dt.year >= 1)
    if has_offset.any():
        minutes = _offset_minutes(text.where(has_offset).str.replace(f"^{DATE}{TIME}", "", regex=True))
        parsed = parsed.where(~(minutes.abs() >= 24 * 60))
        parsed = _remove_offsets(name, text, parsed, minutes.where(parsed.notna()), notes, timezone)
    return parsed, "datetime must be an ISO 8601 date like 2024-03-31 18:05:00"


def write_datetime(moment: pd.Timestamp, datetime_format: str | None, timezone: str | None) -> str:
    """A local time as a file of this form writes it; the pattern may leave out what is finer than a minute."""
    if datetime_format is None:
        return str(moment)
    if timezone is not None and "z" in re.findall("%(.)", datetime_format):
        # An hour that a clock change repeats is taken for its first time; one that it skips is never a local time.
        moment = moment.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
    return moment.strftime(datetime_format)


def _parse_format(text: pd.Series, notes: list[str], datetime_format: str, timezone: str | None) -> pd.Series:
    """Naive local times, NaT where the text is not of the form."""
    directives = re.findall("%(.)", datetime_format)
    parsed = pd.to_datetime(text, format=datetime_format, errors="coerce", utc="z" in directives)
    if "S" in directives:
        parsed = parsed.mask(parsed.index.isin(_leap_seconds(text[parsed.dt.second < 2], datetime_format)))
    if "z" in directives:
        parsed = _to_local(parsed.dt.tz_localize(None), timezone)
    if parsed.dt.nanosecond.any():
        notes.append(CUT)
    return parsed


def _leap_seconds(text: pd.Series, datetime_format: str) -> list[int]:
    """Rows that are of the form with 60 or 61 in the place of the seconds, which is read as the next minute."""
    maybe = text[text.str.contains("6[01]")]
    rows: list[int] = []
    for second in ("60", "61"):
        # Split at each directive: `%%S` is a percent sign and a letter.
        form = "".join(second if part == "%S" else part for part in re.split("(%.)", datetime_format))
        rows += maybe.index[pd.to_datetime(maybe, format=form, errors="coerce").notna()].tolist()
    return rows


def _to_local(instants: pd.Series, timezone: str | None) -> pd.Series:
    """Local times of naive UTC `instants`; NaT where the year may leave 1 to 9999."""
    instants = instants.where(instants.between(FIRST_INSTANT, LAST_INSTANT))
    local: pd.Series = instants.dt.tz_localize("UTC").dt.tz_convert(timezone).dt.tz_localize(None)
    return local


def _offset_minutes(offsets: pd.Series) -> pd.Series:
    """Minutes east of UTC of `Z`, `+01`, `+0100` or `+01:00`, NaN where there is none."""
    digits = offsets.str.replace(":", "").str.replace("Z", "+0000").str.ljust(5, "0")
    minutes: pd.Series = digits.str[1:3].astype("float64") * 60 + digits.str[3:5].astype("float64")
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
        return _to_local(parsed - pd.to_timedelta(minutes, unit="min"), timezone)
    if len(found) > 1:
        other = minutes[good & (minutes != minutes[good].iloc[0])].index[0]
        raise DataError(
            f"{name} row {other}: datetime must have one offset throughout, or prepare.timezone must say which zone "
            f"to convert to (found {text[other]!r} after {text[good].iloc[0]!r})"
        )
    notes.append("datetime: the offset, the same in every row, was left out: local times are kept")
    return parsed


def hint_at_form(value: str) -> str:
    """What a value that is no ISO 8601 date looks like, and what to do; the patterns that are named do read it."""
    if re.fullmatch(f"{DATE} ?(?:Z|[+-][0-9:]+)", value):
        return ", a date with an offset but without a time"
    if readings := _find_readings(value):
        also = " and prepare.timezone" if any("%z" in reading for reading in readings) else ""
        return f", which is {' or '.join(readings)}: say which in prepare.datetime_format{also}"
    if re.fullmatch(r"\d{9,}(\.\d+)?", value, re.ASCII):
        return ", an epoch number: convert it to a date"
    if re.fullmatch(r"\d{5}([.,]\d+)?", value, re.ASCII):
        return ", perhaps the serial number of a date in a spreadsheet: format the column as a date and export it again"
    if re.fullmatch(r"\d{1,2}:\d{2}.*", value, re.ASCII):
        return ", a time without a date"
    if re.fullmatch(f"{DATE}(?:{TIME})?(?:Z|[+-][0-9:]+)?", value):
        return ", a day or time that does not exist"
    return "; for another form set prepare.datetime_format"


def _find_readings(value: str) -> list[str]:
    """The patterns that read a value, each with the date that it makes of it; none for what is a date of ISO 8601."""
    found = []
    # What is plainly a year, month and day, as in ISO 8601, is no other date: a fault of it has another cause.
    dates = [] if re.match(DATE, value) else DATE_FORMS
    for date, clock in itertools.product(dates, CLOCK_FORMS):
        try:
            moment = datetime.strptime(value, f"{date}{clock}")
        except ValueError:
            continue
        found.append(f"{moment.day} {moment:%B %Y} with {date}{clock}")
    return found
