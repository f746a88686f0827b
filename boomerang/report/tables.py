"""The evaluation as tables: for spreadsheets, `dvc metrics` and `dvc plots`."""

from typing import Any

import pandas as pd

from boomerang.base.ensembles import QUESTIONS
from boomerang.measures.evaluation import Evaluation
from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import Interval

# Tables for `dvc plots`, each with its columns.
CURVES = {
    "calibration": ("predicted", "observed", "n"),
    "roc": ("false_positive_rate", "true_positive_rate"),
    "precision_recall": ("recall", "precision"),
    "gains": ("acted", "caught"),
}
# Figures with bounds, which take three columns.
INTERVAL_TYPES = (Interval, Interval | None)
INTERVALS = [name for name, field in ModelFigures.model_fields.items() if field.annotation in INTERVAL_TYPES]
# What tells which test purchases a row of the leaderboard is about; the last two only with categorical columns.
ROWS_OF = ("question", "known_past", "column", "value")
# Figures that `dvc metrics` compares run by run, few enough for a screen; the leaderboard has them all.
METRICS = ("log_loss", "skill", "brier", "roc_auc", "calibration_error")


def list_models(evaluation: Evaluation) -> pd.DataFrame:
    """The leaderboard: a row per question and model, the best first; bounds of an interval in columns of their own.

    Where each purchase has a past of its own, all models but the members have further rows, for the purchases of which
    so many are known: `known_past` is `all`, `0`, `1-2` or `3+`. Where categorical columns are read, there are two more
    columns: `column`, the name of one or blank, and `value`, which is `all`, or `new` or `known` for rows about the
    purchases of whose value in that column no label, or at least one, is known.
    """
    rows = [
        {**dict(zip(ROWS_OF, (question, *rows_of), strict=True)), **_flatten(model)}
        for question, answers in evaluation.questions.items()
        for rows_of, models in [
            (("all", "", "all"), answers.models),
            *(((name, "", "all"), stratum.models) for name, stratum in answers.by_known_past.items()),
            *(
                (("all", column, name), stratum.models)
                for column, strata in answers.by_column.items()
                for name, stratum in strata.items()
            ),
        ]
        for model in models
    ]
    has_columns = any(answers.by_column for answers in evaluation.questions.values())
    return pd.DataFrame(rows, columns=[*(ROWS_OF if has_columns else ROWS_OF[:2]), *_list_columns()])


def _flatten(model: ModelFigures) -> dict[str, Any]:
    found = {}
    for name, value in model:
        if name in INTERVALS:
            found[name] = None if value is None else value.value
            found[f"{name}_low"] = None if value is None else value.low
            found[f"{name}_high"] = None if value is None else value.high
        else:
            found[name] = value
    return found


def _list_columns() -> list[str]:
    names = []
    for name in ModelFigures.model_fields:
        names += [name, f"{name}_low", f"{name}_high"] if name in INTERVALS else [name]
    return names


def list_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Figures for `dvc metrics` by question and model, without the members: they are in the leaderboard."""
    found: dict[str, Any] = {}
    for question, answers in evaluation.questions.items():
        found[question] = {
            model.name: {
                name: value.value if isinstance(value, Interval) else value for name, value in model if name in METRICS
            }
            for model in answers.models
            if model.kind != "member"
        }
    return {"test": found}


def list_curves(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """A table for each plot and question, of the judged model; it has no rows where there is no curve."""
    found = {}
    for question in QUESTIONS:
        answers = evaluation.questions.get(question)
        curves = answers.curves.get(answers.judged) if answers else None
        for plot, columns in CURVES.items():
            found[f"{plot}_{question}"] = pd.DataFrame({name: getattr(curves, name, []) for name in columns})
    return found
