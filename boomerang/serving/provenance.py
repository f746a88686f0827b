"""What a model has learned from, and whether a history is of the same shop, as far as that can be told."""

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


def tell_parts(source: Source, datetimes: pd.Series) -> np.ndarray:
    """The part of a training that each purchase was in, by its time.

    At the second in which a part ends others may have been made, of the next part or after the training. As many count
    as this part as it still lacks, so each purchase in the file of the training gets the part that it had. Of a file
    that begins later all do, which is the more careful guess: the model may have learned from them.

    Parameters
    ----------
    source : Source
        Of the training; its times are whole seconds.
    datetimes : Series of datetime64
        In time order.

    Returns
    -------
    ndarray of shape (n_purchases,), str
        `train`, `val` or `test`, and `new` outside their times.
    """
    seconds = datetimes.dt.floor("s").to_numpy()
    found = np.full(len(seconds), "new", dtype=object)
    for name, part in source.parts.items():
        first, last = np.datetime64(part.first), np.datetime64(part.last)
        is_open = found == "new"
        is_inside = is_open & (first <= seconds) & (seconds < last)
        found[is_inside] = name
        n_lacking = part.rows - int(is_inside.sum())
        # One purchase of the part at least was made in its last second.
        found[np.flatnonzero(is_open & (seconds == last))[: max(n_lacking, 1)]] = name
    return found
