"""How often intervals of dependent values hold, by simulation: `python -m tests.benchmarks.coverage [n] [repetitions]`.

Values follow ``x(t) = a x(t - 1) + e(t)`` with normal e and mean 0. Printed is the share of repetitions whose intervals
hold 0: one at 95 %, five at once at 95 % by shared blocks, as for the differences to the baselines, and twenty at once
at 99 % by blocks of their own, as in a table. Beside it stands one interval of a moving-block bootstrap with blocks of
the cube root of n. The values of several series are alike: two thirds of their variance is common.
"""

import argparse

import numpy as np
from scipy.signal import lfilter

from boomerang.measures.intervals import choose_block_length, simultaneous_intervals

COEFFICIENTS = (0.0, 0.3, 0.6, 0.8, 0.9)
# Series at once, confidence, and whether the longest of their blocks serves all.
CASES = ((1, 0.95, True), (5, 0.95, True), (20, 0.99, False))
# Values before the first that is used.
WARM_UP = 300


def draw_series(draw: np.random.Generator, n_series: int, n: int, coefficient: float) -> np.ndarray:
    """Series of shape (n_series, n)."""
    errors = draw.normal(size=(n_series + 1, WARM_UP + n))
    every = lfilter([1], [1, -coefficient], errors, axis=1)[:, WARM_UP:]
    series: np.ndarray = np.sqrt(2 / 3) * every[0] + np.sqrt(1 / 3) * every[1:]
    return series


def hold(series: np.ndarray, confidence: float, share_blocks: bool, seed: int) -> tuple[bool, int]:
    """Whether all intervals hold 0, and the longest block."""
    lengths = [choose_block_length(values) for values in series]
    if share_blocks:
        lengths = [max(lengths)] * len(lengths)
    low, high = simultaneous_intervals(series.mean(axis=1), series, lengths, confidence, seed)
    return bool(((low <= 0) & (high >= 0)).all()), max(lengths)


def holds_by_cube_root(values: np.ndarray, draw: np.random.Generator) -> bool:
    """Whether an interval of 95 % by moving blocks of the cube root of n holds 0."""
    n = len(values)
    length = round(n ** (1 / 3))
    starts = draw.integers(0, n - length + 1, size=(1000, -(-n // length)))
    means = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)[starts].mean(axis=1)
    reach = np.quantile(np.abs(means - means.mean()), 0.95)
    return bool(abs(values.mean()) <= reach)


def main() -> None:
    """Simulate every coefficient and case."""
    parser = argparse.ArgumentParser(description="Measure how often intervals hold.")
    parser.add_argument("n", type=int, nargs="?", default=499, help="values in a series (default: 499)")
    parser.add_argument("repetitions", type=int, nargs="?", default=2000, help="default: 2000")
    flags = parser.parse_args()
    print(f"{flags.n} values, {flags.repetitions} repetitions: share whose intervals hold, median block")
    print("    a   n^(1/3)" + "".join(f"{f'{k} at {confidence:.0%}':>16}" for k, confidence, _ in CASES))
    for coefficient in COEFFICIENTS:
        draw = np.random.default_rng(0)
        found = []
        for seed in range(flags.repetitions):
            series = draw_series(draw, max(k for k, _, _ in CASES), flags.n, coefficient)
            cases = [hold(series[:k], confidence, shared, seed) for k, confidence, shared in CASES]
            found.append([(holds_by_cube_root(series[0], draw), 0), *cases])
        shares, lengths = np.mean(found, axis=0)[:, 0], np.median(found, axis=0)[:, 1]
        cells = [f"{f'{share:.1%} {length:.0f}':>16}" for share, length in zip(shares[1:], lengths[1:], strict=True)]
        print(f"{coefficient:>5} {shares[0]:>9.1%}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
