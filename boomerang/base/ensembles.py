"""Which ensembles there are, what their members read, and which question they answer."""

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

PARTS = ("train", "val", "test")
LABELS = {"no": 0, "yes": 1}
# The two questions that predictions answer. `next` is asked before a purchase is made: only the purchases before it are
# known. `made` is asked when it has just been made: its time and number are known too, its label alone is not. The
# second is the easier one, so figures on one say nothing about the other.
QUESTIONS = {"next": "will the next purchase come back?", "made": "will the purchase just made come back?"}


@dataclass(frozen=True)
class EnsembleSpec:
    """One feature set.

    Attributes
    ----------
    features : tuple of str
        What the members read of each purchase, in their order; `boomerang.features.inputs` computes it.
    prefix : str
        How each member's file name starts; the sequence length and `.pth` follow.
    question : {"next", "made"}
        Of which purchase the members tell whether it comes back.
    any_past : bool
        Whether members answer whatever the past: a window holds up to L past purchases, else exactly L.
    """

    features: tuple[str, ...]
    prefix: str
    question: str
    any_past: bool = False

    def n_steps(self, seq_length: int) -> int:
        """Purchases in a window of `seq_length` past ones: one more where the purchase in question is made."""
        return seq_length + (self.question == "made")

    def n_past(self, seq_length: int) -> int:
        """Past purchases that must be known for a window of `seq_length` past ones.

        One more where a step tells of the purchase before it. The first purchase that is known has none before it, and
        a gap and a label that nobody observed are in no window. Members that answer whatever the past need none: they
        read that there is no purchase before.
        """
        if self.any_past:
            return 0
        return seq_length + (not BACKWARD_FEATURES.isdisjoint(self.features))

    def member_file(self, seq_length: int) -> str:
        """File name of the member that reads `seq_length` purchases."""
        return f"{self.prefix}{seq_length}.pth"


# Features by the names that files have for them: whether the purchase before came back, and the scaled logarithm of one
# and the seconds since it.
RETURNED_LAG1, LOG_GAP_SCALED = "returned_before", "gap_scaled"
# With a past of its own for each purchase also: whether there is one before, the scaled logarithm of one and how many
# there are, and the share of returns among them.
HAS_PAST, LOG_COUNT_SCALED, RATE_SO_FAR = "has_past", "count_scaled", "rate_so_far"
KNOWN_PAST_FEATURES = (HAS_PAST, LOG_COUNT_SCALED, RATE_SO_FAR)
BACKWARD_FEATURES = frozenset({RETURNED_LAG1, LOG_GAP_SCALED, *KNOWN_PAST_FEATURES})
TIME_FEATURES = ("year", "month", "day", "hour", "weekday", "number_scaled")
SCALED_FEATURES = (*TIME_FEATURES, LOG_GAP_SCALED)

ENSEMBLES = {
    "time": EnsembleSpec(TIME_FEATURES, "model_seq", "next"),
    "simple": EnsembleSpec(("returned",), "model_simple_seq", "next"),
    # The label of each purchase is read a step later: that of the purchase in question is in no window.
    "context": EnsembleSpec((*SCALED_FEATURES, RETURNED_LAG1), "model_context_seq", "made"),
}
# The same where the past of a purchase is what its group's labels were when it was made: with groups, or a label delay.
ENSEMBLES_BY_GROUP = {
    name: replace(
        spec,
        features=(*spec.features, *(KNOWN_PAST_FEATURES if spec.question == "made" else ())),
        any_past=True,
    )
    for name, spec in ENSEMBLES.items()
}


def choose_ensembles(own_past: bool, further: tuple[str, ...] = ()) -> dict[str, EnsembleSpec]:
    """The ensembles by name.

    Parameters
    ----------
    own_past : bool
        Whether each purchase has a past of its own, or all are one stream.
    further : tuple of str
        What `context` reads of further columns, as `Columns.features` has it.
    """
    found = ENSEMBLES_BY_GROUP if own_past else ENSEMBLES
    context = found["context"]
    return {**found, "context": replace(context, features=(*context.features, *further))} if further else found


# All members of the ensembles that tell about the next purchase.
COMBINATION = "combination"
# The LSTMs that answer a question together.
LSTMS = {"next": COMBINATION, "made": "context"}
# Boosted trees, and all members and trees together: the answer to a question, which is judged, and decides.
TREES, BLEND = "trees", "blend"


if TYPE_CHECKING:
    # To a type checker the names are plain text, as the keys above are.
    EnsembleName = str
    Part = str
    Question = str
    BlendedName = str
    AnsweringName = str
else:
    # To what checks a file they are exactly these.
    EnsembleName = Literal[tuple(ENSEMBLES)]
    Part = Literal[PARTS]
    Question = Literal[tuple(QUESTIONS)]
    BlendedName = Literal[(*ENSEMBLES, TREES)]
    AnsweringName = Literal[(BLEND, TREES, *LSTMS.values())]


def ensembles_answering(question: str) -> list[str]:
    """The ensembles that answer `question`, one of `QUESTIONS`."""
    return [name for name, spec in ENSEMBLES.items() if spec.question == question]


def name_for(name: str, question: str) -> str:
    """What is called `name` when `question` is asked, by the one name that it has among all that predict.

    There are trees and a blend for each question: `trees_next`, `blend_made`.
    """
    return f"{name}_{question}" if name in (TREES, BLEND) else name


def names_answering(question: str) -> list[str]:
    """All that predicts when `question` is asked, what answers last: ensembles, their combination, trees, blend."""
    return [
        *ensembles_answering(question),
        *([COMBINATION] if LSTMS[question] == COMBINATION else []),
        *(name_for(name, question) for name in (TREES, BLEND)),
    ]


# All that predicts, with the question that it answers.
QUESTION_OF = {name: question for question in QUESTIONS for name in names_answering(question)}


def short_name(name: str) -> str:
    """What a name of `QUESTION_OF` is called where the question is plain: `trees` for `trees_made`."""
    return next((short for short in (TREES, BLEND) if name.startswith(f"{short}_")), name)


def most_past(seq_length: int) -> int:
    """Past purchases with which a window of exactly `seq_length` can be cut for every ensemble."""
    return max(spec.n_past(seq_length) for spec in ENSEMBLES.values())


def order_column(columns: Container[str]) -> str:
    """The column that tells which purchase was made first: `instant` where offsets told it, else `datetime`.

    Local time goes back an hour in autumn; `datetime` is local time and serves the calendar.
    """
    return "instant" if "instant" in columns else "datetime"
