"""What the members of an ensemble read of each purchase."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from boomerang.base.ensembles import RETURNED_LAG1
from boomerang.base.errors import DataError
from boomerang.features.calendar import Table


def stack_features(table: Table, features: tuple[str, ...]) -> np.ndarray:
    """What an ensemble reads of each purchase.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order; with `returned` and what is scaled of `features`.
    features : tuple of str
        Columns of `table`, or `RETURNED_LAG1`: whether the purchase before came back. It is 0 for the first purchase,
        which is a step of no window that reads it (see `EnsembleSpec.n_past`).

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32

    Raises
    ------
    DataError
        If a column is missing, or holds what is no finite number.
    """
    check_table(table)
    returned = _read_column(table, "returned")
    lagged = {RETURNED_LAG1: np.concatenate([[0], returned])[:-1]}
    columns = [lagged[name] if name in lagged else _read_column(table, name) for name in features]
    if len({len(column) for column in columns}) > 1:
        raise DataError("table: columns must be of one length")
    return np.stack(columns, axis=1, dtype=np.float32)


def check_table(table: Table, *kinds: type) -> None:
    """Refuse, with DataError, what is no table of purchases at all, or none of `kinds` where they are given."""
    is_table = isinstance(table, kinds or (pd.DataFrame, Mapping))
    if not is_table or "returned" not in table or np.ndim(table["returned"]) != 1:
        found = type(table).__name__
        raise DataError(f"table: must hold purchases, with one column returned (found {found})")


def _read_column(table: Table, name: str) -> np.ndarray:
    """A column as float32; raises DataError where it is missing or holds what is no finite number."""
    try:
        values = np.asarray(table[name], dtype=np.float32)
    except KeyError:
        rule = "the columns that members read are needed, which Scaler.extend adds to a history"
        raise DataError(f"table: {rule} (found none named {name})") from None
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"table: {name} must be a finite number in every row")
    return values
