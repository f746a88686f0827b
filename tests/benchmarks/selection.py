"""What is lost because validation decides everything: `python -m tests.benchmarks.selection`.

The best epoch of members and the rounds of trees, weights, temperature and the choice of the part that answers all come
from the same validation purchases. Two simulations show what that costs:

- Purchases whose true probabilities are known. The log loss of the blend is compared with what it would be if weights,
  temperature and choice came from as many fresh purchases (`fresh`), and if validation were divided in time, its first
  half for epochs and rounds, its second for the rest (`halves`). Also printed is how much better the blend seems on the
  validation purchases than it is.
- Purchases whose labels are coins. In how many of 40 seeds does the blend surely beat the share of returns?

Takes about 20 minutes on two cores.
"""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import argparse
import math
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.special import expit, logit

from boomerang.base import settings
from boomerang.base.ensembles import LSTMS, QUESTIONS, TREES, ensembles_answering, name_for
from boomerang.base.execution import Execution
from boomerang.base.paths import PARAMS_FILE
from boomerang.combining.blending import Blend, fit_blend
from boomerang.combining.calibration import fit_across, fit_combination
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.pools import Member
from boomerang.features.prepared import read_prepared
from boomerang.measures.figures import compare_losses
from boomerang.measures.test_set import ModelPredictions, TestSet
from stages.backtest import run_pipeline

# Members of the defaults but for their number and size, so that 40 trainings take minutes.
CHANGED = {
    "sequences": {"seq_lengths": [2, 5, 12]},
    "train": {"epochs": 6, "hidden_size": 16, "num_layers": 1},
}
N_VAL = 6400
N_TRAIN, N_TEST = 3 * N_VAL, 8 * N_VAL


def draw_purchases(n_rows: int, seed: int, is_noise: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Purchases as of the sample, and the true probability that each comes back."""
    draw = np.random.default_rng(seed)
    minutes = np.cumsum(draw.exponential(40, n_rows)).astype(np.int64)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min")
    number = np.maximum(1, np.round(np.exp(draw.normal(math.log(3), 0.7, n_rows)))).astype(int)
    own = 0.5 * np.cos(2 * np.pi * (times.hour - 20) / 24) + 1.0 * (times.day_of_week >= 5) + 0.4 * np.log(number / 3)
    coins = draw.random(n_rows)
    probabilities, burst = np.full(n_rows, 0.15), 0.0
    if not is_noise:
        for row, z in enumerate(own.tolist()):
            probabilities[row] = expit(-2.6 + 3.0 * burst + z)
            burst = 0.8 * burst + 0.2 * (coins[row] < probabilities[row])
    table = pd.DataFrame(
        {"datetime": times, "returned": np.where(coins < probabilities, "yes", "no"), "number": number}
    )
    return table, probabilities


def train(table: pd.DataFrame, n_train: int, n_val: int, folder: Path, n_jobs: int) -> TrainedEnsembles:
    """Run the pipeline; what lies behind training and validation is its test part."""
    params = yaml.safe_load(PARAMS_FILE.read_text())
    for section, values in CHANGED.items():
        params[section] |= values
    table.to_csv(folder / "purchases.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    n = len(table)
    params["prepare"] |= {
        "data_path": str(folder / "purchases.csv"),
        "val_split": n_val / n,
        "test_split": (n - n_train - n_val) / n,
    }
    execution = Execution(jobs=n_jobs, quiet=True, no_store=True)
    run_pipeline(settings.validate_settings(params, "settings"), execution, folder)
    return TrainedEnsembles.load(folder)


@dataclass
class Opinions:
    """Logits of members and trees for all purchases, and what is known of these."""

    logits: dict[Member, np.ndarray]
    lengths: list[int]
    returned: np.ndarray
    truth: np.ndarray

    def of(self, question: str, rows: slice) -> tuple[list[np.ndarray], np.ndarray]:
        """The logits of each ensemble, of shape (n_members, n), and of the trees."""
        members = [
            np.array([self.logits[name, length][rows] for length in self.lengths])
            for name in ensembles_answering(question)
        ]
        (trees,) = (found for (name, _), found in self.logits.items() if name == name_for(TREES, question))
        return members, trees[rows]

    def choose(self, question: str, rows: slice) -> Blend:
        """The blend that these rows choose, as `meta` lets the validation purchases do."""
        rate, targets = self.returned[:N_TRAIN].mean(), self.returned[rows]
        base_logit = round(math.log(rate / (1 - rate)), 6)
        ensembles, trees = self.of(question, rows)
        if question == "next":
            lstms = Blend.of_members(fit_across(ensembles, targets, base_logit), base_logit, LSTMS[question])
        else:
            lstms = Blend.of_members(fit_combination(ensembles[0], targets), 0.0, LSTMS[question])
        return fit_blend(question, np.concatenate(ensembles), trees, lstms, targets, base_logit)

    def loss(self, blend: Blend, question: str, rows: slice, targets: np.ndarray) -> float:
        """The mean log loss over rows, of labels or, by their probabilities, of all that they might have been."""
        ensembles, trees = self.of(question, rows)
        z = blend.logits(np.concatenate(ensembles), trees)
        return float(np.mean(np.logaddexp(0, z) - targets[rows] * z))


def simulate(seed: int, n_jobs: int) -> dict[str, dict[str, float]]:
    """By question: log loss of the blend on new purchases, by what decided, and how much better it seemed to be."""
    table, truth = draw_purchases(N_TRAIN + 2 * N_VAL + N_TEST, seed, is_noise=False)
    returned = (table["returned"] == "yes").to_numpy().astype(int)
    val, fresh = slice(N_TRAIN, N_TRAIN + N_VAL), slice(N_TRAIN + N_VAL, N_TRAIN + 2 * N_VAL)
    second_half, test = slice(N_TRAIN + N_VAL // 2, N_TRAIN + N_VAL), slice(N_TRAIN + 2 * N_VAL, None)
    found: dict[str, dict[str, float]] = {question: {} for question in QUESTIONS}
    for n_val, decided_by in ((N_VAL, {"one": val, "fresh": fresh}), (N_VAL // 2, {"halves": second_half})):
        with tempfile.TemporaryDirectory() as name:
            ensembles = train(table, N_TRAIN, n_val, Path(name), n_jobs)
            prepared = read_prepared(Path(name) / "prepared" / "purchases.parquet")
            logits = ensembles.member_logits(prepared, 0, len(prepared))
        opinions = Opinions(logits, ensembles.metadata.seq_lengths, returned, truth)
        for question in QUESTIONS:
            for how, rows in decided_by.items():
                blend = opinions.choose(question, rows)
                found[question][how] = opinions.loss(blend, question, test, truth)
                if how == "one":
                    losses = [opinions.loss(blend, question, val, targets) for targets in (truth, returned)]
                    # The true probabilities fit labels by chance as well, which is no matter of choice.
                    z = logit(truth[val])
                    by_chance = np.mean((returned[val] - truth[val]) * z)
                    found[question]["seems"] = losses[0] - losses[1] - float(by_chance)
    return found


def beats_by_chance(seed: int, n_rows: int, n_jobs: int) -> list[bool]:
    """By question: whether the blend surely beats the share of returns on labels that are coins."""
    table, _ = draw_purchases(n_rows, 1000 + seed, is_noise=True)
    with tempfile.TemporaryDirectory() as name:
        ensembles = train(table, round(0.6 * n_rows), round(0.2 * n_rows), Path(name), n_jobs)
        prepared = read_prepared(Path(name) / "prepared" / "purchases.parquet")
        returned, parts = prepared["returned"].to_numpy(), prepared["part"].to_numpy()
        first = int((parts != "test").sum())
        scores = ensembles.score_scaled(prepared, first, len(prepared))
    test_set = TestSet(returned[first:], returned[:first], int((parts == "val").sum()), 0.005)
    base = ModelPredictions("base_rate", "baseline", np.full(len(scores), returned[parts == "train"].mean()))
    beats = []
    for question in QUESTIONS:
        ours = ModelPredictions("blend", "blend", scores[f"blend_{question}"].to_numpy())
        high = compare_losses(test_set, ours, [base])["base_rate"].high
        beats.append(high is not None and high < 0)
    return beats


def main() -> None:
    """Run both simulations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="of the first simulation (default: 10)")
    parser.add_argument("--coins", type=int, default=40, help="seeds of the second (default: 40)")
    parser.add_argument("--jobs", type=int, default=2, help="members trained side by side (default: 2)")
    flags = parser.parse_args()
    runs = [simulate(seed, flags.jobs) for seed in range(flags.seeds)]
    for question in QUESTIONS if runs else ():
        print(
            f"{question}, {len(runs)} seeds, {N_VAL} validation purchases: mean log loss (standard error of the mean)"
        )
        for name, text in (
            ("fresh", "lost by choosing on the purchases that stopped the training, against fresh ones"),
            ("halves", "lost against a validation part divided in time"),
        ):
            lost = [run[question]["one"] - run[question][name] for run in runs]
            print(f"  {text}: {show(lost)}")
        print(f"  how much better the blend seems there than it is: {show([run[question]['seems'] for run in runs])}")
    for n_rows in (5000, 20_000):
        found = [beats_by_chance(seed, n_rows, flags.jobs) for seed in range(flags.coins)]
        for question, beats in zip(QUESTIONS, zip(*found, strict=True), strict=False):
            print(
                f"{question}, labels by coin, {n_rows} purchases: surely better in {sum(beats)} of {len(beats)} seeds"
            )


def show(values: list[float]) -> str:
    """Mean and standard error."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):+.5f} ({error:.5f})"


if __name__ == "__main__":
    main()
