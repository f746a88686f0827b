"""Figures of the models on the test purchases: what each figure is, and how it is measured.

A figure is a field of `ModelFigures` and a line of `measure_models`; what report and card show is in
`boomerang.report.leaderboard`.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from boomerang.base.checks import Section
from boomerang.combining.metadata import Finite, MeasuredName
from boomerang.measures import metrics
from boomerang.measures.intervals import (
    CONFIDENCE,
    TABLE_CONFIDENCE,
    Interval,
    choose_block_length,
    spread_of_mean,
)
from boomerang.measures.metrics import round_figure
from boomerang.measures.test_set import LOG_LOSS, SEED, SHARE, SKILL, ModelKind, ModelPredictions, TestSet

Share = Annotated[float, Field(ge=0, le=1)]


class ModelFigures(Section):
    """How one model does on the test purchases.

    Attributes
    ----------
    name : str
        `time`, `simple_seq8`, `markov_chain`, ...
    kind : {"blend", "trees", "combination", "ensemble", "member", "baseline"}
        What it is.
    chosen : str
        Of a baseline or the trees, what the validation purchases chose; else empty.
    log_loss : Interval
        Mean of ``-log(p)`` in nats, p the probability of what happened.
    skill : Interval
        ``1 - log_loss / log_loss of the base rate``: 0 is no better than the base rate, 1 perfect.
    roc_auc : Interval or null
        Probability that a purchase that came back is ranked above one that did not; null where all are alike.
    brier, accuracy : float
        Mean squared error of the probability, share of right labels at 0.5.
    pr_auc : float or null
        Average precision; null where nothing came back.
    calibration_error : float
        Expected calibration error over up to ten bins of about equal counts.
    calibration_error_by_chance : float
        A perfectly calibrated model stays below it in 95 of 100 samples of as many purchases.
    """

    name: MeasuredName
    kind: ModelKind
    chosen: str
    log_loss: Interval
    skill: Interval
    roc_auc: Interval | None
    brier: Finite
    pr_auc: Finite | None
    accuracy: Share
    calibration_error: Share
    calibration_error_by_chance: Share

    @property
    def beats_chance(self) -> bool:
        """Whether it surely predicts better than the share of returns in training and ranks better than chance."""
        if self.roc_auc is None or self.roc_auc.low is None or self.skill.low is None:
            return False
        return self.skill.low > 0 and self.roc_auc.low > 0.5


def measure_models(test_set: TestSet, models: Sequence[ModelPredictions]) -> list[ModelFigures]:
    """Figures of each model, by ascending log loss.

    Parameters
    ----------
    test_set : TestSet
        The purchases that are predicted.
    models : sequence of ModelPredictions
        `base_rate` among them. The intervals of a figure hold for all of them at once.
    """
    targets = test_set.returned
    log_loss, skill = _measure_losses(test_set, models)
    roc_auc = _measure_ranking(test_set, models)
    found = []
    for i, model in enumerate(models):
        probabilities = model.probabilities
        pr_auc = metrics.pr_auc(targets, probabilities)
        figures = ModelFigures(
            name=model.name,
            kind=model.kind,
            chosen=model.chosen,
            log_loss=log_loss[i],
            skill=skill[i],
            roc_auc=roc_auc[i],
            brier=round_figure(np.mean((probabilities - targets) ** 2)),
            pr_auc=None if pr_auc is None else round_figure(pr_auc),
            accuracy=round_figure(np.mean((probabilities >= 0.5) == targets)),
            calibration_error=round_figure(metrics.calibration_error(targets, probabilities)),
            calibration_error_by_chance=round_figure(metrics.calibration_error_by_chance(probabilities, SEED)),
        )
        found.append(figures)
    return sorted(found, key=lambda figures: (figures.log_loss.value, figures.name))


def _measure_losses(test_set: TestSet, models: Sequence[ModelPredictions]) -> tuple[list[Interval], list[Interval]]:
    """Log loss and skill of each model."""
    losses = np.array([metrics.log_losses(test_set.returned, model.probabilities) for model in models])
    means, base = losses.mean(axis=1), [model.name for model in models].index("base_rate")
    ratios = means / means[base]
    # A ratio of means moves by what each purchase adds to the one beyond its share of the other.
    shares = (ratios[:, None] * losses[base] - losses) / means[base]
    return (
        test_set.intervals(means, losses, TABLE_CONFIDENCE, LOG_LOSS),
        test_set.intervals(1 - ratios, shares, TABLE_CONFIDENCE, SKILL),
    )


def _measure_ranking(test_set: TestSet, models: Sequence[ModelPredictions]) -> Sequence[Interval | None]:
    """ROC-AUC of each model; None for all where all test purchases are alike."""
    if not (test_set.n_returned and test_set.n_kept):
        return [None] * len(models)
    aucs = [metrics.roc_auc(test_set.returned, model.probabilities) for model in models]
    shares = np.array([metrics.roc_auc_shares(test_set.returned, model.probabilities) for model in models])
    return test_set.intervals(np.array(aucs), shares, TABLE_CONFIDENCE, SHARE)


def compare_losses(
    test_set: TestSet, ours: ModelPredictions, others: Sequence[ModelPredictions]
) -> dict[str, Interval]:
    """By model, the log loss of `ours` less that of the other, paired purchase by purchase.

    The bounds hold for the differences to all of `others` at once, and by the longest blocks that any of them asks for.
    """
    targets = test_set.returned
    losses = metrics.log_losses(targets, ours.probabilities)
    differences = np.array([losses - metrics.log_losses(targets, other.probabilities) for other in others])
    intervals = test_set.intervals(differences.mean(axis=1), differences, CONFIDENCE, share_blocks=True)
    return {other.name: interval for other, interval in zip(others, intervals, strict=True)}


def find_contenders(test_set: TestSet, baselines: Sequence[ModelPredictions]) -> list[ModelPredictions]:
    """The baselines that may be the best, by ascending log loss: the first is the best on these purchases.

    One whose loss lies above that of the first by more than ``sqrt(2 log log n)`` spreads of the difference is none.
    With ever more purchases, none is left out that is as good as the best (Hansen 2005, "A test for superior predictive
    ability"). So intervals that hold for all contenders at once hold for the best.
    """
    losses = {model.name: metrics.log_losses(test_set.returned, model.probabilities) for model in baselines}
    # Rounded, so that no last bit decides which of two that are equal comes first.
    first, *rest = sorted(baselines, key=lambda model: (round_figure(losses[model.name].mean()), model.name))
    if not test_set.is_enough:
        return [first, *rest]
    limit = math.sqrt(2 * math.log(math.log(max(len(test_set.returned), 16))))
    found = [first]
    for model in rest:
        lags_behind = losses[model.name] - losses[first.name]
        if lags_behind.mean() <= limit * spread_of_mean(lags_behind, choose_block_length(lags_behind)):
            found.append(model)
    return found
