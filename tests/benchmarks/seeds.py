"""How far the seed moves the test log loss: `python -m tests.benchmarks.seeds [flags of train.py]`.

Trains with the seeds 0 to 4, which takes five times as long as one training, and prints for each ensemble,
combination and blend the lowest, the highest and the standard deviation over the seeds.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
N_SEEDS = 5
OURS = {"next": ("time", "simple", "combination", "blend"), "made": ("context", "blend")}


def main() -> None:
    """Train with every seed and compare."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(N_SEEDS):
            folder = Path(name) / str(seed)
            where = ["--artifacts_dir", str(folder), "--seed", str(seed), "--quiet"]
            subprocess.run(
                [sys.executable, str(ROOT / "train.py"), *sys.argv[1:], *where], check=True, stdout=subprocess.DEVNULL
            )
            metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())["test"]
            for question, models in OURS.items():
                for model in models:
                    found.setdefault(f"{model}, {question}", []).append(metrics[question][model]["log_loss"])
    print(f"test log loss over {N_SEEDS} seeds: lowest, highest, standard deviation")
    for model, losses in found.items():
        print(f"{model:<18} {min(losses):.4f} {max(losses):.4f} {statistics.stdev(losses):.4f}")


if __name__ == "__main__":
    main()
