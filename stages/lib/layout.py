"""Which ensembles there are, what their members read, and what their files are called."""

from dataclasses import dataclass
from pathlib import Path

# Where the pipeline's outputs lie; only a stage's main and the command lines use it.
ARTIFACTS = Path("artifacts")
STORE = Path(".cache/members")
METADATA_FILE = "models_meta.json"
# The libraries that can change a byte.
REQUIREMENTS_FILE = "requirements-pipeline.txt"
PARTS = ("train", "val", "test")
LABELS = {"no": 0, "yes": 1}


@dataclass(frozen=True)
class EnsembleLayout:
    """One feature set.

    Attributes
    ----------
    features : tuple of str
        Columns of the prepared purchases, in the order the members read them.
    prefix : str
        How each member's file name starts; the sequence length and `.pth` follow.
    """

    features: tuple[str, ...]
    prefix: str

    def member_file(self, seq_length: int) -> str:
        """File name of the member that reads `seq_length` purchases."""
        return f"{self.prefix}{seq_length}.pth"


SCALED_FEATURES = ("year", "month", "day", "hour", "weekday", "number_scaled")

ENSEMBLES = {
    "time": EnsembleLayout(features=SCALED_FEATURES, prefix="model_seq"),
    "simple": EnsembleLayout(features=("returned",), prefix="model_simple_seq"),
}


# The folders that the stages replace as a whole.
OUTPUT_FOLDERS = ("prepared", "sequences", *ENSEMBLES)


def windows_file(seq_length: int) -> str:
    """File name of the cached windows of `seq_length` purchases."""
    return f"seq{seq_length}.pt"
