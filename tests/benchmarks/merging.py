"""What merging equal windows brings the simple ensemble: seconds per step with and without, by length and batch size.

`python -m tests.benchmarks.merging CSV` prints medians over steps of one thread, both ways in turn.
"""

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from boomerang.base.numerics import fix_environment

fix_environment()

import torch  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from boomerang.base import settings  # noqa: E402
from boomerang.base.execution import Execution  # noqa: E402
from boomerang.base.processes import keep_freed_memory  # noqa: E402
from boomerang.model.windows import read_windows  # noqa: E402
from boomerang.training.trainer import MemberTrainer  # noqa: E402
from stages.prepare import prepare  # noqa: E402
from stages.sequences import sequences  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LENGTHS, BATCH_SIZES = [2, 3, 5, 8, 12, 24, 48, 96], (32, 128, 1024)
N_STEPS, N_ROUNDS = 30, 3


def seconds_per_step(trainer: MemberTrainer) -> float:
    """Median seconds of forward and backward over the first batches of a shuffled epoch."""
    seconds = []
    for batch in islice(iter(trainer.loader), N_STEPS):
        started = time.perf_counter()
        trainer.backend.zero_grad()
        trainer.backend.add_gradient(batch, len(batch.counts))
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Measure every length at every batch size."""
    parser = argparse.ArgumentParser(description="Measure what merging equal windows brings.")
    parser.add_argument("data_path", type=Path, nargs="?", default=ROOT / "data" / "purchases.csv")
    data_path = parser.parse_args().data_path
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    config = settings.load(ROOT / "params.yaml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(data_path, folder / "prepared", config.prepare)
        lengths = config.sequences.model_copy(update={"seq_lengths": LENGTHS})
        sequences(folder / "prepared", folder / "sequences", lengths)
        print("plain / merged: ratio of the seconds per step, and the share of windows that are left\n")
        print("  L " + "".join(f"{f'batch {batch_size}':>20}" for batch_size in BATCH_SIZES))
        for length in LENGTHS:
            windows = read_windows(folder / "sequences" / "simple" / f"seq{length}.pt")
            cells = [compare(windows, config.train.model_copy(update={"batch_size": size})) for size in BATCH_SIZES]
            print(f"{length:>3} " + "".join(f"{cell:>20}" for cell in cells), flush=True)


def compare(windows, config: settings.TrainSettings) -> str:
    """Ratio of the medians, plain over merged, and the mean share of windows left after merging."""
    trainers = [MemberTrainer(windows, "simple", config, Execution(jobs=1)) for _ in range(2)]
    plain, merged = trainers
    plain.train_set.window_ids = None
    ratios = [seconds_per_step(plain) / seconds_per_step(merged) for _ in range(N_ROUNDS)]
    left = statistics.mean(len(batch.counts) / batch.counts.sum().item() for batch in merged.loader)
    return f"{statistics.median(ratios):.2f}  {left:.0%}"


if __name__ == "__main__":
    main()
