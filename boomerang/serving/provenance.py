"""What a model has learned from, and whether a history is of the same shop, as far as that can be told."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from boomerang.base.wording import counted
from boomerang.features.prepared import PartFigures, Source

# The next export of a shop overlaps the one before, or begins where that ended.
LONGEST_GAP_DAYS = 31
# Late corrections change a few purchases of a time that was exported before; another shop has made another number.
LARGEST_RATIO, FEWEST_APART = 2, 10


def describe_source(source: Source) -> str:
    """File, number of purchases and days of a training, in a few words."""
    first, last = source.span
    return f"{source.file}, {counted(source.n_purchases, 'purchase')} from {first[:10]} to {last[:10]}"


def find_mismatch(source: Source, datetimes: pd.Series) -> str | None:
    """Why a history is hardly of the shop that a model has learned from; None where nothing speaks against it.

    It should touch the time of the training, or follow it within a month. Where it covers a whole part of that time, it
    should hold about as many purchases there.

    Parameters
    ----------
    source : Source
        Of the model.
    datetimes : Series of datetime64
        Of the purchases of the history whose label is known.
    """
    if not len(datetimes):
        return None
    begins, ends = datetimes.min(), datetimes.max()
    first, last = map(pd.Timestamp, source.span)
    if ends < first:
        return f"it ends on {ends:%Y-%m-%d}, before the first of them"
    if begins > last + pd.Timedelta(days=LONGEST_GAP_DAYS):
        return f"it begins on {begins:%Y-%m-%d}, {counted((begins - last).days, 'day')} after the last of them"
    for part in source.parts.values():
        starts, stops = pd.Timestamp(part.first), pd.Timestamp(part.last)
        n_found = int(datetimes.dt.floor("s").between(starts, stops).sum())
        few, many = sorted((n_found, part.rows))
        if begins <= starts and stops <= ends and many > LARGEST_RATIO * few and many - few >= FEWEST_APART:
            has = counted(n_found, "purchase")
            return f"from {part.first[:10]} to {part.last[:10]} it has {has} where the model saw {part.rows}"
    return None


def begins_with_training(source: Source, table: pd.DataFrame) -> bool:
    """Whether a history is that of the training, or continues it, as far as the figures of its parts tell.

    Parameters
    ----------
    source : Source
        Of the model.
    table : DataFrame
        `datetime` and `returned`, 0 or 1, of the history in time order.
    """
    ends = np.cumsum([part.rows for part in source.parts.values()])
    return len(table) >= source.n_purchases and all(
        PartFigures.of(table.iloc[end - part.rows : end]) == part
        for part, end in zip(source.parts.values(), ends, strict=True)
    )


def tell_parts(
    source: Source, datetimes: pd.Series, instants: pd.Series | None = None, timezone: str | None = None
) -> np.ndarray:
    """The part of a training that each purchase was in, by its time.

    At the second in which a part ends others may have been made, of the next part or after the training. As many count
    as this part as it still lacks, so each purchase in the file of the training gets the part that it had. Of a file
    that begins later all do, which is the more careful guess: the model may have learned from them.

    A part that begins or ends in the hour that autumn repeats may do so at either of two instants. Those are taken with
    which the parts come nearest to the numbers of purchases that they had; where both do, those of the wider part.

    Parameters
    ----------
    source : Source
        Of the training; its times are whole seconds, local ones.
    datetimes : Series of datetime64
        In the order of `instants`, or in time order.
    instants : Series of datetime64, optional
        The same as naive UTC, in time order.
    timezone : str, optional
        The zone to whose local time they were converted, in the training too; without one, `instants` are not needed.

    Returns
    -------
    ndarray of shape (n_purchases,), str
        `train`, `val` or `test`, and `new` outside their times.
    """
    bounds = [np.datetime64(bound) for part in source.parts.values() for bound in (part.first, part.last)]
    if instants is None or timezone is None:
        return _assign(source, bounds, datetimes.dt.floor("s").to_numpy())[0]
    seconds = instants.dt.floor("s").to_numpy()
    # First the widest parts: what may have been learned from should not pass as new.
    pairs = [_instants_of(bound, timezone)[:: -1 if number % 2 else 1] for number, bound in enumerate(bounds)]
    every = list(itertools.product(*pairs))
    # Parts follow each other, unless somebody has written the file of the model by hand.
    in_order = [ends for ends in every if list(ends) == sorted(ends)] or every[:1]
    return min((_assign(source, ends, seconds) for ends in in_order), key=lambda assigned: assigned[1])[0]


def _instants_of(local: np.datetime64, timezone: str) -> list[np.datetime64]:
    """The instants, as naive UTC, at which clocks of a zone show a local time, in order."""
    found = {
        pd.Timestamp(local)
        .tz_localize(timezone, ambiguous=is_summer, nonexistent="shift_forward")
        .tz_convert(None)
        .to_datetime64()
        for is_summer in (False, True)
    }
    return sorted(found)


def _assign(source: Source, bounds: Sequence[np.datetime64], seconds: np.ndarray) -> tuple[np.ndarray, int]:
    """The part of each purchase, and by how many purchases the parts miss the numbers that they had.

    `bounds` are the first and the last second of each part in turn, on the clock of `seconds`, those of the purchases.
    """
    found = np.full(len(seconds), "new", dtype=object)
    n_missed = 0
    for number, (name, part) in enumerate(source.parts.items()):
        first, last = bounds[2 * number : 2 * number + 2]
        is_open = found == "new"
        is_inside = is_open & (first <= seconds) & (seconds < last)
        found[is_inside] = name
        n_lacking = part.rows - int(is_inside.sum())
        # One purchase of the part at least was made in its last second.
        found[np.flatnonzero(is_open & (seconds == last))[: max(n_lacking, 1)]] = name
        n_missed += abs(part.rows - int((found == name).sum()))
    return found, n_missed
