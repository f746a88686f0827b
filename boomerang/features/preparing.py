"""A history in three parts, scaled; and whether the shorter histories of a backtest can be prepared too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from boomerang.base.ensembles import TIME_FEATURES, order_column
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.settings import MICROSECONDS_A_DAY, ColumnSettings, PastSettings
from boomerang.base.wording import counted
from boomerang.features.columns import ColumnRules, add_columns, count_columns, describe_columns, list_raw
from boomerang.features.inputs import describe_past, gap_seconds
from boomerang.features.known_past import PastRules, find_known_past, latest_certain, to_microseconds
from boomerang.features.scaler import Scaler
from boomerang.features.split import split_parts


@dataclass(frozen=True)
class Prepared:
    """A history in parts, scaled.

    Attributes
    ----------
    table : DataFrame
        The purchases with their `part` and scaled features; with a past of its own for each also `n_known` (int64) and
        the features that tell of it. The part `embargo` are purchases whose label is not certain when the next part
        begins: past of others, but nothing to learn from or to be measured by.
    scaler : Scaler
        Fitted on the training rows.
    rules : PastRules or None
        What the past of a purchase is.
    columns : ColumnRules or None
        Further columns that are read.
    """

    table: pd.DataFrame
    scaler: Scaler
    rules: PastRules | None
    columns: ColumnRules | None


def set_aside(table: pd.DataFrame, past: PastSettings | None) -> tuple[pd.DataFrame, dict[str, int]]:
    """The purchases whose label is certain at the latest datetime of the table, and how many others there are.

    Parameters
    ----------
    table : DataFrame
        In time order; with `is_open` where labels may be open.
    past : PastSettings or None
        With the label delay.

    Returns
    -------
    DataFrame
        Without `is_open`.
    dict of str to int
        Purchases that are left out as `open`, and as `made within the delay`.

    Raises
    ------
    DataError
        If no purchase is left.
    """
    is_open = table["is_open"].to_numpy() if "is_open" in table else np.zeros(len(table), dtype=bool)
    moments = to_microseconds(table)
    is_late = ~is_open & (moments > moments[-1] - (past.delay if past else 0))
    kept = table[~is_open & ~is_late].drop(columns="is_open", errors="ignore").reset_index(drop=True)
    if kept.empty:
        n_days = (moments[-1] - moments[0]) / MICROSECONDS_A_DAY
        delay = f"; label_delay_days must be below the {n_days:.1f} days of the history" if is_late.any() else ""
        raise DataError(
            f"no purchase has a label that is certain at the latest datetime (found {int(is_open.sum())} open, "
            f"{int(is_late.sum())} made within the delay before{delay})"
        )
    return kept, {"open": int(is_open.sum()), "made within the delay": int(is_late.sum())}


def prepare_table(
    table: pd.DataFrame,
    val_split: float,
    test_split: float,
    number_transform: Literal["asinh", "none"],
    past: PastSettings | None = None,
    columns: ColumnSettings | None = None,
) -> Prepared:
    """Purchases with their part and their scaled features, and what the training rows gave.

    Parameters
    ----------
    table : DataFrame
        `datetime`, `returned` (0 or 1) and `number`, in time order; `group` where there is a group column, and further
        columns as `Purchases.table` has them.
    val_split, test_split, number_transform
        As the settings of the same names.
    past : PastSettings, optional
        Where each purchase has a past of its own.
    columns : ColumnSettings, optional
        Further columns that are read.

    Raises
    ------
    DataError
        If a part gets no row, the training rows all have the same label, or a number cannot be scaled.
    """
    parts = split_parts(len(table), val_split, test_split)
    table = table.assign(part=parts if past is None else _hold_back(parts, to_microseconds(table), past))
    is_train = table["part"] == "train"
    train_labels = table["returned"][is_train]
    if train_labels.nunique() < 2:
        label = "yes" if train_labels.iloc[0] else "no"
        n_train = counted(len(train_labels), "training purchase")
        raise DataError(f"the {n_train} must hold both labels (found only {label})")
    base_rate = round(float(train_labels.mean()), 6)
    rules = None if past is None else PastRules(**past.model_dump(), base_rate=base_rate)
    further, of_columns = None, {}
    if columns is not None:
        further = ColumnRules(**columns.model_dump(), base_rate=base_rate)
        table = add_columns(table, count_columns(table, columns, rules))
        of_columns = list_raw(table[is_train], columns, number_transform)
    if rules is None:
        scaler = Scaler.fit(table[is_train], number_transform, of_columns)
        scaled = scaler.extend(table)
    else:
        known = find_known_past(table, rules)
        view, moments = known.of_rows(), np.asarray(table[order_column(table)])
        table = table.assign(n_known=known.n_known)
        of_train = table[is_train].assign(gap_seconds=gap_seconds(view, moments)[is_train])
        scaler = Scaler.fit(of_train, number_transform, of_columns)
        described = describe_past(view, moments, known.returned, scaler, rules)
        scaled = scaler.extend(table, TIME_FEATURES).assign(**described)
    if further is not None:
        scaled = add_columns(scaled, describe_columns(table, further, scaler))
    return Prepared(scaled, scaler, rules, further)


def _hold_back(parts: np.ndarray, moments: np.ndarray, past: PastSettings) -> np.ndarray:
    """The parts, with `embargo` for purchases whose label is not certain at the first purchase of the part after."""
    parts = parts.astype(object)
    for part, later in (("train", "val"), ("val", "test")):
        if not (parts == later).any():
            continue
        first = int((parts == later).argmax())
        held = (parts == part) & (moments > latest_certain(moments[first], past.delay))
        if held.sum() == (parts == part).sum():
            raise DataError(
                f"label_delay_days must leave purchases in {part} whose label is certain when {later} begins (found "
                f"{past.label_delay_days:g}: of {counted(int(held.sum()), 'purchase')} none)"
            )
        parts[held] = "embargo"
    return parts


def check_folds(n_folds: int, counts: dict[str, int], file: str, check: Callable[[int], None]) -> None:
    """Refuse a backtest of more folds than the history carries, before anything is trained.

    Parameters
    ----------
    n_folds : int
        Setting `evaluate.n_folds`; 0 and 1 need no more than the pipeline itself.
    counts : dict of str to int
        Rows of `train`, `val` and `test` in the history.
    file : str
        What the message calls the file of the history.
    check : callable
        Prepares the fold that sees so many of the first purchases; raises DataError where that cannot be done.

    Raises
    ------
    SettingsError
        That names the fold, what is wrong with it, and how many folds there can be.
    """
    n_rows = sum(counts.values())
    # From the last fold back, because a shorter history may lack what a longer one has: the first that fails tells how
    # many folds there can be.
    for n_later in range(1, n_folds):
        n_train = counts["train"] - n_later * counts["test"]
        n_seen = n_rows - n_later * counts["test"]
        try:
            if n_train < counts["val"]:
                many = f"as many training purchases as validation purchases, {counts['val']}"
                raise DataError(f"it must have {many} (found {max(n_train, 0)})")
            check(n_seen)
        except DataError as error:
            fold, seen = n_folds - n_later, f"the first {n_seen} of the {counted(n_rows, 'purchase')} in {file}"
            raise SettingsError(
                f"evaluate.n_folds must be at most {n_later} (found {n_folds}): fold {fold} of {n_folds} would see "
                f"{seen if n_seen > 0 else f'no purchase in {file}'}: {error}"
            ) from None
