"""What it costs to start: a `dvc repro` with nothing to do, and each stage with every member in the store.

Needs a finished pipeline (`make`). `python -m tests.benchmarks.startup` prints medians of five.
"""

import statistics
import subprocess
import time
from pathlib import Path

from boomerang.base.ensembles import ENSEMBLES

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "dvc version",
    "dvc repro",
    "python -m stages.prepare",
    "python -m stages.sequences",
    *(f"python -m stages.train {name}" for name in ENSEMBLES),
    "python -m stages.meta",
    "python -m stages.backtest",
    "python -m stages.evaluate",
)
ROUNDS = 5


def measure(command: str) -> float:
    """Wall seconds of a command that must succeed."""
    started = time.perf_counter()
    subprocess.run(command.split(), cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Run all commands in turn, and print the median of each."""
    seconds = [[measure(command) for command in COMMANDS] for _ in range(ROUNDS)]
    for command, taken in zip(COMMANDS, zip(*seconds, strict=True), strict=True):
        print(f"{command:<30} {statistics.median(taken):5.2f} s")


if __name__ == "__main__":
    main()
