"""The history that `predict.py` predicts from, where each purchase has a past of its own."""

import argparse

import numpy as np
import pandas as pd

from boomerang.base.ensembles import order_column
from boomerang.base.errors import SettingsError
from boomerang.base.wording import counted, tell
from boomerang.features.known_past import NOBODY, PastRules, select_past
from boomerang.reading.asked import parse_moment, parse_purchase
from boomerang.reading.purchases import Purchases


def select_history(
    flags: argparse.Namespace, past: PastRules, purchases: Purchases, how: tuple[str | None, str | None]
) -> tuple[pd.DataFrame, int]:
    """The known past of the group that is asked about, the purchase just made as the last row, and how long it is.

    Raises
    ------
    SettingsError
        If flags are missing, or a purchase or a time is not written as those of the file.
    """
    if (flags.group is None) != (past.group_column is None):
        needs = f"goes with a training with a group column, as this one ({past.group_column})"
        raise SettingsError(
            f"--group {needs}: a value of {past.group_column}, or '' for nobody"
            if flags.group is None
            else "--group is for a training with a group column, and this one has none"
        )
    table, code = purchases.table, 0
    if past.group_column is not None:
        value = flags.group.strip()
        code = purchases.group_values.index(value) if value in purchases.group_values else NOBODY
        if value and code == NOBODY:
            tell(
                f"note: {flags.history_csv} has no purchase of {past.group_column} {value!r}: a first one is predicted"
            )
    made = None
    if flags.next_datetime is not None:
        made = parse_purchase(table, flags.next_datetime, flags.next_number, *how)
        moment = made[order_column(made)].iloc[0]
    elif flags.now is not None:
        moment = pd.Series(parse_moment(table, "now", flags.now, *how)[order_column(table)]).iloc[0]
    else:
        moment = table[order_column(table)].iloc[-1]
    rows = select_past(table, past, code, np.datetime64(moment), inclusive=made is None)
    known = table.iloc[rows]
    n_open = int(table["is_open"].sum())
    if n_open:
        tell(f"note: {flags.history_csv} has {counted(n_open, 'purchase')} without a label yet, which tell nothing")
    return (known if made is None else pd.concat([known, made], ignore_index=True)).drop(columns="is_open"), len(known)
