"""Histories of many groups that a program gives, whose labels may be missing: whose past is asked for, and when."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from boomerang.base.ensembles import order_column
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.settings import PastSettings
from boomerang.features.known_past import NOBODY, select_past
from boomerang.serving.further_columns import FurtherColumns
from boomerang.serving.histories import COLUMNS, EVERY, History, find_named, read_history, read_made, to_text


def read_table(
    history: History, needed: Sequence[str], part: slice, past: PastSettings | None
) -> dict[str, np.ndarray]:
    """The columns of a history of all groups, whose labels may be missing; parameters and errors as in `read_history`.

    Returns
    -------
    dict of str to ndarray of shape (n_purchases,)
        As `read_history`, with `is_open` (bool) where a label is missing and `group` (int64) where `past` has a group
        column.
    """
    if not isinstance(history, pd.DataFrame) or list(history.columns).count("returned") != 1:
        return read_history(history, needed, part)
    is_open = history["returned"].isna().to_numpy()
    if is_open.any():
        known = history.assign(returned=history["returned"].where(~is_open, 0))
        columns = read_history(known, needed, part) | {"is_open": is_open[part]}
    else:
        columns = read_history(history, needed, part)
    if past is not None and past.group_column is not None:
        codes, _ = pd.factorize(_read_groups(history, past.group_column))
        columns["group"] = codes.astype(np.int64)[part]
    return columns


def read_known_past(
    history: pd.DataFrame,
    past: PastSettings,
    made: Any,
    group: object,
    now: Any,
    further: FurtherColumns | None = None,
    made_further: Any = None,
) -> dict[str, np.ndarray]:
    """The known past of one group and, as the last row, the purchase just made, where there is one.

    Parameters
    ----------
    history : DataFrame
        Purchases of all groups in time order, or of one where `group` is None.
    past : PastSettings
        Of the training.
    made : (datetime, number) or None
        The purchase just made.
    group : str, int or None
        Whose past.
    now : datetime-like or None
        When it is asked.
    further : FurtherColumns, optional
        What `history` has in further columns.
    made_further : mapping of str to object, optional
        What the purchase just made has there.

    Raises
    ------
    DataError, SettingsError
        As `read_history`, or if `group` and the columns of `history` do not go together.
    """
    if made is not None and now is not None:
        raise SettingsError("now goes with the next purchase; that of one just made is its own datetime")
    has_groups = past.group_column is not None and len(find_named(history, past.group_column)) > 0
    if has_groups != (group is not None):
        rule = f"group goes with a history that has the column {past.group_column} of the training, and with it alone"
        raise SettingsError(f"{rule} (found group {group!r:.100}, columns {list(map(str, history.columns))!r:.200})")
    columns = read_table(history, COLUMNS, EVERY, past if has_groups else None)
    if further is not None:
        columns |= further.of_rows(columns)
    # Without a group, all of the history is one group's.
    code = 0
    if has_groups:
        values = _read_groups(history, str(past.group_column)).to_numpy()
        at = np.flatnonzero(values == to_text("group", group))
        code = int(columns["group"][at[0]]) if len(at) else NOBODY
    else:
        columns["group"] = np.zeros(len(columns["returned"]), dtype=np.int64)
    purchase, clock = None if made is None else read_made(made, columns), order_column(columns)
    if purchase is not None:
        moment = purchase[clock]
        purchase |= {} if further is None else further.of_made(columns, made_further, moment)
    elif now is not None:
        moment = read_made((_read_now(now), 0), columns)[clock]
    else:
        moment = columns[clock].max() if len(columns[clock]) else np.datetime64("NaT")
    # Without any purchase and any time, nothing is known.
    is_asked = not np.isnat(moment)
    rows = select_past(columns, past, code, moment, inclusive=made is None) if is_asked else np.arange(0)
    found = {name: values[rows] for name, values in columns.items() if name not in ("group", "is_open")}
    if purchase is None:
        return found
    return {name: np.append(values, purchase[name]) for name, values in found.items()}


def is_of_one_group(history: pd.DataFrame, past: PastSettings | None) -> bool:
    """Whether the training had a group column, and a history holds no more than one group: it tells no rates then."""
    if past is None or past.group_column is None:
        return False
    named = find_named(history, past.group_column)
    return not named or history.iloc[:, named[0]].nunique() < 2


def _read_groups(history: pd.DataFrame, name: str) -> pd.Series:
    """The values of the group column as text, missing where nobody is known."""
    named = find_named(history, name)
    if len(named) != 1:
        raise DataError(f"history: the column {name} of the training is needed once, to tell whose each purchase is")
    texts = history.iloc[:, named[0]].map(partial(to_text, "group"), na_action="ignore")
    return texts.mask(texts == "")


def _read_now(now: object) -> pd.Timestamp:
    """When it is asked; raises SettingsError for what is no time."""
    try:
        moment = pd.Timestamp(now) if isinstance(now, str | datetime | np.datetime64) else None
    except ValueError:
        moment = None
    if moment is None or pd.isna(moment):
        raise SettingsError(f"now: must be a datetime, as those of the history (found {now!r:.100})")
    return moment
