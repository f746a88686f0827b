"""What `evaluate` finds out, typed and checked: the one source of the report, the model card and the tables."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from boomerang.base.checks import Section, int_between
from boomerang.base.columns import ColumnName
from boomerang.base.ensembles import ENSEMBLES, PARTS, QUESTIONS, EnsembleName, Part, Question
from boomerang.combining.decisions import THRESHOLD_STEPS
from boomerang.combining.metadata import Finite, MeasuredName
from boomerang.features.prepared import PartFigures
from boomerang.measures.figures import ModelFigures, Share
from boomerang.measures.gains import Gain
from boomerang.measures.importance import Importance
from boomerang.measures.intervals import Interval
from boomerang.measures.parts import Parts
from boomerang.measures.values import ValueRates
from boomerang.measures.worth import Worth
from boomerang.model.lengths import Lengths

# Format 3 added gains, what acting is worth, and figures by how much of the past is known; 4 trees, and what the parts
# of the blend are worth.
EVALUATION_FORMAT = 4
# Known purchases of the group before a purchase.
KNOWN_PAST = ("0", "1-2", "3+")
# Whether a label of the value that a purchase has in a categorical column was known when it was made.
NEW_OR_KNOWN = ("new", "known")
Line = Annotated[str, Field(min_length=1, max_length=2000)]
Count = Annotated[int, int_between(0, 1 << 40)]


def _in_order(names: Iterable[str]) -> AfterValidator:
    """A validator that puts a mapping into the order of `names`, in which pages are made: JSON files are sorted."""
    return AfterValidator(lambda found: {name: found[name] for name in names if name in found})


class Curves(Section):
    """Curves of one model, each a pair of lists: reliability by bin, ROC, precision by recall, gains.

    Gains are the share of the purchases that are acted on, those with the highest probability first, and the share of
    the returns that is caught so.
    """

    predicted: list[Share]
    observed: list[Share]
    n: list[Count]
    false_positive_rate: list[Share]
    true_positive_rate: list[Share]
    recall: list[Share]
    precision: list[Share]
    acted: list[Share]
    caught: list[Share]


class OverTime(Section):
    """Test purchases in time order, in bins of about equal counts.

    By bin: the first datetime, the share that came back, the mean predicted probability, and the count.
    """

    first: list[Line]
    observed: list[Share]
    predicted: list[Share]
    n: list[Count]


class Decisions(Section):
    """How many test purchases have a probability at or above each threshold.

    Of those that came back these are hits, of the others false alarms.
    """

    hits: list[Count]
    false_alarms: list[Count]
    n_returned: Count
    n_kept: Count

    @model_validator(mode="after")
    def _count_at_every_threshold(self) -> "Decisions":
        if {len(self.hits), len(self.false_alarms)} != {THRESHOLD_STEPS + 1}:
            raise ValueError(f"hits and false_alarms must have {THRESHOLD_STEPS + 1} counts each")
        return self


class Stratum(Section):
    """Test purchases of which about as much is known: how many, the share of returns, all models but the members.

    The intervals are of these purchases alone.
    """

    n: Count
    base_rate: Share
    models: Annotated[list[ModelFigures], Field(min_length=2)]


class Answers(Section):
    """How one question is answered on the test purchases.

    Attributes
    ----------
    verdict : str
        A plain sentence for the person who decides, then the figures.
    judged : str
        The model of ours that the verdict is about.
    best_baseline : str
        The baseline with the lowest test log loss, the trees among them but where they answer alone.
    difference : Interval
        Log loss of `judged` less that of `best_baseline`, paired: below 0 ours is better. Its bounds hold for the
        differences to all baselines at once that may be the best (see `find_contenders`), so they hold whichever is.
    parts : Parts
        What trees and LSTMs are worth.
    learned : bool
        Whether any model surely predicts better than the share of returns in training and ranks better than chance.
    calibration : str
        One sentence or two: are the probabilities of `judged` surely off, and has the share of returns surely moved?
    models : list of ModelFigures
        By ascending log loss.
    by_known_past : dict of str to Stratum
        Where each purchase has a past of its own: by how many known purchases of its group there are before it.
    by_column : dict of str to dict
        Where categorical columns are read and a purchase has been made: by column, the strata `new` (no label of its
        value was known by then) and `known`.
    curves : dict of str to Curves
        Of `judged` and `best_baseline`; empty where all test purchases are alike.
    over_time, decisions, importance
        Of `judged`.
    gains : list of Gain
        Of `judged`; empty where nothing came back.
    worth : Worth or null
        Of `judged`; null where the settings say no costs.
    """

    verdict: Line
    judged: MeasuredName
    best_baseline: MeasuredName
    difference: Interval
    parts: Parts
    learned: bool
    calibration: Line
    models: Annotated[list[ModelFigures], Field(min_length=2)]
    by_known_past: Annotated[dict[str, Stratum], _in_order(KNOWN_PAST)]
    # Left out where there are none, as are `Importance.columns` and `Evaluation.values`.
    by_column: Annotated[
        dict[ColumnName, Annotated[dict[str, Stratum], _in_order(NEW_OR_KNOWN)]],
        AfterValidator(lambda found: dict(sorted(found.items()))),
    ] = Field(default_factory=dict, exclude_if=lambda found: not found)
    curves: dict[MeasuredName, Curves]
    over_time: OverTime
    decisions: Decisions
    importance: Importance
    gains: list[Gain]
    worth: Worth | None


class Resampling(Section):
    """How the intervals of the tables were made: how often blocks were drawn, and the confidence."""

    n_resamples: Count
    confidence: Share


class LossCurve(Section):
    """Mean losses in nats of one member, epoch by epoch, or of trees, round by round, the first before any."""

    train_loss: list[Finite]
    val_loss: list[Finite]


class Fold(Section):
    """One fold of the backtest: how many training purchases, its test part, the log loss by question and model."""

    n_train: Count
    test: PartFigures
    log_loss: dict[Question, dict[MeasuredName, Finite]]


class BacktestFile(Section):
    """`backtest.json`: folds in time order, none where no backtest was asked for."""

    folds: list[Fold]


class TestFigures(Section):
    """What is found out on the test purchases.

    `questions` is empty and `resampling` and `majority_accuracy` null where no purchase was kept for testing.
    """

    majority_accuracy: Share | None
    resampling: Resampling | None
    questions: Annotated[dict[Question, Answers], _in_order(QUESTIONS)]


class Evaluation(TestFigures):
    """The content of `evaluation/evaluation.json`."""

    format_version: Annotated[int, int_between(EVALUATION_FORMAT, EVALUATION_FORMAT)]
    seq_lengths: Lengths
    precision: str
    parts: Annotated[dict[Part, PartFigures], _in_order(PARTS)]
    folds: list[Fold]
    # What readers must know of the purchases before they believe a figure.
    warnings: list[Line] = Field(default_factory=list)
    training: Annotated[dict[EnsembleName, dict[MeasuredName, LossCurve]], _in_order(ENSEMBLES)]
    trees: Annotated[dict[Question, LossCurve], _in_order(QUESTIONS)]
    values: ValueRates | None = Field(default=None, exclude_if=lambda found: found is None)
