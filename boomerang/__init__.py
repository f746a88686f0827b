"""Boomerang: which purchases come back.

`from boomerang import Predictor` predicts with what `train.py` or `dvc repro` has trained. The packages below are the
rooms of the library; docs/code.md says what each holds and who may import whom.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boomerang.serving.predictor import Predictor

# Python runs this module before any other of ours, so it says what would else be a puzzling error further on. Older
# versions must be able to read it.
if sys.version_info < (3, 11):  # noqa: UP036 (a clone is run by whatever Python comes first)
    sys.exit(
        f"error: Boomerang needs Python 3.11 or later (found {sys.version.split()[0]}, {sys.executable}): `make` makes "
        "an environment, and `source .venv/bin/activate` activates it"
    )

__all__ = ["Predictor", "__version__"]
__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    """Import `Predictor` when it is asked for: it takes torch along, and Python runs this module before any other."""
    if name != "Predictor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boomerang.serving.predictor import Predictor

    return Predictor
