"""Writes `data/customers.csv`: 15 months of made-up purchases by customers who return more or less than each other.

A purchase comes back with the probability ``1 / (1 + exp(-z))``, where

    z = propensity                                   the customer's own at that moment; over all customers it is
                                                     normal with mean -1.1 and standard deviation 1.2
        + 0.6 * (ln(number) - ln 3)                  larger orders come back more often

The propensity of a customer drifts as an Ornstein-Uhlenbeck process: its values ``t`` days apart have the correlation
``exp(-t / 500)``. Hour, weekday, how often a customer buys and what other customers return tell nothing about it. A
purchase without customer is by somebody unknown, another person each time.

A label is certain 21 days after the purchase. All that can be known about a purchase is therefore in the labels of its
customer that are certain by then and, once it is made, in its number: `known_past_probability` computes the best answer
from these.

Only uniform numbers are drawn, from numpy's PCG64, and none lies so close to what it is compared with that the last
digits of `exp` and `log`, in which machines differ, could change the file. Run `python data/customers.py` to write it,
`python data/customers.py --figures` for the log loss of the best answers.
"""

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

SEED = 20241001
FIRST_DAY = datetime(2024, 10, 1)
N_DAYS = 457
# Customers join at any time from this many days before the first day, and stay; some never buy.
N_CUSTOMERS, DAYS_JOINED_BEFORE = 3500, 450
# The mean gap between purchases is log-normal over the customers, before weekdays thin them out.
MEDIAN_GAP_DAYS, GAP_SPREAD = 90.0, 1.2
UNKNOWN_PER_DAY = 2.0
MEAN, SPREAD, DRIFT_DAYS = -1.1, 1.2, 500.0
NUMBER_EFFECT = 0.6
LABEL_DELAY = timedelta(days=21)
# Whether the file leaves the labels open that are not certain at its last purchase.
LEAVES_OPEN = True
# Percent of the purchases by number of pieces and by hour; chance that a purchase takes place, from Monday on.
NUMBERS = {1: 24, 2: 20, 3: 15, 4: 11, 5: 8, 6: 8, 8: 5, 10: 4, 12: 3, 24: 2}
HOURS = {8: 3, 9: 5, 10: 8, 11: 9, 12: 10, 13: 9, 14: 8, 15: 8, 16: 8, 17: 8, 18: 7, 19: 7, 20: 6, 21: 4}
WEEKDAYS = (0.9, 0.85, 0.85, 0.9, 1.0, 1.0, 0.6)
N_NODES = 64

Draw = Callable[[], float]


class Purchase(NamedTuple):
    """A purchase as it truly is: its label even where the file leaves it open, and its customer's propensity."""

    when: datetime
    returned: bool
    number: int
    customer: str
    propensity: float


def return_probability(propensity: float | np.ndarray, number: int | np.ndarray) -> np.ndarray:
    """The true probability that a purchase of `number` pieces comes back."""
    return np.asarray(1 / (1 + np.exp(-propensity - NUMBER_EFFECT * (np.log(number) - np.log(3)))))


def average_probability(propensity: float | np.ndarray) -> np.ndarray:
    """The true probability that a purchase comes back whose number is not known."""
    shares = np.array(list(NUMBERS.values())) / 100
    return return_probability(np.expand_dims(propensity, -1), np.array(list(NUMBERS))) @ shares


def pick(percents: dict[int, int], draw: Draw) -> int:
    """One of the keys of `percents`, each in so many percent of the cases."""
    drawn = 100 * draw()
    return next(key for key, end in zip(percents, accumulate(percents.values()), strict=True) if drawn < end)


def draw_normal(draw: Draw) -> float:
    """A number from the standard normal distribution."""
    return NormalDist().inv_cdf(draw())


def draw_propensity(draw: Draw, before: float = MEAN, days: float = math.inf) -> float:
    """The propensity of a customer for whom it was `before` so many `days` ago; by default, of a new customer."""
    kept = math.exp(-days / DRIFT_DAYS)
    return MEAN + kept * (before - MEAN) + SPREAD * math.sqrt(1 - kept**2) * draw_normal(draw)


def draw_times(draw: Draw, day: float, mean_gap_days: float) -> list[datetime]:
    """Datetimes of purchases in time order, from `day` days after the first day until the end."""
    times = []
    while (day := day - mean_gap_days * math.log(1 - draw())) < N_DAYS:
        when = FIRST_DAY + timedelta(days=math.floor(day), hours=pick(HOURS, draw), minutes=math.floor(60 * draw()))
        if draw() < WEEKDAYS[when.weekday()]:
            times.append(when)
    return sorted(times)


def draw_purchase(draw: Draw, when: datetime, customer: str, propensity: float) -> Purchase:
    """A purchase with its number and its label."""
    number = pick(NUMBERS, draw)
    returned = draw() < float(return_probability(propensity, number))
    return Purchase(when, returned, number, customer, propensity)


def purchases() -> list[Purchase]:
    """All purchases in time order."""
    draw = np.random.Generator(np.random.PCG64(SEED)).random
    rows = []
    for index in range(1, N_CUSTOMERS + 1):
        joined = max(0.0, (N_DAYS + DAYS_JOINED_BEFORE) * draw() - DAYS_JOINED_BEFORE)
        times = draw_times(draw, joined, MEDIAN_GAP_DAYS * math.exp(GAP_SPREAD * draw_normal(draw)))
        propensity = draw_propensity(draw)
        for before, when in zip(times[:1] + times, times, strict=False):
            propensity = draw_propensity(draw, propensity, (when - before) / timedelta(days=1))
            rows.append(draw_purchase(draw, when, f"C{index:05d}", propensity))
    for when in draw_times(draw, 0.0, 1 / UNKNOWN_PER_DAY):
        rows.append(draw_purchase(draw, when, "", draw_propensity(draw)))
    return sorted(rows, key=lambda row: row.when)


def labels_certain(rows: Sequence[Purchase]) -> np.ndarray:
    """Whether the label of each purchase is certain at the last one."""
    return np.array([row.when <= rows[-1].when - LABEL_DELAY for row in rows])


def hermite_basis(nodes: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """An orthogonal matrix: row n is the normalised n-th Hermite polynomial at `nodes`, times `roots`."""
    basis = [roots, nodes * roots]
    for n in range(1, len(nodes) - 1):
        basis.append((nodes * basis[n] - math.sqrt(n) * basis[n - 1]) / math.sqrt(n + 1))
    return np.array(basis)


# A belief about a propensity is its density relative to that over all customers, at the nodes of the Gauss-Hermite
# quadrature, times the square roots of their weights. ROOTS is the belief about a new customer.
NODES, _weights = hermegauss(N_NODES)
ROOTS = np.sqrt(_weights / _weights.sum())
PROPENSITIES = MEAN + SPREAD * NODES
BASIS = hermite_basis(NODES, ROOTS)


def after_drift(belief: np.ndarray, time: timedelta) -> np.ndarray:
    """What `belief` has become after `time`.

    In t days the drift multiplies the part of the n-th Hermite polynomial by ``exp(-n t / DRIFT_DAYS)`` (Mehler's
    formula), so no time is too short for the nodes.
    """
    kept = np.exp(-np.arange(N_NODES) * (time / timedelta(days=1)) / DRIFT_DAYS)
    return (kept * (BASIS @ belief)) @ BASIS


def after_label(belief: np.ndarray, row: Purchase) -> np.ndarray:
    """What `belief` has become by the label of `row`, by Bayes' rule."""
    returned = return_probability(PROPENSITIES, row.number)
    belief = belief * (returned if row.returned else 1 - returned)
    return belief / (ROOTS @ belief)


class Known(NamedTuple):
    """What is known of each purchase by the labels of its customer that are certain at its time.

    Attributes
    ----------
    made, next : ndarray of shape (n_purchases,)
        The probability that it comes back, with and without knowledge of its number.
    n_labels : ndarray of shape (n_purchases,), int
        How many labels are known.
    """

    made: np.ndarray
    next: np.ndarray
    n_labels: np.ndarray


def known_past_probability(rows: Sequence[Purchase]) -> Known:
    """The best answers: the probabilities of return given all that a model can know from the file.

    A Bayesian filter runs over the purchases of each customer in time order. `next` uses the time of the purchase for
    the drift since the last known label, which a model that answers this question does not know.

    Parameters
    ----------
    rows : sequence of Purchase
        In time order.
    """
    known = Known(np.empty(len(rows)), np.empty(len(rows)), np.zeros(len(rows), int))
    for positions in positions_by_customer(rows):
        belief, at, n_labels = ROOTS, rows[positions[0]].when, 0
        for position in positions:
            row = rows[position]
            # The delay is above 0, so this ends before `row`, and before others of the same datetime.
            while (past := rows[positions[n_labels]]).when <= row.when - LABEL_DELAY:
                belief = after_label(after_drift(belief, past.when - at), past)
                at, n_labels = past.when, n_labels + 1
            density = ROOTS * after_drift(belief, row.when - at)
            known.made[position] = density @ return_probability(PROPENSITIES, row.number)
            known.next[position] = density @ average_probability(PROPENSITIES)
            known.n_labels[position] = n_labels
    return known


def positions_by_customer(rows: Sequence[Purchase]) -> list[list[int]]:
    """Where the purchases of each customer stand in `rows`; each one without customer is on its own."""
    positions = defaultdict(list)
    for position, row in enumerate(rows):
        positions[row.customer or position].append(position)
    return list(positions.values())


def write(path: Path) -> None:
    """Write all purchases to `path` as CSV."""
    rows = purchases()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("datetime", "returned", "number", "customer"))
        for row, certain in zip(rows, labels_certain(rows), strict=True):
            label = "" if LEAVES_OPEN and not certain else "yes" if row.returned else "no"
            writer.writerow((row.when.strftime("%Y-%m-%dT%H:%M:%S"), label, row.number, row.customer))


def log_losses(returned: np.ndarray, probabilities: np.ndarray, n_labels: np.ndarray) -> list[float]:
    """Mean log loss in nats: over all purchases, and over those with 0, with 1 or 2, and with more known labels."""
    losses = -np.log(np.where(returned, probabilities, 1 - probabilities))
    groups = [n_labels >= 0, n_labels == 0, (n_labels == 1) | (n_labels == 2), n_labels >= 3]
    return [losses[group].mean() for group in groups]


def print_figures() -> None:
    """Print the log loss of the best answers on the test purchases: the last 10 % of those with a certain label."""
    rows = purchases()
    known = known_past_probability(rows)
    labelled = np.flatnonzero(labels_certain(rows))
    n_test, n_val = round(0.1 * len(labelled)), round(0.2 * len(labelled))
    test = labelled[-n_test:]
    returned = np.array([row.returned for row in rows])
    numbers, propensities = (np.array([row[field] for row in rows])[test] for field in (2, 4))
    share = returned[labelled[: -n_test - n_val]].mean()
    answers = {
        "share of returns in training": np.full(n_test, share),
        "made, by its number alone": return_probability(PROPENSITIES, numbers[:, None]) @ ROOTS**2,
        "next, by the known past": known.next[test],
        "made, by the known past": known.made[test],
        "next, by the true propensity": average_probability(propensities),
        "made, by the true propensity": return_probability(propensities, numbers),
    }
    n_labels = known.n_labels[test]
    counts = (n_test, *np.bincount(np.digitize(n_labels, [1, 3]), minlength=3))
    print(f"{'known labels':30}{'all':>9}{'0':>9}{'1-2':>9}{'3+':>9}")
    print(f"{'test purchases':30}" + "".join(f"{count:9d}" for count in counts))
    for name, answer in answers.items():
        print(f"{name:30}" + "".join(f"{loss:9.4f}" for loss in log_losses(returned[test], answer, n_labels)))


def main() -> None:
    """Write the sample, or print the log loss of its best answers."""
    parser = argparse.ArgumentParser(description="Write data/customers.csv.")
    parser.add_argument("--figures", action="store_true", help="print the log loss of the best answers instead")
    if parser.parse_args().figures:
        print_figures()
    else:
        write(Path(__file__).with_name("customers.csv"))


if __name__ == "__main__":
    main()
