"""How well each question is answered on the test purchases, from the purchases and the trained ensembles."""

import numpy as np
import pandas as pd
from scipy.special import expit

from boomerang.base.columns import amount_of
from boomerang.base.ensembles import (
    BLEND,
    COMBINATION,
    QUESTIONS,
    TREES,
    ensembles_answering,
    name_for,
    names_answering,
    short_name,
)
from boomerang.base.errors import SettingsError
from boomerang.base.settings import MAX_COST
from boomerang.combining.decisions import THRESHOLD_STEPS, Costs
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.row_costs import RowCosts
from boomerang.measures import metrics
from boomerang.measures.baselines import predict_baselines
from boomerang.measures.evaluation import Answers, Curves, Decisions, OverTime, Resampling, TestFigures
from boomerang.measures.figures import compare_losses, find_contenders, measure_models
from boomerang.measures.gains import count_caught, list_gains
from boomerang.measures.importance import Importance, permutation_importance
from boomerang.measures.intervals import N_RESAMPLES, TABLE_CONFIDENCE
from boomerang.measures.known_past_baselines import predict_by_known_past
from boomerang.measures.metrics import DIGITS, round_figure
from boomerang.measures.parts import list_compared, tell_parts
from boomerang.measures.strata import Strata, divide_by_known_past, divide_by_values, measure_strata
from boomerang.measures.test_set import RIVALS, SEED, ModelKind, ModelPredictions, TestSet
from boomerang.measures.verdicts import explain_calibration, write_verdict
from boomerang.measures.worth import measure_worth

# The chart over time has at most so many bins, of at least so many purchases.
MAX_TIME_BINS, MIN_TIME_BIN = 40, 20


def measure_test_part(
    table: pd.DataFrame, ensembles: TrainedEnsembles, margin: float, costs: Costs | None = None
) -> TestFigures:
    """What is found out on the test purchases; empty where `table` has none.

    Parameters
    ----------
    table : DataFrame
        Purchases in time order, as `read_prepared` returns them, with the columns that `costs` names, called as
        `amount_of` has it, and, of each categorical column, how many labels of a purchase's value were known, called as
        `known_of` has it.
    ensembles : TrainedEnsembles
        All of them.
    margin : float
        As in `TestSet`.
    costs : Costs, optional
        What mistakes cost, where it shall be measured what acting is worth.

    Raises
    ------
    SettingsError
        If a column holds an amount that is too large to be a cost.
    """
    first = int((table["part"] != "test").sum())
    if first == len(table):
        return TestFigures(majority_accuracy=None, resampling=None, questions={})
    returned = table["returned"].to_numpy()
    before = np.concatenate([returned[table["part"] == part] for part in ("train", "val")])
    test_set = TestSet(returned[first:], before, int((table["part"] == "val").sum()), margin)
    columns, by_known_past = ensembles.metadata.columns, divide_by_known_past(table, first)
    # Of the next purchase no value is known when it is asked about.
    by_column = {"next": {}, "made": divide_by_values(table, first, columns.categorical if columns else [])}
    datetimes = table["datetime"].iloc[first:].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
    rows = None if costs is None else _cost_rows(costs, table.iloc[first:])
    models = predict_test_part(table, first, ensembles)
    questions = {}
    for question in QUESTIONS:
        importance = permutation_importance(ensembles, name_for(BLEND, question), table, first, SEED)
        answered_by = ensembles.metadata.blend[question].answered_by
        n_trees = ensembles.metadata.trees[question].best_round
        questions[question] = answer_question(
            question,
            answered_by,
            n_trees,
            test_set,
            models[question],
            datetimes,
            importance,
            rows,
            by_known_past,
            by_column[question],
        )
    resampling = Resampling(n_resamples=N_RESAMPLES, confidence=TABLE_CONFIDENCE)
    return TestFigures(majority_accuracy=test_set.majority_accuracy, resampling=resampling, questions=questions)


def _cost_rows(costs: Costs, table: pd.DataFrame) -> RowCosts:
    for name in costs.columns:
        if (largest := float(table[amount_of(name)].abs().max())) > MAX_COST:
            raise SettingsError(
                f"evaluate.cost_missed, evaluate.cost_needless: {name} must be at most {MAX_COST:g} in every test "
                f"purchase to be a cost (found {largest:g})"
            )
    return RowCosts.of(costs, table, len(table))


def predict_test_part(
    table: pd.DataFrame, first: int, ensembles: TrainedEnsembles
) -> dict[str, list[ModelPredictions]]:
    """By question, what ensembles, members, trees, blend and baselines say of the rows from `first` on."""
    logits = ensembles.member_logits(table, first, len(table))
    metadata = ensembles.metadata
    if metadata.past:
        baselines = predict_by_known_past(table, metadata.past, metadata.n_labels, metadata.further)
    else:
        baselines = predict_baselines(table, metadata.n_labels, metadata.further)
    kinds: dict[str, ModelKind] = {BLEND: "blend", TREES: "trees", COMBINATION: "combination"}
    found = {}
    for question in QUESTIONS:
        models = []
        for name in names_answering(question):
            short = short_name(name)
            chosen = f"{metadata.trees[question].best_round} rounds" if short == TREES else ""
            probabilities = ensembles.combine(logits, name)
            models.append(ModelPredictions(short, kinds.get(short, "ensemble"), probabilities, chosen))
        models += [
            ModelPredictions(f"{name}_seq{length}", "member", expit(of_member))
            for (name, length), of_member in logits.items()
            if name in ensembles_answering(question)
        ]
        models += [
            ModelPredictions(name, "baseline", baseline.probabilities, baseline.chosen)
            for name, baseline in baselines[question].items()
        ]
        found[question] = models
    return found


def answer_question(
    question: str,
    answered_by: str,
    n_trees: int,
    test_set: TestSet,
    models: list[ModelPredictions],
    datetimes: list[str],
    importance: Importance,
    rows: RowCosts | None = None,
    by_known_past: Strata | None = None,
    by_column: dict[str, Strata] | None = None,
) -> Answers:
    """How one question is answered.

    Parameters
    ----------
    question : {"next", "made"}
        What is asked.
    answered_by : str
        The part of the blend that answers alone, or `blend`.
    n_trees : int
        How many trees there are.
    test_set : TestSet
        The purchases that are predicted.
    models : list of ModelPredictions
        The blend, which is judged, its parts, and what it is compared with, `base_rate` among them.
    datetimes : list of str
        Of each test purchase, as ISO 8601.
    importance : Importance
        Of the blend.
    rows : RowCosts, optional
        What mistakes about each test purchase cost, where it shall be measured what acting is worth.
    by_known_past : dict of str to ndarray of shape (n_test,), bool, optional
        Test purchases by how much of their past is known, where that differs.
    by_column : dict of str to dict, optional
        The same by whether a label of their value is known, by categorical column.
    """
    by_name, judged = {model.name: model for model in models}, BLEND
    ours, figures = by_name[judged].probabilities, measure_models(test_set, models)
    # Trees that answer alone are the blend, and no rival of it.
    rivals = [model for model in models if model.kind in RIVALS and model.name != answered_by]
    contenders = find_contenders(test_set, rivals)
    best = contenders[0].name
    difference = compare_losses(test_set, by_name[judged], contenders)[best]
    # Each comparison with a part was planned: no choice among several is behind it.
    parts = [by_name[name] for name in list_compared(question, answered_by) if name in by_name]
    differences = {part.name: compare_losses(test_set, by_name[judged], [part])[part.name] for part in parts}
    has_curves = test_set.n_returned and test_set.n_kept
    return Answers(
        verdict=write_verdict(question, test_set, figures, judged, best, difference),
        judged=judged,
        best_baseline=best,
        parts=tell_parts(question, answered_by, differences, n_trees),
        difference=difference,
        learned=any(model.beats_chance for model in figures),
        calibration=explain_calibration(test_set, next(model for model in figures if model.name == judged)),
        models=figures,
        by_known_past=measure_strata(test_set, models, by_known_past or {}),
        by_column={name: measure_strata(test_set, models, strata) for name, strata in (by_column or {}).items()},
        curves={name: _measure_curves(test_set, by_name[name].probabilities) for name in (judged, best) if has_curves},
        over_time=_average_over_time(test_set, ours, datetimes),
        decisions=_count_decisions(test_set, ours),
        importance=importance,
        gains=list_gains(test_set.returned, ours),
        worth=None if rows is None else measure_worth(question, test_set, by_name[judged], by_name[best], rows),
    )


def _measure_curves(test_set: TestSet, probabilities: np.ndarray) -> Curves:
    predicted, observed, counts = metrics.reliability(test_set.returned, probabilities)
    acted, caught = count_caught(test_set.returned, probabilities)
    shown = metrics.thin(len(acted))
    found = {
        **{"predicted": predicted, "observed": observed, **metrics.curves(test_set.returned, probabilities)},
        **{"acted": acted[shown] / acted[-1], "caught": caught[shown] / caught[-1]},
    }
    rounded = {name: np.round(values, DIGITS).tolist() for name, values in found.items()}
    return Curves(n=counts.tolist(), **rounded)


def _average_over_time(test_set: TestSet, probabilities: np.ndarray, datetimes: list[str]) -> OverTime:
    returned = test_set.returned
    n_bins = max(1, min(MAX_TIME_BINS, len(returned) // MIN_TIME_BIN))
    bins = np.array_split(np.arange(len(returned)), n_bins)
    return OverTime(
        first=[datetimes[rows[0]] for rows in bins],
        observed=[round_figure(returned[rows].mean()) for rows in bins],
        predicted=[round_figure(probabilities[rows].mean()) for rows in bins],
        n=[len(rows) for rows in bins],
    )


def _count_decisions(test_set: TestSet, probabilities: np.ndarray) -> Decisions:
    hits, false_alarms = metrics.count_decisions(test_set.returned, probabilities, THRESHOLD_STEPS)
    return Decisions(
        hits=hits.tolist(),
        false_alarms=false_alarms.tolist(),
        n_returned=test_set.n_returned,
        n_kept=test_set.n_kept,
    )
