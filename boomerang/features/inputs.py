"""What the members of an ensemble read of each purchase."""

import numpy as np

from boomerang.base.ensembles import RETURNED_LAG1
from boomerang.features.calendar import Table


def stack_features(table: Table, features: tuple[str, ...]) -> np.ndarray:
    """What an ensemble reads of each purchase.

    Parameters
    ----------
    table : DataFrame or mapping of str to ndarray
        Purchases in time order; with `returned` and what is scaled of `features`.
    features : tuple of str
        Columns of `table`, or `RETURNED_LAG1`: whether the purchase before came back (0 for the first).

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32
    """
    returned = np.asarray(table["returned"], dtype=np.float32)
    lagged = {RETURNED_LAG1: np.concatenate([[0], returned[:-1]])}
    columns = [lagged[name] if name in lagged else np.asarray(table[name]) for name in features]
    return np.stack(columns, axis=1, dtype=np.float32)
