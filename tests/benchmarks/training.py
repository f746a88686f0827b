"""Our training against the plain loop of `reference.py`: same members, rows, epochs, batch size and precision.

Whole runs up to the trained members, start-up and the reading of the CSV included, in turn; each round has a seed of
its own, so the losses of the rounds show the noise of seeds. `python -m tests.benchmarks.training --help` tells more;
`make bench` runs it at its defaults.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from boomerang.base import settings
from boomerang.base.numerics import INSTRUCTION_LIMITS

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("hidden_size", "num_layers", "batch_size", "epochs", "precision")


def read_options() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description="Measure our training against a plain loop.")
    parser.add_argument("--data_path", type=Path, default=ROOT / "data" / "purchases.csv", help="default: the sample")
    parser.add_argument("--rounds", type=int, default=3, help="of both in turn (default: 3)")
    parser.add_argument("--epochs", type=int, default=2, help="of every member (default: 2)")
    parser.add_argument("--batch_size", type=int, default=32, help="default: 32")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="default: fp32")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of ours (default: one per core)")
    return parser.parse_args()


def run(*command: str | Path) -> tuple[float, float, str]:
    """Wall seconds, peak memory of the largest process in MB, and stdout of a command that must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{command} failed")
    return seconds, usage.ru_maxrss / 1024, printed


def train_ours(folder: Path, flags: list[str], seed: int) -> dict[str, list[float]]:
    """Seconds and last validation loss of each member, and seconds and memory of the whole run under `total`."""
    store, artifacts = folder / f"store{seed}", folder / f"ours{seed}"
    seconds, memory, _ = run(
        sys.executable,
        "-m",
        "tests.benchmarks.ours",
        "--quiet",
        *flags,
        "--seed",
        str(seed),
        "--artifacts_dir",
        artifacts,
        "--store",
        store,
    )
    found = {"total": [seconds, memory]}
    for path in store.glob("*/history.jsonl"):
        epochs = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        name = f"{epochs[0]['ensemble']} {epochs[0]['seq_length']}"
        found[name] = [sum(epoch["seconds"] for epoch in epochs), epochs[-1]["val_loss"]]
    return found


def train_reference(windows_dir: Path, config: dict, seed: int) -> dict[str, list[float]]:
    """The same of the plain loop."""
    seconds, memory, printed = run(
        sys.executable, "-m", "tests.benchmarks.reference", windows_dir, json.dumps(config | {"seed": seed})
    )
    return {"total": [seconds, memory], **json.loads(printed)}


def count_flop(windows_dir: Path, config: dict) -> dict[str, float]:
    """Floating-point operations of the matrix products in all training steps of each member of the plain loop.

    A product of the forward pass is followed by two of its size in the backward pass.
    """
    from boomerang.model.windows import read_windows

    found = {}
    for path in windows_dir.glob("*/seq*.pt"):
        windows = read_windows(path)
        start, end = windows.bounds["train"]
        hidden, inputs = config["hidden_size"], windows.inputs.shape[2]
        widths = [inputs + hidden] + [2 * hidden] * (config["num_layers"] - 1)
        flop = 3 * 2 * 4 * hidden * sum(widths) * windows.inputs.shape[1] * (end - start)
        found[f"{path.parent.name} {windows.seq_length}"] = flop * config["epochs"]
    return found


def measure_matrix_rate(precision: str) -> float:
    """Floating-point operations per second of one core in products of 1024 x 1024 matrices, median of nine."""
    script = f"""
import time, torch
torch.set_num_threads(1)
a = torch.rand(1024, 1024).to(torch.{"bfloat16" if precision == "bf16" else "float32"})
seconds = []
for _ in range(9):
    start = time.perf_counter(); a @ a; seconds.append(time.perf_counter() - start)
print(2 * 1024**3 / sorted(seconds)[4])
"""
    # MKL's reproducible mode is slow, and the products of our members are not MKL's.
    limits = {} if precision == "bf16" else INSTRUCTION_LIMITS | {"MKL_CBWR": "AVX2"}
    return float(subprocess.check_output([sys.executable, "-c", script], env=os.environ | limits, text=True))


def median_ratio(rounds: list[tuple[dict, dict]], name: str) -> str:
    """Reference over ours: median (lowest to highest)."""
    ratios = sorted(reference[name][0] / ours[name][0] for reference, ours in rounds)
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def print_members(rounds: list[tuple[dict, dict]], flop: dict[str, float]) -> None:
    """A line per member: median seconds of both, their ratio, mean and deviation of the losses over the seeds."""
    print(
        f"{'member':<10} {'plain s':>8} {'ours s':>8}  {'ratio':<22} {'ours GFLOP/s':>12} {'plain val loss':>17} "
        f"{'ours val loss':>17}"
    )
    names = (name for name in rounds[0][0] if name != "total")
    for member in sorted(names, key=lambda name: (name.split()[0], int(name.split()[1]))):
        seconds = [statistics.median(side[member][0] for side in sides) for sides in zip(*rounds, strict=True)]
        losses = [[side[member][1] for side in sides] for sides in zip(*rounds, strict=True)]
        shown = [f"{statistics.mean(values):.4f} ± {statistics.pstdev(values):.4f}" for values in losses]
        print(
            f"{member:<10} {seconds[0]:>8.1f} {seconds[1]:>8.1f}  {median_ratio(rounds, member):<22} "
            f"{flop[member] / seconds[1] / 1e9:>12.0f} {shown[0]:>17} {shown[1]:>17}"
        )


def main() -> None:
    """Run the rounds and print the comparison."""
    options = read_options()
    defaults = settings.load(ROOT / "params.yaml").train.model_dump()
    config = defaults | {name: getattr(options, name) for name in ("epochs", "batch_size", "precision")}
    flags = [f"--{name}={config[name]}" for name in SIZES] + [f"--jobs={options.jobs}"]
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(options.rounds):
            ours = train_ours(folder, [*flags, f"--data_path={options.data_path.resolve()}"], seed)
            windows_dir = folder / "ours0" / "sequences"
            reference = train_reference(windows_dir, config, seed)
            rounds.append((reference, ours))
            print(f"round {seed + 1}: plain {reference['total'][0]:.1f} s, ours {ours['total'][0]:.1f} s", flush=True)
        flop = count_flop(windows_dir, config)
    rate = measure_matrix_rate(options.precision) * options.jobs
    print(f"\n{options.data_path.name} {' '.join(flags)}, {os.cpu_count()} cores")
    print("ratios are plain / ours, median (lowest to highest)\n")
    print_members(rounds, flop)
    plain, ours = ([side["total"] for side in sides] for sides in zip(*rounds, strict=True))
    total = sum(flop.values())
    wall = statistics.median(seconds for seconds, _ in ours)
    memory = [max(megabytes for _, megabytes in side) for side in (plain, ours)]
    print(f"\nwhole runs: {median_ratio(rounds, 'total')}")
    print(f"peak memory of the largest process: plain {memory[0]:.0f} MB, ours {memory[1]:.0f} MB")
    print(f"ours: {total / wall / 1e9:.0f} GFLOP/s of the plain loop's products, {total / wall / rate:.0%} of ", end="")
    print(f"the {rate / 1e9:.0f} GFLOP/s that {options.jobs} cores reach in 1024 x 1024 matrix products")


if __name__ == "__main__":
    main()
