"""What further columns cost and bring: `python -m tests.benchmarks.columns cost|noise|gain`.

- `cost` times `prepare` on made-up purchases with and without a categorical column of many values, in turn.
- `noise CSV` adds a column of random values to a file and trains with and without it, for several seeds: by how much
  the test log loss of the blend rises, and what the importance of the column is. Members are few and small, which
  leaves most of the answer to the trees.
- `gain WITH WITHOUT` compares the blends of two trainings on the same purchases, whose folders are given: the interval
  of the difference of their test log losses, paired purchase by purchase.

Flags of `noise` after `--` are those of `train.py`.
"""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base.ensembles import BLEND, name_for
from boomerang.base.stage_files import read_json
from boomerang.combining.inference import TrainedEnsembles
from boomerang.features.prepared import SummaryFile, read_prepared
from boomerang.measures.figures import compare_losses
from boomerang.measures.test_set import ModelPredictions, TestSet

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--epochs", "1", "--seq_lengths", "2", "--hidden_size", "16", "--num_layers", "1", "--batch_size", "1024"]
PREPARE = """
from boomerang.base.processes import begin
begin()
import sys
from pathlib import Path
from boomerang.base import settings
from boomerang.base.yaml_file import read_yaml
from stages.prepare import prepare
params, _ = read_yaml(Path("params.yaml"))
params["prepare"]["categorical_columns"] = sys.argv[3:]
prepare(Path(sys.argv[1]), Path(sys.argv[2]), settings.validate_settings(params, "benchmark").prepare)
"""


def write_purchases(path: Path, n_rows: int, n_values: int) -> None:
    """A plain CSV of purchases, a minute apart, of products of which each is about as frequent."""
    draw = np.random.default_rng(0)
    when = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.arange(n_rows), unit="min")
    table = pd.DataFrame(
        {
            "datetime": when.strftime("%Y-%m-%dT%H:%M:%S"),
            "returned": np.where(draw.random(n_rows) < 0.2, "yes", "no"),
            "number": draw.integers(1, 20, n_rows),
            "product": [f"P{number:07}" for number in draw.integers(0, n_values, n_rows)],
        }
    )
    table.to_csv(path, index=False)


def measure_cost(n_rows: int, n_values: int, n_rounds: int) -> None:
    """Print CPU seconds of `prepare` with and without the column, medians of rounds in turn, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "purchases.csv"
        write_purchases(path, n_rows, n_values)
        ways: dict[str, list[str]] = {"without": [], "with": ["product"]}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(n_rounds):
            for way, columns in ways.items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                command = [sys.executable, "-c", PREPARE, str(path), str(Path(name) / way), *columns]
                subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                seconds[way].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        medians = {way: statistics.median(of_way) for way, of_way in seconds.items()}
    print(f"{n_rows:,} rows, {n_values:,} values: {medians['without']:.1f} s without, {medians['with']:.1f} s with")
    print(f"ratio {medians['with'] / medians['without']:.2f} (rounds: {seconds})")


def measure_noise(path: Path, n_seeds: int, flags: list[str]) -> None:
    """Print the test log loss of the blend of `made` without and with a column of random values, and its importance."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file_names = []
        for seed in range(n_seeds):
            values = np.random.default_rng(seed).integers(0, 1000, len(table))
            file_names.append(folder / f"{seed}.csv")
            table.assign(noise=values.astype(str)).to_csv(file_names[-1], index=False)
        categorical = flags[flags.index("--categorical_columns") + 1] if "--categorical_columns" in flags else ""
        plain, _ = _train(file_names[0], folder, flags)
        rises = []
        for seed, with_noise in enumerate(file_names):
            columns = ",".join(filter(None, [categorical, "noise"]))
            loss, importance = _train(with_noise, folder, [*flags, "--categorical_columns", columns])
            rises.append(loss - plain)
            noise = importance["columns"]["noise"]
            print(f"seed {seed}: {plain:.5f} without, {loss:.5f} with; importance {noise['mean']} ± {noise['spread']}")
    print(f"mean rise {statistics.mean(rises):+.5f}")


def _train(path: Path, folder: Path, flags: list[str]) -> tuple[float, dict]:
    """Test log loss of the blend of `made`, and what it rests on."""
    out = folder / "artifacts"
    command = ["train.py", *QUICK, *flags, "--data_path", str(path), "--artifacts_dir", str(out), "--quiet"]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    answers = json.loads((out / "evaluation" / "evaluation.json").read_text())["questions"]["made"]
    loss = next(model["log_loss"]["value"] for model in answers["models"] if model["name"] == BLEND)
    return loss, answers["importance"]


def measure_gain(with_columns: Path, without: Path) -> None:
    """Print the log losses of the blends of `made`, and the interval of their difference."""
    losses, test_set = [], None
    for folder in (with_columns, without):
        summary = read_json(folder / "prepared" / "summary.json", SummaryFile)
        table = read_prepared(folder / "prepared" / "purchases.parquet", summary.columns)
        first = int((table["part"] != "test").sum())
        returned, parts = table["returned"].to_numpy(), table["part"].to_numpy()
        before = np.concatenate([returned[parts == part] for part in ("train", "val")])
        same = TestSet(returned[first:], before, int((parts == "val").sum()), 0.005)
        assert test_set is None or np.array_equal(test_set.returned, same.returned)
        test_set, name = same, name_for(BLEND, "made")
        scores = TrainedEnsembles.load(folder).score_scaled(table, first, len(table), [name])
        losses.append(ModelPredictions(folder.name, "blend", scores[name].to_numpy()))
    assert test_set is not None
    ours, theirs = losses
    for one in losses:
        p = np.where(test_set.returned == 1, one.probabilities, 1 - one.probabilities)
        print(f"{one.name}: {-np.log(p).mean():.4f}")
    found = compare_losses(test_set, ours, [theirs])[theirs.name]
    print(f"difference {found.value:+.4f} ({found.low} to {found.high})")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description="Measure what further columns cost and bring.")
    tasks = parser.add_subparsers(dest="task", required=True)
    cost = tasks.add_parser("cost")
    cost.add_argument("--rows", type=int, default=1_000_000)
    cost.add_argument("--values", type=int, default=100_000)
    cost.add_argument("--rounds", type=int, default=3)
    noise = tasks.add_parser("noise")
    noise.add_argument("data_path", type=Path)
    noise.add_argument("--seeds", type=int, default=5)
    gain = tasks.add_parser("gain")
    gain.add_argument("folders", type=Path, nargs=2)
    flags, rest = parser.parse_known_args()
    if flags.task == "cost":
        measure_cost(flags.rows, flags.values, flags.rounds)
    elif flags.task == "noise":
        measure_noise(flags.data_path.resolve(), flags.seeds, [word for word in rest if word != "--"])
    else:
        measure_gain(*flags.folders)


if __name__ == "__main__":
    main()
