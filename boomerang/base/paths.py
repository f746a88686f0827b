"""Where outputs lie and what their files are called."""

from collections.abc import Iterable
from pathlib import Path

from boomerang.base.ensembles import ENSEMBLES, QUESTIONS, TREES

PACKAGE = Path(__file__).resolve().parents[1]
# The repository; of an installed package the folder that packages are installed in.
ROOT = PACKAGE.parent
# An installed package brings its own copy of the settings' defaults; in a repository they lie at the top.
IS_INSTALLED = (PACKAGE / "params.yaml").exists()
PARAMS_FILE = (PACKAGE if IS_INSTALLED else ROOT) / "params.yaml"
# Where the pipeline's outputs lie; only a stage's main and the command lines use it.
ARTIFACTS = Path("artifacts")
METADATA_FILE = "models_meta.json"
METRICS_FILE = "metrics.json"
CARD_FILE = "MODEL_CARD.md"
BACKTEST_FILE = "backtest.json"
# Beside the prepared purchases: how often those of each value of the categorical columns came back.
VALUES_FILE = "values.parquet"
# The libraries whose versions can change a byte of the artifacts.
REQUIREMENTS_FILE = "requirements-pipeline.txt"

# New outputs in the making; what they replace, while they move into place.
STAGED, REPLACED = ".staged", ".replaced"
# What a killed run leaves: the last one is of a version that finished a killed run's moves, and is never read.
LEFTOVERS = (STAGED, REPLACED, ".publishing")

# The folders that the stages replace as a whole, and the files beside them.
OUTPUT_FOLDERS = ("prepared", "sequences", *ENSEMBLES, TREES, "evaluation")
TOP_FILES = (METADATA_FILE, METRICS_FILE, BACKTEST_FILE, CARD_FILE)

# What `evaluate` leaves in its folder, a file per plot and question among them.
PLOTS = ("calibration", "roc", "precision_recall", "gains")
EVALUATION_FILES = (
    *("evaluation.json", "leaderboard.csv", "metrics.json", "report.html"),
    *(f"{plot}_{question}.csv" for question in QUESTIONS for plot in PLOTS),
)


def windows_file(seq_length: int) -> str:
    """File name of the cached windows of `seq_length` purchases."""
    return f"seq{seq_length}.pt"


def trees_file(question: str) -> str:
    """File name of the trees that answer `question`."""
    return f"{question}.json"


def list_expected(seq_lengths: Iterable[int], has_values: bool) -> set[str]:
    """The files in `OUTPUT_FOLDERS`, by their paths in the artifacts.

    Parameters
    ----------
    seq_lengths : iterable of int
        Of the members.
    has_values : bool
        Whether categorical columns are read.
    """
    files = {f"prepared/{name}" for name in ("purchases.parquet", "scaler.json", "summary.json")}
    files |= {f"prepared/{VALUES_FILE}"} if has_values else set()
    files |= {f"evaluation/{name}" for name in EVALUATION_FILES}
    files.add("sequences/lengths.json")
    files |= {f"{TREES}/{trees_file(question)}" for question in QUESTIONS}
    files |= {f"{TREES}/{file}" for file in ("history.csv", "metrics.json", "validation.parquet")}
    for name, spec in ENSEMBLES.items():
        files |= {f"sequences/{name}/{windows_file(length)}" for length in seq_lengths}
        files |= {f"{name}/{spec.member_file(length)}" for length in seq_lengths}
        files |= {f"{name}/{file}" for file in ("history.csv", "metrics.json", "training.json", "validation.parquet")}
    return files


def cache_dir(repository: Path = ROOT) -> Path:
    """What can be made again lies here: in the repository, or for an installed package where the user keeps caches."""
    if not IS_INSTALLED:
        return repository / ".cache"
    import platformdirs

    return platformdirs.user_cache_path("boomerang")


def store_dir(repository: Path = ROOT) -> Path:
    """Where the member store lies if nobody says otherwise."""
    return cache_dir(repository) / "members"
