"""Figures of some of the test purchases: those of which about as much is known when they are made."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from boomerang.base.columns import known_of
from boomerang.measures.evaluation import Stratum
from boomerang.measures.figures import measure_models
from boomerang.measures.metrics import round_figure
from boomerang.measures.test_set import ModelPredictions, TestSet

# By name, which test purchases belong to a stratum: of shape (n_test,), bool.
Strata = dict[str, np.ndarray]


def divide_by_known_past(table: pd.DataFrame, first: int) -> Strata:
    """Which rows from `first` on have so many known purchases before them."""
    if "n_known" not in table:
        return {}
    n_known = table["n_known"].to_numpy()[first:]
    return {"0": n_known == 0, "1-2": (n_known == 1) | (n_known == 2), "3+": n_known >= 3}


def divide_by_values(table: pd.DataFrame, first: int, columns: Iterable[str]) -> dict[str, Strata]:
    """By categorical column, of which rows from `first` on no label of their value, or at least one, is known."""
    # Counts, not the feature made of them: that is 0 everywhere, if no training purchase knew a label of its value.
    counts = {name: table[known_of(name)[0]].to_numpy()[first:] for name in columns}
    return {name: {"new": n_known == 0, "known": n_known > 0} for name, n_known in counts.items()}


def measure_strata(test_set: TestSet, models: list[ModelPredictions], strata: Strata) -> dict[str, Stratum]:
    """Figures of all models but the members, by stratum; those without a test purchase are left out."""
    return {name: _measure_stratum(test_set, models, is_in) for name, is_in in strata.items() if is_in.any()}


def _measure_stratum(test_set: TestSet, models: list[ModelPredictions], rows: np.ndarray) -> Stratum:
    part = test_set.of_rows(rows)
    of_rows = [replace(model, probabilities=model.probabilities[rows]) for model in models if model.kind != "member"]
    return Stratum(
        n=int(rows.sum()), base_rate=round_figure(part.returned.mean()), models=measure_models(part, of_rows)
    )
