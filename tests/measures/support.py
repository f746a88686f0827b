"""Models of a known truth, and what is found out of their predictions."""

import numpy as np

from boomerang.measures import answers, test_set
from boomerang.measures.importance import Importance

N = 600
TRUTH = np.random.default_rng(0).uniform(0.02, 0.6, N)
RETURNED = (np.random.default_rng(1).random(N) < TRUTH).astype(int)
RATE = float(RETURNED.mean())


def model(name, kind, probabilities):
    return test_set.ModelPredictions(name, kind, probabilities)


BASE = model("base_rate", "baseline", np.full(N, RATE))
KNOWING = model("blend", "blend", TRUTH)


def noisy(name, kind, seed, spread):
    """A model that sees the truth through noise of this spread."""
    draw = np.random.default_rng(seed)
    return model(name, kind, np.clip(TRUTH + draw.normal(0, spread, N), 0.01, 0.99))


def purchases_of(returned=RETURNED, train_rate=RATE, margin=0.005):
    """Test purchases after a thousand to train on, of which `train_rate` came back, and none to validate on."""
    return test_set.TestSet(returned, (np.arange(1000) < round(1000 * train_rate)).astype(int), 0, margin)


def answer(*models, rows=None, **changes):
    """The answers to `next` by these models, of which `blend` is judged; `changes` as for `purchases_of`."""
    purchases = purchases_of(**changes)
    returned = purchases.returned
    importance = Importance(features={}, lags={}, n_rows=len(returned))
    datetimes = ["2024-01-01T00:00:00"] * len(returned)
    return answers.answer_question("next", "trees", 1, purchases, list(models), datetimes, importance, rows)
