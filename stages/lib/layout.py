"""Which ensembles there are, what their members read, and what their files are called."""

from dataclasses import dataclass
from pathlib import Path

VERSION = "0.1.0"
# Where the pipeline's outputs lie; only a stage's main and the command lines use it.
ARTIFACTS = Path("artifacts")
STORE = Path(".cache/members")
METADATA_FILE = "models_meta.json"
CARD_FILE = "MODEL_CARD.md"
BACKTEST_FILE = "backtest.json"
# The libraries that can change a byte.
REQUIREMENTS_FILE = "requirements-pipeline.txt"
PARTS = ("train", "val", "test")
LABELS = {"no": 0, "yes": 1}
# What is asked. Of a purchase that is made all but the label is known, of the next one nothing: these are two
# questions, and figures on one say nothing about the other.
QUESTIONS = {"next": "will the next purchase come back?", "made": "will the purchase just made come back?"}


@dataclass(frozen=True)
class EnsembleLayout:
    """One feature set.

    Attributes
    ----------
    features : tuple of str
        What the members read of each purchase, in their order; names as in `features.stack_features`.
    prefix : str
        How each member's file name starts; the sequence length and `.pth` follow.
    question : {"next", "made"}
        Of which purchase the members tell whether it comes back.
    """

    features: tuple[str, ...]
    prefix: str
    question: str

    def n_steps(self, seq_length: int) -> int:
        """Purchases in a window of `seq_length` past ones: one more where the purchase in question is made."""
        return seq_length + (self.question == "made")

    def member_file(self, seq_length: int) -> str:
        """File name of the member that reads `seq_length` purchases."""
        return f"{self.prefix}{seq_length}.pth"


TIME_FEATURES = ("year", "month", "day", "hour", "weekday", "number_scaled")
SCALED_FEATURES = (*TIME_FEATURES, "gap_scaled")

ENSEMBLES = {
    "time": EnsembleLayout(TIME_FEATURES, "model_seq", "next"),
    "simple": EnsembleLayout(("returned",), "model_simple_seq", "next"),
    # The label of each purchase is read a step later: that of the purchase in question is in no window.
    "context": EnsembleLayout((*SCALED_FEATURES, "returned_before"), "model_context_seq", "made"),
}

# All members of the ensembles that tell about the next purchase.
COMBINATION = "combination"
# What gives the answer to a question: what is judged, and what decisions are made by.
ANSWERS = {"next": COMBINATION, "made": "context"}


def ensembles_asked(question: str) -> list[str]:
    """The ensembles that answer `question`, one of `QUESTIONS`."""
    return [name for name, layout in ENSEMBLES.items() if layout.question == question]


# The folders that the stages replace as a whole.
OUTPUT_FOLDERS = ("prepared", "sequences", *ENSEMBLES, "evaluation")

# What `evaluate` leaves in its folder, a file per plot and question among them.
PLOTS = ("calibration", "roc", "precision_recall")
EVALUATION_FILES = (
    *("evaluation.json", "leaderboard.csv", "metrics.json", "report.html"),
    *(f"{plot}_{question}.csv" for question in QUESTIONS for plot in PLOTS),
)
# Made from evaluation.json, for people.
PAGES = ("report.html", CARD_FILE)


def windows_file(seq_length: int) -> str:
    """File name of the cached windows of `seq_length` purchases."""
    return f"seq{seq_length}.pt"
