"""What `evaluate` finds out, typed and checked: the one source of the report, the model card and the tables."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stages.lib.checks import Section, whole
from stages.lib.decisions import THRESHOLD_STEPS
from stages.lib.layout import ENSEMBLES, PARTS, QUESTIONS
from stages.lib.metadata import Finite, Lengths, MeasuredName
from stages.lib.prepared import PartFigures

EVALUATION_FORMAT = 1
Line = Annotated[str, Field(min_length=1, max_length=2000)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = whole(0, 1 << 40)


def _in_order(names: Iterable[str]) -> AfterValidator:
    """A mapping in the order of `names`: JSON files are sorted, pages are made in this order."""
    return AfterValidator(lambda found: {name: found[name] for name in names if name in found})


class Interval(Section):
    """An estimate and the bounds of its confidence interval, null where the test purchases are too few for any."""

    value: Finite
    low: Finite | None
    high: Finite | None


class ModelFigures(Section):
    """How one model does on the test purchases.

    Attributes
    ----------
    name : str
        `time`, `simple_seq8`, `markov_chain`, ...
    kind : {"combination", "ensemble", "member", "baseline"}
        What it is.
    chosen : str
        Of a baseline, what the validation purchases chose; else empty.
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
    kind: Literal["combination", "ensemble", "member", "baseline"]
    chosen: str
    log_loss: Interval
    skill: Interval
    roc_auc: Interval | None
    brier: Finite
    pr_auc: Finite | None
    accuracy: Share
    calibration_error: Share
    calibration_error_by_chance: Share


class Curves(Section):
    """Curves of one model, each a pair of lists: reliability by bin, ROC, precision by recall."""

    predicted: list[Share]
    observed: list[Share]
    n: list[Count]
    false_positive_rate: list[Share]
    true_positive_rate: list[Share]
    recall: list[Share]
    precision: list[Share]


class OverTime(Section):
    """Test purchases in time order, in bins of about equal counts: first datetime, share that came back, prediction."""

    first: list[Line]
    observed: list[Share]
    predicted: list[Share]
    n: list[Count]


class Decisions(Section):
    """Test purchases with a probability at or above each threshold: that came back (hits), or not (false alarms)."""

    hits: list[Count]
    false_alarms: list[Count]
    n_returned: Count
    n_kept: Count

    @model_validator(mode="after")
    def _count_at_every_threshold(self) -> "Decisions":
        if {len(self.hits), len(self.false_alarms)} != {THRESHOLD_STEPS + 1}:
            raise ValueError(f"hits and false_alarms must have {THRESHOLD_STEPS + 1} counts each")
        return self


class Importance(Section):
    """Rise of the log loss in nats when a feature, or all of one past purchase (lag 1: the latest), is shuffled."""

    features: dict[MeasuredName, Finite]
    lags: dict[Annotated[str, Field(pattern="^[0-9]{1,5}$")], Finite]
    n_rows: Count


class Answers(Section):
    """How one question is answered on the test purchases.

    Attributes
    ----------
    verdict : str
        One sentence for the person who decides.
    judged : str
        The model of ours that the verdict is about.
    best_baseline : str
        The baseline with the lowest test log loss.
    difference : Interval
        Log loss of `judged` less that of `best_baseline`, paired: below 0 ours is better. Its bounds hold for the
        differences to all baselines at once, so that it does not matter which turned out the best.
    learned : bool
        Whether any model surely predicts better than the share of returns in training, and ranks better than chance.
    calibration : str
        One sentence: is the calibration error of `judged` above chance, and did the base rate move?
    models : list of ModelFigures
        By ascending log loss.
    curves : dict of str to Curves
        Of `judged` and `best_baseline`; empty where all test purchases are alike.
    over_time, decisions, importance
        Of `judged`.
    """

    verdict: Line
    judged: MeasuredName
    best_baseline: MeasuredName
    difference: Interval
    learned: bool
    calibration: Line
    models: Annotated[list[ModelFigures], Field(min_length=2)]
    curves: dict[MeasuredName, Curves]
    over_time: OverTime
    decisions: Decisions
    importance: Importance


class Resampling(Section):
    """How the intervals of the tables were made: blocks of so many rows, drawn so often, for this confidence."""

    block_length: Count
    n_resamples: Count
    confidence: Share


class LossCurve(Section):
    """Mean losses in nats of one member, epoch by epoch."""

    train_loss: list[Finite]
    val_loss: list[Finite]


class Fold(Section):
    """One fold of the backtest: its training rows, its test part, and the log loss of each model by question."""

    n_train: Count
    test: PartFigures
    log_loss: dict[Literal[tuple(QUESTIONS)], dict[MeasuredName, Finite]]


class BacktestFile(Section):
    """`backtest.json`: folds in time order, none where no backtest was asked for."""

    folds: list[Fold]


class Evaluation(Section):
    """The content of `evaluation/evaluation.json`.

    `questions` is empty and `resampling` and `majority_accuracy` null where no purchase was kept for testing.
    """

    format_version: whole(EVALUATION_FORMAT, EVALUATION_FORMAT)
    seq_lengths: Lengths
    precision: str
    parts: Annotated[dict[Literal[PARTS], PartFigures], _in_order(PARTS)]
    majority_accuracy: Share | None
    resampling: Resampling | None
    folds: list[Fold]
    questions: Annotated[dict[Literal[tuple(QUESTIONS)], Answers], _in_order(QUESTIONS)]
    training: Annotated[dict[Literal[tuple(ENSEMBLES)], dict[MeasuredName, LossCurve]], _in_order(ENSEMBLES)]
