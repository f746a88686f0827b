"""Writes `data/purchases.csv`: a year of made-up purchases whose true return probability is known.

A purchase comes back with the probability ``1 / (1 + exp(-z))``, where

    z = -2.9  + 3.5 * burst                          recent returns raise the chance: burst is a mean over the past
                                                     labels with weight 0.8**k for the label k purchases ago
              + 0.4 * cos(2 pi (hour - 20) / 24)     evening purchases come back more often
              + 1.5 on Saturday and Sunday
              + 0.2 * (ln(number) - ln 3)            larger orders come back a little more often

Only `random.Random.random` is drawn from, whose stream Python guarantees, so the file is the same on every machine.
Run `python data/sample.py` to write it, `python data/sample.py --log_loss` for the log loss of the true probabilities.
"""

import argparse
import csv
import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

SEED = 20250101
FIRST_DAY = datetime(2025, 1, 1)
LAST_DAY = datetime(2026, 1, 1)
MEAN_GAP_MINUTES = 72.0
OPENS, CLOSES = 8, 22
FADE = 0.8


def return_probability(when: datetime, number: int, burst: float) -> float:
    """The true probability that a purchase at `when` of `number` pieces comes back; `burst` is 0 to 1."""
    z = -2.9 + 3.5 * burst + 0.4 * math.cos(2 * math.pi * (when.hour - 20) / 24)
    z += 1.5 * (when.weekday() >= 5) + 0.2 * (math.log(number) - math.log(3))
    return 1 / (1 + math.exp(-z))


def purchases() -> Iterator[tuple[datetime, bool, int, float]]:
    """Each purchase of the year: datetime, returned, number of pieces, and the true probability of `returned`."""
    draw = random.Random(SEED).random
    when, burst = FIRST_DAY + timedelta(hours=OPENS), 0.0
    while True:
        gap = -MEAN_GAP_MINUTES * math.log(1 - draw())
        when = (when + timedelta(minutes=gap)).replace(second=0, microsecond=0)
        if when.hour >= CLOSES:
            when = when.replace(hour=OPENS, minute=0) + timedelta(days=1, minutes=int(30 * draw()))
        if when >= LAST_DAY:
            return
        # A log-normal order size from the sum of twelve uniform draws, which is close to a normal one.
        number = max(1, round(math.exp(math.log(3) + 0.7 * (sum(draw() for _ in range(12)) - 6))))
        probability = return_probability(when, number, burst)
        returned = draw() < probability
        yield when, returned, number, probability
        burst = FADE * burst + (1 - FADE) * returned


def write(path: Path) -> None:
    """Write all purchases to `path` as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("datetime", "returned", "number"))
        for when, returned, number, _ in purchases():
            writer.writerow((when.strftime("%Y-%m-%dT%H:%M:%S"), "yes" if returned else "no", number))


def best_log_loss(first: float, end: float) -> float:
    """Mean log loss of the true probabilities over the rows from share `first` to share `end` of the year, in nats."""
    rows = list(purchases())
    part = rows[round(len(rows) * first) : round(len(rows) * end)]
    return -sum(math.log(p if returned else 1 - p) for _, returned, _, p in part) / len(part)


def main() -> None:
    """Write the sample, or print its best possible log loss."""
    parser = argparse.ArgumentParser(description="Write data/purchases.csv.")
    parser.add_argument("--log_loss", action="store_true", help="print the log loss of the true probabilities instead")
    if parser.parse_args().log_loss:
        print(f"validation rows (70 % to 90 %): {best_log_loss(0.7, 0.9):.4f}")
        print(f"test rows (the last 10 %):      {best_log_loss(0.9, 1.0):.4f}")
    else:
        write(Path(__file__).with_name("purchases.csv"))


if __name__ == "__main__":
    main()
