"""Boomerang: which purchases come back.

`from boomerang import Predictor` predicts with what `train.py` or `dvc repro` has trained. The packages below are the
rooms of the library; docs/code.md says what each holds and who may import whom.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boomerang.serving.predictor import Predictor

__all__ = ["Predictor", "__version__"]
__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    """Import `Predictor` when it is asked for: it takes torch along, and Python runs this module before any other."""
    if name != "Predictor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boomerang.serving.predictor import Predictor

    return Predictor
