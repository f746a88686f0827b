"""Folds of a backtest: a pipeline run anew at earlier origins."""

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd

from boomerang.base.errors import BoomerangError
from boomerang.base.settings import Settings
from boomerang.measures.evaluation import Evaluation, Fold

# Trains and evaluates on a history, by settings that say how it is split.
Run = Callable[[pd.DataFrame, Settings], Evaluation]


def run_folds(history: pd.DataFrame, counts: dict[str, int], config: Settings, run: Run) -> list[dict[str, Any]]:
    """Train and evaluate anew at earlier origins (Tashman 2000, "Out-of-sample tests of forecasting accuracy").

    With n folds and t test purchases, fold k sees the history without its last ``(n - k) t`` purchases, and tests on
    the last t of what is left: the test blocks follow each other, and the last fold is the pipeline itself.

    Parameters
    ----------
    history : DataFrame
        As `read_history` returns it.
    counts : dict of str to int
        Rows of `train`, `val` and `test` in it.
    config : Settings
        Settings of the pipeline; a fold keeps the number of validation and test purchases and has fewer to train on.
    run : callable
        Runs the pipeline.

    Returns
    -------
    list of dict
        The fields of a `Fold` each, in time order; empty where `evaluate.n_folds` is 0.

    Raises
    ------
    BoomerangError
        What a run raises, with the fold in front.
    """
    n_folds = config.evaluate.n_folds
    folds = []
    for fold in range(1, n_folds + 1):
        part = history.iloc[: len(history) - (n_folds - fold) * counts["test"]]
        print(f"backtest: fold {fold} of {n_folds}, {len(part)} purchases", file=sys.stderr)
        try:
            evaluation = run(part, _settings_of_fold(config, counts, len(part)))
        except BoomerangError as error:
            raise type(error)(f"fold {fold} of {n_folds}: {error}") from None
        folds.append(_summarise(evaluation).model_dump())
    return folds


def _settings_of_fold(config: Settings, counts: dict[str, int], n_rows: int) -> Settings:
    """Settings that split `n_rows` purchases into `val` and `test` of the given sizes, without a backtest.

    They name no costs and no columns to be shown either: a fold holds log losses, and no more is asked of it.
    """
    split = {"val_split": counts["val"] / n_rows, "test_split": counts["test"] / n_rows}
    plain: dict[str, Any] = {"n_folds": 0, "cost_missed": None, "cost_needless": None, "shown_columns": []}
    changed = {
        "prepare": config.prepare.model_copy(update=split),
        "evaluate": config.evaluate.model_copy(update=plain),
    }
    return config.model_copy(update=changed)


def _summarise(evaluation: Evaluation) -> Fold:
    log_loss = {
        question: {model.name: model.log_loss.value for model in answers.models if model.kind != "member"}
        for question, answers in evaluation.questions.items()
    }
    parts = evaluation.parts
    return Fold(n_train=parts["train"].rows, test=parts["test"], log_loss=log_loss)
