"""Writes `data/customers.csv`: 15 months of made-up purchases in which customers and products differ in their returns.

A purchase comes back with the probability ``1 / (1 + exp(-z))``, where

    z = propensity                                   the customer's own at that moment; over all customers it is
                                                     normal with mean -1.1 and standard deviation 1.2
        + 0.6 * (ln(number) - ln 3)                  larger orders come back more often
        + effect                                     the product's own, the same at all times; over all products it
                                                     is normal with mean 0 and standard deviation 1

The propensity of a customer drifts as an Ornstein-Uhlenbeck process: its values ``t`` days apart have the correlation
``exp(-t / 500)``. Hour, weekday, how often a customer buys and what other customers return tell nothing about it. A
purchase without customer is by somebody unknown, another person each time.

Most products are sold from the first day on, the others from a day within the 15 months on, and none is withdrawn. A
purchase is of any product on sale, by popularity alone: customer, number and hour tell nothing about it. A few products
sell a lot, most sell little.

A label is certain 21 days after the purchase. `known_past_probability` computes the best answer from the labels of its
customer that are certain by then and, once the purchase is made, from its number and product. This answer is told the
true effect and popularity of every product. A model has to learn effects from the labels of all customers, and for a
new product there are none yet.

Only uniform numbers are drawn, from numpy's PCG64, and none lies so close to what it is compared with that the last
digits of `exp` and `log`, in which machines differ, could change the file. Run `python data/customers.py` to write it,
`python data/customers.py --figures` for the log loss of the best answers.
"""

import argparse
import csv
import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

# Customers, choices of a product, and products have a generator each, so that none changes what another draws.
# With this CATALOGUE_SEED the mean effect of the products, weighted by popularity, is about 0.
SEED, CHOICE_SEED, CATALOGUE_SEED = 20241001, 20241002, 20241023
FIRST_DAY = datetime(2024, 10, 1)
N_DAYS = 457
# Customers join at any time from this many days before the first day, and stay; some never buy.
N_CUSTOMERS, DAYS_JOINED_BEFORE = 3500, 450
# The mean gap between purchases is log-normal over the customers, before weekdays thin them out.
MEDIAN_GAP_DAYS, GAP_SPREAD = 90.0, 1.2
UNKNOWN_PER_DAY = 2.0
MEAN, SPREAD, DRIFT_DAYS = -1.1, 1.2, 500.0
NUMBER_EFFECT = 0.6
N_PRODUCTS, SHARE_FROM_FIRST_DAY = 150, 0.6
# Popularities are log-normal over the products, effects normal.
POPULARITY_SPREAD, EFFECT_SPREAD = 1.2, 1.0
LABEL_DELAY = timedelta(days=21)
# Whether the file leaves the labels open that are not certain at its last purchase.
LEAVES_OPEN = True
# Percent of the purchases by number of pieces and by hour; chance that a purchase takes place, from Monday on.
NUMBERS = {1: 24, 2: 20, 3: 15, 4: 11, 5: 8, 6: 8, 8: 5, 10: 4, 12: 3, 24: 2}
NUMBER_SHARES = np.array(list(NUMBERS.values())) / 100
HOURS = {8: 3, 9: 5, 10: 8, 11: 9, 12: 10, 13: 9, 14: 8, 15: 8, 16: 8, 17: 8, 18: 7, 19: 7, 20: 6, 21: 4}
WEEKDAYS = (0.9, 0.85, 0.85, 0.9, 1.0, 1.0, 0.6)
N_NODES = 64

Draw = Callable[[], float]
Values = float | np.ndarray


class Purchase(NamedTuple):
    """A purchase as it truly is: its label even where the file leaves it open, and its customer's propensity.

    `product` is the position of its product in `Products`.
    """

    when: datetime
    returned: bool
    number: int
    customer: str
    product: int
    propensity: float


class Products(NamedTuple):
    """All products in the order of their launch, so that those on sale at any time are the first ones.

    Attributes
    ----------
    launch_days : ndarray of shape (n_products,), int
        Days from the first day until each is on sale.
    popularities : ndarray of shape (n_products,)
        How often each is bought, relative to the others on sale.
    effects : ndarray of shape (n_products,)
        What each adds to the log-odds of return.
    """

    launch_days: np.ndarray
    popularities: np.ndarray
    effects: np.ndarray

    def newest(self, when: datetime) -> int:
        """The position of the product launched last of those on sale."""
        return bisect(self.launch_days, (when - FIRST_DAY).days) - 1


def return_probability(propensity: Values, number: Values, effect: Values) -> np.ndarray:
    """The true probability that a purchase of `number` pieces of a product with this `effect` comes back."""
    return np.asarray(1 / (1 + np.exp(-propensity - NUMBER_EFFECT * (np.log(number) - np.log(3)) - effect)))


def average_probabilities(propensities: np.ndarray, products: Products) -> np.ndarray:
    """The true probability that a purchase comes back whose product is not known.

    Returns
    -------
    ndarray of shape (len(NUMBERS), n_products, n_propensities)
        By number, by the position of the newest product on sale, and by propensity.
    """
    numbers, weights = np.array(list(NUMBERS)), products.popularities[:, None]
    chances = return_probability(propensities, numbers[:, None, None], products.effects[:, None])
    return np.cumsum(weights * chances, axis=1) / np.cumsum(weights, axis=0)


def uniform(seed: int) -> Draw:
    """A source of uniform numbers from 0 to below 1."""
    return np.random.Generator(np.random.PCG64(seed)).random


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


def draw_products() -> Products:
    """All products."""
    draw = uniform(CATALOGUE_SEED)
    days = [0 if draw() < SHARE_FROM_FIRST_DAY else math.floor(N_DAYS * draw()) for _ in range(N_PRODUCTS)]
    popularities = [math.exp(POPULARITY_SPREAD * draw_normal(draw)) for _ in range(N_PRODUCTS)]
    effects = [EFFECT_SPREAD * draw_normal(draw) for _ in range(N_PRODUCTS)]
    return Products(np.sort(days), np.array(popularities), np.array(effects))


def pick_product(products: Products, when: datetime, draw: Draw) -> int:
    """One of the products on sale, each as often as its popularity says."""
    ends = np.cumsum(products.popularities[: products.newest(when) + 1])
    return bisect(ends, ends[-1] * draw())


def purchases() -> list[Purchase]:
    """All purchases in time order."""
    draw, draw_choice, products = uniform(SEED), uniform(CHOICE_SEED), draw_products()

    def draw_purchase(when: datetime, customer: str, propensity: float) -> Purchase:
        number, product = pick(NUMBERS, draw), pick_product(products, when, draw_choice)
        returned = draw() < float(return_probability(propensity, number, products.effects[product]))
        return Purchase(when, returned, number, customer, product, propensity)

    rows = []
    for index in range(1, N_CUSTOMERS + 1):
        joined = max(0.0, (N_DAYS + DAYS_JOINED_BEFORE) * draw() - DAYS_JOINED_BEFORE)
        times = draw_times(draw, joined, MEDIAN_GAP_DAYS * math.exp(GAP_SPREAD * draw_normal(draw)))
        propensity = draw_propensity(draw)
        for before, when in zip(times[:1] + times, times, strict=False):
            propensity = draw_propensity(draw, propensity, (when - before) / timedelta(days=1))
            rows.append(draw_purchase(when, f"C{index:05d}", propensity))
    for when in draw_times(draw, 0.0, 1 / UNKNOWN_PER_DAY):
        rows.append(draw_purchase(when, "", draw_propensity(draw)))
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


def after_label(belief: np.ndarray, returned: bool, chances: np.ndarray) -> np.ndarray:
    """What `belief` has become by a label that is yes with `chances` at the nodes, by Bayes' rule."""
    belief = belief * (chances if returned else 1 - chances)
    return belief / (ROOTS @ belief)


class Known(NamedTuple):
    """What is known of each purchase by the labels of its customer that are certain at its time.

    Attributes
    ----------
    made, next : ndarray of shape (n_purchases,)
        The probability that it comes back, with and without knowledge of its number and product.
    n_labels : ndarray of shape (n_purchases,), int
        How many labels are known.
    """

    made: np.ndarray
    next: np.ndarray
    n_labels: np.ndarray


def known_past_probability(rows: Sequence[Purchase], products: Products, sees_products: bool = True) -> Known:
    """The best answers: the probabilities of return given the known labels of the customer and all `products`.

    A Bayesian filter runs over the purchases of each customer in time order. `next` uses the time of the purchase for
    the drift since the last known label and for what is on sale, which a model that answers this question does not
    know.

    Parameters
    ----------
    rows : sequence of Purchase
        In time order.
    sees_products : bool
        Whether it is known of which product a purchase is, or only of which products it may be.
    """
    newest = [products.newest(row.when) for row in rows]
    averages = average_probabilities(PROPENSITIES, products)
    next_chances = np.tensordot(NUMBER_SHARES, averages, 1)[newest]  # (purchase, node)
    if sees_products:
        numbers, effects = column(rows, "number"), products.effects[column(rows, "product")]
        made_chances = return_probability(PROPENSITIES, numbers[:, None], effects[:, None])
    else:
        made_chances = averages[[list(NUMBERS).index(row.number) for row in rows], newest]
    known = Known(np.empty(len(rows)), np.empty(len(rows)), np.zeros(len(rows), int))
    for positions in positions_by_customer(rows):
        belief, at, n_labels = ROOTS, rows[positions[0]].when, 0
        for position in positions:
            when = rows[position].when
            # The delay is above 0, so this ends before `position`, and before others of the same datetime.
            while rows[past := positions[n_labels]].when <= when - LABEL_DELAY:
                belief = after_drift(belief, rows[past].when - at)
                belief = after_label(belief, rows[past].returned, made_chances[past])
                at, n_labels = rows[past].when, n_labels + 1
            density = ROOTS * after_drift(belief, when - at)
            known.made[position] = density @ made_chances[position]
            known.next[position] = density @ next_chances[position]
            known.n_labels[position] = n_labels
    return known


def column(rows: Sequence[Purchase], name: str) -> np.ndarray:
    """The field `name` of all purchases."""
    return np.array([getattr(row, name) for row in rows])


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
        writer.writerow(("datetime", "returned", "number", "customer", "product"))
        for row, certain in zip(rows, labels_certain(rows), strict=True):
            label = "" if LEAVES_OPEN and not certain else "yes" if row.returned else "no"
            when, product = row.when.strftime("%Y-%m-%dT%H:%M:%S"), f"P{row.product + 1:03d}"
            writer.writerow((when, label, row.number, row.customer, product))


def log_losses(returned: np.ndarray, probabilities: np.ndarray, n_labels: np.ndarray) -> list[float]:
    """Mean log loss in nats: over all purchases, and over those with 0, with 1 or 2, and with more known labels."""
    losses = -np.log(np.where(returned, probabilities, 1 - probabilities))
    groups = [n_labels >= 0, n_labels == 0, (n_labels == 1) | (n_labels == 2), n_labels >= 3]
    return [losses[group].mean() for group in groups]


def print_figures() -> None:
    """Print the log loss of the best answers on the test purchases: the last 10 % of those with a certain label."""
    rows, products = purchases(), draw_products()
    of_nobody = [row._replace(customer="") for row in rows]
    by_number, by_product, without_product, known = (
        known_past_probability(given, products, sees_products)
        for given in (of_nobody, rows)
        for sees_products in (False, True)
    )
    labelled = np.flatnonzero(labels_certain(rows))
    n_test, n_val = round(0.1 * len(labelled)), round(0.2 * len(labelled))
    test, returned = labelled[-n_test:], column(rows, "returned")
    tested = [rows[position] for position in test]
    propensities, effects = column(tested, "propensity"), products.effects[column(tested, "product")]
    newest = [products.newest(row.when) for row in tested]
    answers = {
        "share of returns in training": np.full(n_test, returned[labelled[: -n_test - n_val]].mean()),
        "made, by its number alone": by_number.made[test],
        "made, by its number and product alone": by_product.made[test],
        "next, by the known past": known.next[test],
        "made, by the known past, without its product": without_product.made[test],
        "made, by the known past": known.made[test],
        "next, by the true propensity": NUMBER_SHARES
        @ average_probabilities(propensities, products)[:, newest, range(n_test)],
        "made, by the true propensity": return_probability(propensities, column(tested, "number"), effects),
    }
    n_labels = known.n_labels[test]
    counts = (n_test, *np.bincount(np.digitize(n_labels, [1, 3]), minlength=3))
    print(f"{'known labels':44}{'all':>9}{'0':>9}{'1-2':>9}{'3+':>9}")
    print(f"{'test purchases':44}" + "".join(f"{count:9d}" for count in counts))
    for name, answer in answers.items():
        print(f"{name:44}" + "".join(f"{loss:9.4f}" for loss in log_losses(returned[test], answer, n_labels)))


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
