"""What a datetime that cannot be read looks like, and what to do about it."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd

from boomerang.reading.datetimes import DATE, TIME, parse_datetimes
from boomerang.reading.offsets import OFFSET, offset_minutes
from boomerang.reading.patterns import shape

# What dates and times of other forms are made of.
DATE_FORMS = [
    *(mark.join((*order, year)) for year in ("%Y", "%y") for mark in "/.-" for order in (("%d", "%m"), ("%m", "%d"))),
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d-%b-%y"),
    *(
        form
        for month in ("%b", "%B")
        for form in (f"%d {month} %Y", f"%d-{month}-%Y", f"{month} %d, %Y", f"{month} %d %Y")
    ),
]
WEEKDAY_FORMS = ["", "%a, ", "%a ", "%A, ", "%A "]
CLOCKS = ["%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p"]
OFFSETS = ["", "%z", " %z"]
CLOCK_FORMS = ["", *(f"{mark}{clock}{offset}" for mark in (" ", "T", ", ") for clock in CLOCKS for offset in OFFSETS)]
# After a date in digits alone the time may be so too.
COMPACT_DATE = "%Y%m%d"
COMPACT_FORMS = [
    f"{mark}{clock}{offset}" for mark in ("", "T", " ") for clock in ("%H", "%H%M", "%H%M%S") for offset in OFFSETS
]
# Numbers of other kinds can be read as dates and times too, of such years as no purchase is from.
COMPACT_YEARS = range(1900, 2100)
# Seconds since 1970 have nine or ten digits until then, and finer units three, six or nine more.
LAST_EPOCH_SECOND = 4_102_444_800
# An offset, or what is meant as one.
LIKE_OFFSET = f"(?:{OFFSET}| ?[+-][0-9:]+)"
CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?"
# Where all rows can be read in two ways alike, so many are tried for one that can not.
ROWS_LOOKED_AT = 10_000
# What stands in the way of reading, what is tried in its place, and what is told where that is read.
OBSTACLES = [
    (
        r"(?<=[\dMm])( ?)(?![AaPp][Mm]$)[A-Za-z]{2,5}(?:[+-][\d:]+)?$",
        r"\1+0000",
        "which ends in {}, and that may stand for several offsets: write the offset in its place, like +01:00",
    ),
    (r"(?<=[\dMm])( ?)[+-][\d:]+$", r"\1+0000", "which ends in {}, no offset that exists: write one like +01:00"),
    (r"(?<=[\dMm]) ?z$", "Z", "which ends in {}: write it as Z"),
    (r"(?<=\d:)6[01](?![\d:])", "59", "whose second {} is a leap second: write 59 in its place"),
    (r"(?<=[.]\d{9})\d+", "", "whose fraction of a second has more than nine digits: leave out {}"),
    (r"(?<=\d)\s*[AaPp][Mm]$", "", "whose hour goes up to 24: leave out {}"),
]


def hint_at_form(value: str) -> str:
    """What a value that is no ISO 8601 date looks like, and what to do.

    Patterns, and what is to be written in another way, have been tried: with them the value is read.
    """
    if re.fullmatch(f"{DATE}{LIKE_OFFSET}", value):
        return ", a date with an offset but without a time"
    if found := _find_readings(value):
        return f", which is {_tell(found)}"
    for obstacle, replacement, told in OBSTACLES:
        there = re.search(obstacle, value)
        if there is None or _has_offset(value, there[0]):
            continue
        written = re.sub(obstacle, replacement, value)
        is_iso, found = _is_iso(written), _find_readings(written)
        if is_iso or found:
            return f", {told.format(repr(there[0].strip()))}" + ("" if is_iso else f"; then it is {_tell(found)}")
    return _hint_at_kind(value)


def find_telling(values: Sequence[str]) -> int:
    """The position of the first of `values` that shows how they are written; 0 where none does.

    The first day of a file is often the first of January, of which the patterns for both orders of day and month make
    the same date.
    """
    patterns = [pattern for pattern, _ in _find_readings(values[0].strip())]
    looked_at = [value.strip() for value in values[:ROWS_LOOKED_AT]]
    first, *others = [_read(looked_at, pattern) for pattern in patterns] or [pd.Series(dtype="M8[us]")]
    for position in range(len(first)):
        if any(other[position] is not first[position] and other[position] != first[position] for other in others):
            return position
    return 0


def _tell(found: list[tuple[str, pd.Timestamp]]) -> str:
    """What each pattern makes of a value, and where to say which."""
    readings = [f"{day.day} {day:%B %Y} with {pattern}" for pattern, day in found]
    also = " and prepare.timezone" if any("%z" in pattern for pattern, _ in found) else ""
    return f"{' or '.join(readings)}: say which in prepare.datetime_format{also}"


def _hint_at_kind(value: str) -> str:
    """What else a value may be that no pattern reads."""
    if re.fullmatch(r"\d{9,}(\.\d+)?", value, re.ASCII) and _is_epoch(value.partition(".")[0]):
        return ", an epoch number: convert it to a date"
    if re.fullmatch(r"\d{5}([.,]\d+)?", value, re.ASCII):
        return ", perhaps the serial number of a date in a spreadsheet: format the column as a date and export it again"
    if re.fullmatch(f"{CLOCK}(?:{LIKE_OFFSET})?", value, re.ASCII):
        return ", a time without a date"
    if re.fullmatch(f"{DATE}(?:{TIME})?(?:{LIKE_OFFSET})?", value):
        if _is_iso(re.sub(f"{LIKE_OFFSET}$", "", value)):
            return ", which its offset leads out of the years 1 to 9999"
        return ", a day or time that does not exist"
    return "; for another form set prepare.datetime_format"


def _is_epoch(digits: str) -> bool:
    """Whether they are the seconds since 1970, or thousandths, millionths or billionths of them, in our time."""
    n_finer = max((len(digits) - 9) // 3 * 3, 0)
    return len(digits) - n_finer <= 10 and int(digits) < LAST_EPOCH_SECOND * 10**n_finer


def _has_offset(value: str, end: str) -> bool:
    """Whether a value ends in an offset that exists, of which `end` is the whole."""
    is_one = value.endswith(end) and re.fullmatch(OFFSET, end) is not None
    return is_one and bool(offset_minutes(pd.Series([end])).notna().all())


def _is_iso(value: str) -> bool:
    times, _ = parse_datetimes("", pd.Series([value]), [], None, "UTC")
    return bool(times.local.notna().all())


def _read(values: list[str], pattern: str) -> pd.Series:
    """What a pattern makes of values: local times, or of UTC where it has an offset; NaT where it does not read one."""
    times, _ = parse_datetimes("", pd.Series(values, dtype="str"), [], pattern, "UTC" if "%z" in pattern else None)
    return times.local


def _find_readings(value: str) -> list[tuple[str, pd.Timestamp]]:
    """The patterns that read a value, each with the day that it makes of it; none for what is a date of ISO 8601."""
    if _is_iso(value):
        return []
    found = []
    for date_form, date, pattern in _find_candidates(value):
        (moment,) = _read([value], pattern)
        (day,) = _read([date], date_form)
        is_compact = date_form == COMPACT_DATE
        if not pd.isna(moment) and (not is_compact or day.year in COMPACT_YEARS):
            found.append((pattern, day))
    return found


def _find_candidates(value: str) -> Iterator[tuple[str, str, str]]:
    """Patterns whose shape a value has: the form and the text of its date, and the whole pattern."""
    for date_form in DATE_FORMS:
        for weekday in WEEKDAY_FORMS:
            if there := _compiled(weekday + date_form).match(value):
                clocks = [*CLOCK_FORMS, *COMPACT_FORMS] if date_form == COMPACT_DATE else CLOCK_FORMS
                for clock in clocks:
                    if _compiled(clock).fullmatch(value, there.end()):
                        yield weekday + date_form, there[0], weekday + date_form + clock
    for clock in CLOCKS:
        for mark in (" ", ", "):
            if there := _compiled(clock + mark).match(value):
                date = value[there.end() :]
                for date_form in DATE_FORMS:
                    if _compiled(date_form).fullmatch(date):
                        yield date_form, date, clock + mark + date_form


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(shape(pattern), re.IGNORECASE)
