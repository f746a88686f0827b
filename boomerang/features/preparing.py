"""A history in three parts, scaled; and whether the shorter histories of a backtest can be prepared too."""

from collections.abc import Callable
from typing import Literal

import pandas as pd

from boomerang.base.errors import DataError, SettingsError
from boomerang.base.wording import counted
from boomerang.features.scaler import Scaler
from boomerang.features.split import split_parts


def prepare_table(
    table: pd.DataFrame, val_split: float, test_split: float, number_transform: Literal["asinh", "none"]
) -> tuple[pd.DataFrame, Scaler]:
    """Purchases with their part and their scaled features, and the scaler that the training rows gave.

    Parameters
    ----------
    table : DataFrame
        `datetime`, `returned` (0 or 1) and `number`, in time order.
    val_split, test_split, number_transform
        As the settings of the same names.

    Raises
    ------
    DataError
        If a part gets no row, the training rows all have the same label, or a number cannot be scaled.
    """
    table = table.assign(part=split_parts(len(table), val_split, test_split))
    train_table = table[table["part"] == "train"]
    if train_table["returned"].nunique() < 2:
        label = "yes" if train_table["returned"].iloc[0] else "no"
        n_train = counted(len(train_table), "training purchase")
        raise DataError(f"the {n_train} must hold both labels (found only {label})")
    scaler = Scaler.fit(train_table, number_transform)
    return scaler.extend(table), scaler


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
