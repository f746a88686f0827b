"""The history that `predict.py` predicts from: whose past it is, and what its further columns tell."""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from boomerang.base.columns import known_of
from boomerang.base.ensembles import order_column
from boomerang.base.errors import SettingsError
from boomerang.base.paths import ARTIFACTS
from boomerang.base.wording import counted, tell
from boomerang.combining.metadata import Metadata
from boomerang.features.columns import ColumnRules, add_columns
from boomerang.features.known_past import NOBODY, PastRules, select_past
from boomerang.reading.asked import parse_columns, parse_moment, parse_purchase
from boomerang.reading.purchases import Purchases
from boomerang.serving.value_counts import ValueCounts, count_made, count_rows


def is_of_one_group(past: PastRules | None, purchases: Purchases) -> bool:
    """Whether a training had a group column, and a file holds no more than one group."""
    return past is not None and past.group_column is not None and len(purchases.group_values) < 2


def ask_of_columns(
    flags: argparse.Namespace, metadata: Metadata, columns: ColumnRules, purchases: Purchases
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The purchases of the file, and the one just made, with what is known of their values in further columns.

    Parameters
    ----------
    flags : Namespace
        Of the command line, with the purchase just made.
    metadata : Metadata
        Of the training.
    columns : ColumnRules
        Its further columns.
    purchases : Purchases
        Of the file.

    Raises
    ------
    SettingsError
        If the purchase just made is not written as those of the file are.
    ArtifactError
        If what the training counted is missing or damaged.
    """
    table, past, how = purchases.table, metadata.past, (metadata.reading.datetime_format, metadata.reading.timezone)
    asked = parse_columns(flags.next_column or [], columns, purchases.categories)
    made = parse_purchase(table, flags.next_datetime, flags.next_number, *how, asked)
    counts = None
    # As for `Predictor`: the past of one group does not tell how often what is alike came back.
    takes_counts = flags.rates == "prepared" or (flags.rates is None and is_of_one_group(past, purchases))
    if columns.categorical and takes_counts:
        tell("note: how often what is alike came back so far is what the training counted, not the file (--rates)")
        counts = ValueCounts((flags.artifacts_dir or ARTIFACTS) / "prepared", columns)
    moment = np.datetime64(made[order_column(made)].iloc[0])
    made = made.assign(**count_made(table, asked, moment, columns, past, counts))
    for name in columns.categorical:
        if made[known_of(name)[0]].iloc[0] == 0:
            tell(f"note: of {name} {asked.values[name]!r} no label is known: its rate is that of the shop")
    return add_columns(table, count_rows(table, purchases.categories, columns, past, counts)), made


def take_counts(flags: argparse.Namespace, metadata: Metadata, columns: ColumnRules, purchases: Purchases) -> Purchases:
    """The purchases of a file that is scored row by row, with what the training counted, where that is asked for.

    Raises
    ------
    ArtifactError
        If what the training counted is missing or damaged.
    """
    if columns.categorical and flags.rates != "prepared" and purchases.table["is_open"].all():
        tell(
            f"note: {flags.csv} has no purchase with a label, so it does not tell how often what is alike came back; "
            f"put the settled purchases above, or take --rates prepared"
        )
    if not columns.categorical or flags.rates != "prepared":
        return purchases
    counts = ValueCounts((flags.artifacts_dir or ARTIFACTS) / "prepared", columns)
    counted_rows = count_rows(purchases.table, purchases.categories, columns, metadata.past, counts)
    return replace(purchases, table=add_columns(purchases.table, counted_rows))


def select_history(
    flags: argparse.Namespace,
    past: PastRules,
    table: pd.DataFrame,
    made: pd.DataFrame | None,
    group_values: list[str],
    how: tuple[str | None, str | None],
) -> tuple[pd.DataFrame, int]:
    """The known past of the group that is asked about, the purchase just made as the last row, and how long it is.

    Parameters
    ----------
    flags : Namespace
        Of the command line.
    past : PastRules
        Of the training.
    table, made : DataFrame, and DataFrame or None
        The purchases of the file, and the one just made.
    group_values : list of str
        As in `Purchases`.
    how : (str or None, str or None)
        Date format and timezone of the training.

    Raises
    ------
    SettingsError
        If flags are missing, or a time is not written as those of the file.
    """
    if (flags.group is None) != (past.group_column is None):
        needs = f"goes with a training with a group column, as this one ({past.group_column})"
        raise SettingsError(
            f"--group {needs}: a value of {past.group_column}, or '' for nobody"
            if flags.group is None
            else "--group is for a training with a group column, and this one has none"
        )
    code = 0
    if past.group_column is not None:
        value = flags.group.strip()
        code = group_values.index(value) if value in group_values else NOBODY
        if value and code == NOBODY:
            tell(
                f"note: {flags.history_csv} has no purchase of {past.group_column} {value!r}: a first one is predicted"
            )
    if made is not None:
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
