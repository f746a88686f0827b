"""What tests of several rooms use: small settings, made-up purchases, repositories of their own, processes."""

import csv
import os
import random
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SMALL_PARAMS = {
    "prepare": {
        "data_path": "data/purchases.csv",
        "group_column": None,
        "numeric_columns": [],
        "categorical_columns": [],
        "max_values": 1000000,
        "label_delay_days": 0,
        "open_returned": False,
        "rate_strength": 20,
        "number_transform": "asinh",
        "val_split": 0.2,
        "test_split": 0.1,
        "datetime_format": None,
        "timezone": None,
        "on_bad_rows": "error",
    },
    "sequences": {"seq_lengths": [2, 4], "max_seq_cap": 128},
    "train": {
        "seed": 0,
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
        "hidden_size": 4,
        "num_layers": 1,
        "grad_accum_steps": 1,
        "early_stopping_patience": 0,
        "lr_schedule": "constant",
        "precision": "fp32",
        "use_gpu": False,
    },
}
SMALL_PARAMS["train_trees"] = {"rounds": 20, "lr": 0.1, "leaves": 4, "early_stopping_patience": 0}
SMALL_PARAMS["evaluate"] = {
    "n_folds": 0,
    "equivalence_margin": 0.005,
    "cost_missed": None,
    "cost_needless": None,
    "shown_columns": [],
}
for section in ("train_time", "train_simple", "train_context"):
    SMALL_PARAMS[section] = dict.fromkeys(SMALL_PARAMS["train"])


def write_purchases(path: Path, n_rows: int = 200, changed_from: int | None = None) -> Path:
    """A CSV of `n_rows` purchases, about every fifth returned; rows from `changed_from` on differ wildly."""
    draw = random.Random(7)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("datetime", "returned", "number"))
        for row in range(n_rows):
            when = datetime(2024, 1, 1, 9) + timedelta(hours=7 * row)
            returned, number = draw.random() < 0.2, draw.randint(1, 9)
            if changed_from is not None and row >= changed_from:
                when, returned, number = when + timedelta(days=4000), not returned, 10**6 * number
            writer.writerow((when.isoformat(), "yes" if returned else "no", number))
    return path


def write_purchases_with_columns(path: Path, n_rows: int = 200) -> Path:
    """The same with a price, which is blank now and then, a product, some of them markup or blank, and a month.

    What costs more than 15 comes back. The product of the last purchase has not been bought before.
    """
    with write_purchases(path, n_rows).open(newline="") as file:
        rows = list(csv.reader(file))
    draw = random.Random(3)
    products = ["hat", "<b>scarf</b>", "", *(f"sock {number}" for number in range(20))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*rows[0], "price", "product", "month"])
        for when, returned, number in rows[1:]:
            price = round(draw.uniform(1, 20), 2)
            returned = "yes" if price > 15 else returned
            shown_price = "" if draw.random() < 0.1 else price
            product = "glove" if when == rows[-1][0] else draw.choice(products)
            writer.writerow([when, returned, number, shown_price, product, draw.choice(["a", "b"])])
    return path


def wait_until_ended(processes: list[psutil.Process]) -> None:
    """Fail unless all `processes` end soon; one that waits to be collected by a parent who does not care has ended."""
    deadline = time.monotonic() + 30
    while (running := [process for process in processes if is_running(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in running:
        process.kill()
    assert not running


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run(folder, *command, **environment):
    found = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"BOOMERANG_QUIET": "true", "BOOMERANG_JOBS": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def commit(folder):
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "state")


def clone_with_outputs(finished, folder):
    """A clone of it in `folder`, its outputs out of the same cache."""
    run(folder, "git", "clone", "-q", str(finished), "clone")
    clone = folder / "clone"
    (clone / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {finished / '.dvc' / 'cache'}\n")
    run(clone, "dvc", "checkout", "-q")
    return clone
