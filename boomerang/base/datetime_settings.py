"""How the datetimes of a file are written, and whose local time they become: settings, and what a training keeps."""

import re
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from boomerang.base.checks import Section, shown

# Directives of strptime that mean the same on every machine; an abbreviated zone (%Z) may be one of several.
DIRECTIVES = "YymBbdjAaHIMSfpz%"
# Directives that give the same part of a time: of two in one pattern, strptime passes over one without a word. So it
# does over AM and PM beside the hour of 24.
RIVALS = ("Yy", "mbBj", "dj", "aA", "HI", "Hp")
# Fields of a time, from the year on, that must be known where a directive stands; the date always.
N_FIELDS = {"": 3, "H": 4, "I": 4, "p": 4, "M": 5, "S": 6, "f": 7}


def directives(pattern: str) -> list[str]:
    """What follows each percent sign: `%%z` is a percent sign and a letter, not `%z`."""
    return re.findall("%(.?)", pattern, re.DOTALL)


def _survives(pattern: str, n_fields: int) -> bool:
    """Whether the first `n_fields` of year, month, day, hour and so on are read as they were written by `pattern`."""
    if not {"Y", "y"} & set(directives(pattern)):
        # Python warns where strptime gets no year, and will refuse it from 3.15 on.
        return False
    moment = datetime(2003, 2, 4, 17, 6, 5, 7, tzinfo=UTC)
    try:
        read = datetime.strptime(moment.strftime(pattern), pattern)
    except (ValueError, re.error):  # a directive that stands twice
        return False
    return (*read.timetuple()[:6], read.microsecond)[:n_fields] == (*moment.timetuple()[:6], 7)[:n_fields]


class DatetimeSettings(Section):
    """How the datetimes of a CSV are written, and whose local time they become."""

    datetime_format: Annotated[str, Field(min_length=1)] | None
    timezone: Annotated[str, Field(min_length=1)] | None

    @field_validator("datetime_format")
    @classmethod
    def _lose_no_part_of_a_date(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        if unknown := [mark for mark in directives(pattern) if mark not in DIRECTIVES]:
            raise ValueError(f"must be made of %{' %'.join(DIRECTIVES)} (found %{unknown[0]} in {pattern!r})")
        if not _survives(pattern, N_FIELDS[""]):
            raise ValueError(f"must be a strptime pattern with day, month and year, like %d/%m/%Y (found {pattern!r})")
        if not _survives(pattern, max(N_FIELDS.get(mark, 0) for mark in directives(pattern))):
            raise ValueError(f"must keep the hour and all between, like %H:%M or %I:%M %p (found {pattern!r})")
        for rivals in RIVALS:
            given = sorted(set(directives(pattern)) & set(rivals))
            if len(given) > 1:
                raise ValueError(f"must give each part of a time once (found %{' and %'.join(given)} in {pattern!r})")
        return pattern

    @field_validator("timezone")
    @classmethod
    def _name_a_zone(cls, name: str | None) -> str | None:
        # Other names can be paths to pandas (dateutil//etc/localtime); what `localtime` is depends on the machine.
        if name is not None and name not in available_timezones() - {"localtime"}:
            raise ValueError(f"must be an IANA zone like Europe/London (found {name!r})")
        return name

    @model_validator(mode="after")
    def _say_where_offsets_lead(self) -> "DatetimeSettings":
        pattern, has_offset = self.datetime_format, "z" in directives(self.datetime_format or "")
        if self.timezone is None and has_offset:
            raise ValueError("datetime_format with %z needs timezone: the zone to convert to (found None)")
        if self.timezone is not None and pattern is not None and not has_offset:
            raise ValueError(
                f"timezone converts datetimes with an offset alone: datetime_format needs %z, or leave timezone out "
                f"(found {self.timezone} with {shown(pattern)})"
            )
        return self


class Reading(DatetimeSettings):
    """How the datetimes of a training were read, and so are read for a prediction.

    Attributes
    ----------
    offset : str or None
        The offset from UTC that all of them had, such as +09:00, where no timezone was given; None where they had none.
    """

    offset: Annotated[str, Field(pattern="^[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None

    @model_validator(mode="after")
    def _lead_to_one_local_time(self) -> "Reading":
        if self.offset is not None and (self.timezone is not None or self.datetime_format is not None):
            raise ValueError(f"offset must be null beside timezone or datetime_format (found {self.offset!r})")
        return self
