"""How many predictions a second, loaded once, on one core: `python -m tests.benchmarks.predicting`.

Single ones, then those of the rows of a file: by the blends, and by the LSTMs alone, in turn.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from boomerang.base.numerics import fix_environment

if TYPE_CHECKING:
    import pandas as pd

    from boomerang.serving.predictor import Predictor

N_PREDICTIONS, N_ROWS = 200, 4096


def rate(predict: Callable[[], float]) -> float:
    """Calls a second."""
    start = time.perf_counter()
    for _ in range(N_PREDICTIONS):
        predict()
    return N_PREDICTIONS / (time.perf_counter() - start)


def compare_rows(predictor: "Predictor", history: "pd.DataFrame", n_rounds: int) -> None:
    """Print how many rows of a file are scored a second, and the ratio of both, a round each."""
    names = {"LSTMs alone": ["combination", "context"], "blends": ["blend_next", "blend_made"]}
    windows = predictor.windows(predictor.scale(history))
    first = max(0, len(history) - N_ROWS)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(n_rounds):
        for name, asked in names.items():
            start = time.perf_counter()
            predictor.score_scaled(windows, first, len(history), asked)
            rates[name].append((len(history) - first) / (time.perf_counter() - start))
    for name, found in rates.items():
        print(f"{name:<20} {statistics.median(found):5.0f} rows a second")
    ratios = sorted(blends / alone for alone, blends in zip(*rates.values(), strict=True))
    print(f"blends / LSTMs alone {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    """Measure on the finished artifacts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts_dir", type=Path, default=Path("artifacts"))
    parser.add_argument("--rounds", type=int, default=9)
    flags = parser.parse_args()
    fix_environment()
    import torch

    from boomerang.features.prepared import read_history
    from boomerang.serving.predictor import Predictor

    torch.set_num_threads(1)
    predictor = Predictor.load(flags.artifacts_dir)
    history = read_history(flags.artifacts_dir / "prepared")[0]
    made, labels = (history["datetime"].iloc[-1], 3.0), history["returned"].tolist()
    tasks = {
        "simple, from labels": lambda: predictor.predict_proba(labels),
        "simple": lambda: predictor.predict_proba(history, name="simple"),
        "time": lambda: predictor.predict_proba(history, name="time"),
        "context": lambda: predictor.predict_proba(history, made, "context"),
        "combination": lambda: predictor.predict_proba(history, name="combination"),
        "trees, made": lambda: predictor.predict_proba(history, made, "trees"),
        "blend, made": lambda: predictor.predict_proba(history, made),
        "blend, next": lambda: predictor.predict_proba(history),
    }
    for name, predict in tasks.items():
        predict()
        rates = [rate(predict) for _ in range(flags.rounds)]
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        print(f"{name:<20} {middle:5.0f} predictions a second ({low:.0f} to {high:.0f})")
    compare_rows(predictor, history, flags.rounds)


if __name__ == "__main__":
    main()
