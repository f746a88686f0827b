"""How many single predictions a second, loaded once, on one core: `python -m tests.benchmarks.predicting`."""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from boomerang.base.numerics import fix_environment

N_PREDICTIONS = 200


def rate(predict: Callable[[], float]) -> float:
    """Calls a second."""
    start = time.perf_counter()
    for _ in range(N_PREDICTIONS):
        predict()
    return N_PREDICTIONS / (time.perf_counter() - start)


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
        "context": lambda: predictor.predict_proba(history, made),
        "combination": lambda: predictor.predict_proba(history),
    }
    for name, predict in tasks.items():
        predict()
        rates = [rate(predict) for _ in range(flags.rounds)]
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        print(f"{name:<20} {middle:5.0f} predictions a second ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
