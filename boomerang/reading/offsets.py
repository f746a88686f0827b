"""Offsets from UTC: which datetimes have one, what instants they tell, and to which local time they lead."""

from dataclasses import dataclass

import pandas as pd

from boomerang.base.errors import DataError

# UTC stands for one offset, which no other abbreviation of a zone does: GMT is also said of London's summer.
OFFSET = r" ?(?:Z|[Uu][Tt][Cc]|[+-][0-9]{2}(?::?[0-5][0-9])?)"
# In place of an offset: that of the file, which all its rows must share.
OWN = "own"
# A day away from either end of the years 1 to 9999, an offset or a zone leads to no other year.
FIRST_INSTANT, LAST_INSTANT = pd.Timestamp("0001-01-02"), pd.Timestamp("9999-12-30 23:59:59.999999")


@dataclass(frozen=True)
class Times:
    """When purchases were made.

    Attributes
    ----------
    local : Series of datetime64
        Naive local times, NaT where the text is no date.
    instants : Series of datetime64 or None
        The same as naive UTC; None where the datetimes have no offset.
    offset : str or None
        The offset of `local`, such as +09:00, where it is one for all; None where there is none, or a timezone.
    """

    local: pd.Series
    instants: pd.Series | None = None
    offset: str | None = None

    def columns(self) -> dict[str, pd.Series]:
        """The columns of a table of purchases: `datetime`, and `instant` where it is known."""
        return {"datetime": self.local} if self.instants is None else {"datetime": self.local, "instant": self.instants}


def offset_minutes(offsets: pd.Series) -> pd.Series:
    """Minutes east of UTC of `Z`, `UTC`, `+01`, `+0100` or `+01:00`, NaN where there is none or it is a day or more."""
    digits = offsets.str.strip().str.upper().str.replace("UTC|Z", "+0000", regex=True)
    digits = digits.str.replace(":", "").str.ljust(5, "0")
    minutes: pd.Series = digits.str[1:3].astype("float64") * 60 + digits.str[3:5].astype("float64")
    return minutes.where(minutes < 24 * 60).where(digits.str[0] != "-", -minutes)


def written_offset(minutes: float) -> str:
    """Minutes east of UTC as text: 330 is +05:30."""
    hours, rest = divmod(abs(round(minutes)), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def last_offset(table: pd.DataFrame) -> str:
    """The offset of the last purchase of a table with `datetime` and `instant`."""
    last = table.iloc[-1]
    return written_offset((last["datetime"] - last["instant"]) / pd.Timedelta("1min"))


def convert(instants: pd.Series, timezone: str, notes: list[str]) -> Times:
    """Local times in a zone; NaT where the year may leave 1 to 9999."""
    notes.append(f"datetime: converted to local time in {timezone}")
    instants = _within_years(instants)
    return Times(instants.dt.tz_localize("UTC").dt.tz_convert(timezone).dt.tz_localize(None), instants)


def _within_years(instants: pd.Series) -> pd.Series:
    return instants.where(instants.between(FIRST_INSTANT, LAST_INSTANT))


def note_no_offset(timezone: str | None, offset: str | None, notes: list[str]) -> None:
    """Say so where datetimes without an offset are read by a rule that speaks of offsets."""
    if timezone:
        notes.append(f"datetime: taken as local time: without an offset, timezone {timezone} converts nothing")
    elif offset not in (OWN, None):
        notes.append(f"datetime: taken as local time: there is no offset, while the training had {offset}")


def place(
    name: str,
    text: pd.Series,
    written: pd.Series,
    minutes: pd.Series,
    notes: list[str],
    timezone: str | None,
    offset: str | None,
) -> Times:
    """Instants and local times of datetimes that are written with offsets; without one, they are local times.

    Parameters
    ----------
    name : str
        The file, for messages.
    text : Series of str
        The datetimes, indexed by row number.
    written : Series of datetime64
        Their dates and times as they are written, NaT where the text is no date.
    minutes : Series of float64
        Their offsets in minutes east of UTC, NaN where there is none.
    notes : list of str
        Gets what was done with the offsets.
    timezone, offset : str or None
        As for `parse_datetimes`.

    Raises
    ------
    DataError
        If some rows have an offset and others none, or nothing says to which local time they lead: that the times of a
        mixed file are the shop's own cannot be guessed.
    """
    good = written.notna()
    if not (minutes.notna() & good).any():
        note_no_offset(timezone, offset, notes)
        return Times(written)
    if (lacking := good & minutes.isna()).any():
        row, value = text.index[lacking][0], text[lacking].iloc[0]
        raise DataError(f"{name} row {row}: datetime must have an offset like the other rows (found {value!r})")
    instants = written - pd.to_timedelta(minutes, unit="min")
    if timezone:
        return convert(instants, timezone, notes)
    lead = _find_lead(name, text[good], minutes[good], offset)
    if (minutes[good] == lead).all():
        notes.append("datetime: the offset, the same in every row, was left out: local times are kept")
        return Times(written, instants, written_offset(lead))
    notes.append(f"datetime: converted to the offset of the training, {offset}")
    instants = _within_years(instants)
    return Times(instants + pd.Timedelta(lead, "min"), instants, offset)


def _find_lead(name: str, text: pd.Series, minutes: pd.Series, offset: str | None) -> float:
    """The offset, in minutes, whose local times are kept of rows that all have one; raises as `place`."""
    if offset is None:
        raise DataError(
            f"{name} row {text.index[0]}: datetime must have no offset, as in the training, which does not tell to "
            f"which local time one leads (found {text.iloc[0]!r}): write local times, or train with --timezone"
        )
    if offset != OWN:
        return float(offset_minutes(pd.Series([offset])).iloc[0])
    if (other := minutes != minutes.iloc[0]).any():
        raise DataError(
            f"{name} row {text.index[other][0]}: datetime must have one offset throughout, or prepare.timezone must "
            f"say which zone to convert to (found {text[other].iloc[0]!r} after {text.iloc[0]!r})"
        )
    return float(minutes.iloc[0])
