import csv
import importlib.util
import itertools
import math
from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import ROOT


def load_customers():
    spec = importlib.util.spec_from_file_location("customers", ROOT / "data" / "customers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


customers = load_customers()
FIRST_DAY = datetime(2024, 10, 1)
FIRST = datetime(2025, 1, 1, 12)
# Two products are on sale from before FIRST on, one from 50 days after that day on, and one from 300 days after it on.
PRODUCTS = customers.Products(
    (FIRST - FIRST_DAY).days + np.array([-20, -3, 50, 300]),
    np.array([5.0, 1.0, 2.0, 9.0]),
    np.array([-0.7, 1.5, 0.4, 3.0]),
)


@pytest.fixture(scope="module")
def rows():
    return customers.purchases()


@pytest.fixture(scope="module")
def products():
    return customers.draw_products()


def purchase(day, returned=False, number=3, customer="C1", product=0):
    return customers.Purchase(FIRST + timedelta(days=day), returned, number, customer, product, 0.0)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_the_committed_sample_is_what_the_generator_writes(tmp_path):
    customers.write(tmp_path / "customers.csv")
    assert (tmp_path / "customers.csv").read_bytes() == (ROOT / "data" / "customers.csv").read_bytes()


@pytest.mark.parametrize("factor", [1 - 1e-10, 1 + 1e-10])
def test_rounding_errors_of_other_machines_do_not_change_it(rows, monkeypatch, factor):
    nudged = SimpleNamespace(
        # exp(0) is exactly 1 on every machine.
        exp=lambda x: math.exp(x) * (factor if x else 1),
        log=lambda x: math.log(x) * factor,
        sqrt=lambda x: math.sqrt(x) * factor,
        floor=math.floor,
    )
    monkeypatch.setattr(customers, "math", nudged)
    draw_normal, return_probability = customers.draw_normal, customers.return_probability
    monkeypatch.setattr(customers, "draw_normal", lambda draw: factor * draw_normal(draw))
    monkeypatch.setattr(customers, "return_probability", lambda *given: factor * return_probability(*given))
    again = customers.purchases()
    assert [row[:5] for row in again] == [row[:5] for row in rows]
    assert [row.propensity for row in again] != [row.propensity for row in rows]


def test_it_is_about_24000_purchases_in_time_order_over_15_months(rows):
    times = [row.when for row in rows]
    assert 23_000 <= len(times) <= 25_000
    assert times == sorted(times)
    assert (times[0].date(), times[-1].date()) == (datetime(2024, 10, 1).date(), datetime(2025, 12, 31).date())


def test_many_customers_buy_once_or_twice_and_some_a_hundred_times(rows):
    counts = Counter(row.customer for row in rows)
    assert 0.02 < counts.pop("") / len(rows) < 0.05
    assert 2000 < len(counts) < 3500
    assert sum(count <= 2 for count in counts.values()) > 0.3 * len(counts)
    assert max(counts.values()) > 100


def written_rows(path=ROOT / "data" / "customers.csv"):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_labels_are_open_that_are_not_certain_at_the_last_purchase():
    written = written_rows()
    last = datetime.fromisoformat(written[-1]["datetime"])
    for row in written:
        is_open = datetime.fromisoformat(row["datetime"]) > last - timedelta(days=21)
        assert row["returned"] in ([""] if is_open else ["yes", "no"])


def test_labels_can_be_written_where_they_are_not_certain_yet(tmp_path, monkeypatch):
    monkeypatch.setattr(customers, "LEAVES_OPEN", False)
    customers.write(tmp_path / "customers.csv")
    assert {row["returned"] for row in written_rows(tmp_path / "customers.csv")} == {"yes", "no"}


def logits_of(rows, products):
    return np.array([row.propensity + 0.6 * math.log(row.number / 3) + products.effects[row.product] for row in rows])


def test_labels_are_drawn_from_the_documented_probabilities(rows, products):
    logits = logits_of(rows, products)
    expected, returned = sigmoid(logits), np.array([row.returned for row in rows])
    for chosen in (logits > -9, logits < -2, logits > 0):
        deviation = math.sqrt((expected * (1 - expected))[chosen].sum())
        assert abs(returned[chosen].sum() - expected[chosen].sum()) < 3 * deviation


def test_the_share_of_returns_of_a_product_follows_its_effect(rows, products):
    expected, bought = sigmoid(logits_of(rows, products)), np.array([row.product for row in rows])
    returned = np.array([row.returned for row in rows])
    sold = np.bincount(bought, minlength=150)
    deviations = np.sqrt(np.bincount(bought, expected * (1 - expected), 150))
    surplus = np.bincount(bought, returned, 150) - np.bincount(bought, expected, 150)
    assert (np.abs(surplus) < 4 * deviations + (sold == 0)).all()
    often = sold >= 100
    shares = np.bincount(bought, returned, 150)[often] / sold[often]
    assert np.corrcoef(shares, products.effects[often])[0, 1] > 0.95


def test_effects_are_about_standard_normal_and_of_mean_0_by_popularity(products):
    effects, shares = products.effects, products.popularities / products.popularities.sum()
    assert len(effects) == 150
    assert abs(np.std(effects) - 1) < 2 / math.sqrt(2 * 150)
    assert abs(shares @ effects) < 0.1


def test_a_few_products_sell_a_lot_and_most_sell_little(rows):
    counts = sorted(Counter(row.product for row in rows).values(), reverse=True)
    assert sum(counts[:15]) > 0.4 * len(rows)
    assert sum(count < 100 for count in counts) > 50


def test_products_are_bought_from_their_launch_on_and_never_before(products):
    first_bought = {}
    for row in written_rows():
        first_bought.setdefault(int(row["product"].removeprefix("P")) - 1, datetime.fromisoformat(row["datetime"]))
    launches = [FIRST_DAY + timedelta(days=int(day)) for day in products.launch_days]
    assert 80 < launches.count(FIRST_DAY) < 100
    assert all(when >= launches[product] for product, when in first_bought.items())
    assert np.median([first_bought[product] - launches[product] for product in first_bought]) < timedelta(days=7)


def test_products_on_sale_are_bought_by_popularity_alone(rows, products):
    latest = [row for row in rows if row.when > rows[-1].when - timedelta(days=200)]
    expected = np.zeros(150)
    for row in latest:
        on_sale = products.launch_days <= (row.when - FIRST_DAY).days
        expected += on_sale * products.popularities / products.popularities[on_sale].sum()
    found = np.bincount([row.product for row in latest], minlength=150)
    # Pearson's statistic has the mean n and the variance 2n.
    assert abs(((found - expected) ** 2 / expected).sum() - 149) < 3 * math.sqrt(2 * 149)
    numbers, effects = np.array([(math.log(row.number), products.effects[row.product]) for row in rows]).T
    propensities = [row.propensity for row in rows]
    assert abs(np.corrcoef(numbers, effects)[0, 1]) < 3 / math.sqrt(len(rows))
    assert abs(np.corrcoef(propensities, effects)[0, 1]) < 3 / math.sqrt(len(rows))


def test_some_test_purchases_are_of_products_launched_in_the_last_tenth(rows, products):
    labelled = np.flatnonzero(customers.labels_certain(rows))
    tested = [rows[position] for position in labelled[-round(0.1 * len(labelled)) :]]
    new = products.launch_days > (tested[0].when - FIRST_DAY).days
    bought = [row.product for row in tested if new[row.product]]
    assert len(bought) > 0.01 * len(tested)
    assert len(set(bought)) >= 3


def test_propensities_drift_as_documented(rows):
    steps = []
    for positions in customers.positions_by_customer(rows):
        own = [rows[position] for position in positions]
        steps.append((own[0].propensity + 1.1) / 1.2)
        for before, after in itertools.pairwise(own):
            kept = math.exp(-(after.when - before.when) / timedelta(days=500))
            if kept < 1:
                step = after.propensity + 1.1 - kept * (before.propensity + 1.1)
                steps.append(step / (1.2 * math.sqrt(1 - kept**2)))
    assert abs(np.mean(steps)) < 3 / math.sqrt(len(steps))
    assert abs(np.var(steps) - 1) < 3 * math.sqrt(2 / len(steps))


def mean_chance(row, propensities, numbers, positions):
    """The probability that `row` comes back if its number and product were any of these, by how often each is bought.

    Products that are not on sale yet are left out.
    """
    total, weights = 0.0, 0.0
    for number, position in itertools.product(numbers, positions):
        if PRODUCTS.launch_days[position] <= (row.when - FIRST_DAY).days:
            weight = customers.NUMBERS[number] * PRODUCTS.popularities[position]
            total = total + weight * sigmoid(propensities + 0.6 * math.log(number / 3) + PRODUCTS.effects[position])
            weights += weight
    return total / weights


def integrated_probability(past, target, sees_products):
    """The probability that `target` comes back given the labels of `past`, as a sum over a grid of all propensities.

    Returns it with and without knowledge of the number and, if `sees_products`, of the product of `target`.
    """
    days = np.array([(row.when - FIRST) / timedelta(days=1) for row in (*past, target)])
    covariance = np.exp(-np.abs(days[:, None] - days) / 500)
    axis = np.linspace(-6, 6, 41)
    grid = np.stack(np.meshgrid(*[axis] * len(days), indexing="ij"), -1)  # (axis, ..., axis, purchase)
    weights = np.exp(-0.5 * ((grid @ np.linalg.inv(covariance)) * grid).sum(-1))
    propensities = -1.1 + 1.2 * np.moveaxis(grid, -1, 0)

    def made_chance(row, propensity):
        return mean_chance(row, propensity, [row.number], [row.product] if sees_products else range(4))

    for row, propensity in zip(past, propensities[:-1], strict=True):
        chance = made_chance(row, propensity)
        weights *= chance if row.returned else 1 - chance
    chances = made_chance(target, propensities[-1]), mean_chance(target, propensities[-1], customers.NUMBERS, range(4))
    return [(weights * chance).sum() / weights.sum() for chance in chances]


@pytest.mark.parametrize("sees_products", [True, False], ids=["products seen", "products not seen"])
@pytest.mark.parametrize(
    "past",
    [
        [],
        [purchase(0, True, 12, product=1)],
        [purchase(0, True, 1), purchase(60, True, 24, product=2)],
        [purchase(0, False, 10, product=1), purchase(40, True, 2), purchase(180, False, 1, product=2)],
    ],
    ids=["no label", "one label", "two labels", "three labels"],
)
def test_the_known_past_tells_what_the_sum_over_all_propensities_tells(past, sees_products):
    # The last two purchases before the target are too recent for their labels to be known.
    recent, target = [purchase(215, True, 5), purchase(236, True)], purchase(235.5, number=8, product=2)
    rows = sorted([*past, *recent, target], key=lambda row: row.when)
    position = rows.index(target)
    known = customers.known_past_probability(rows, PRODUCTS, sees_products)
    made, upcoming = integrated_probability(past, target, sees_products)
    assert known.n_labels[position] == len(past)
    np.testing.assert_allclose([known.made[position], known.next[position]], [made, upcoming], rtol=1e-6)


def test_a_likely_return_tells_less_of_a_customer_than_an_unlikely_one():
    # The effects of products 0 and 1 are -0.7 and 1.5.
    unlikely, likely = [purchase(0, True, product=0), purchase(60)], [purchase(0, True, product=1), purchase(60)]
    after_unlikely, after_likely = (
        customers.known_past_probability(rows, PRODUCTS).next[1] for rows in (unlikely, likely)
    )
    assert after_unlikely > after_likely + 0.02


def test_the_answer_without_products_does_not_read_them():
    rows = [purchase(0, True, product=0), purchase(60, product=1)]
    swapped = [purchase(0, True, product=1), purchase(60, product=0)]
    known, other = (customers.known_past_probability(given, PRODUCTS, sees_products=False) for given in (rows, swapped))
    np.testing.assert_array_equal(known.made, other.made)
    np.testing.assert_array_equal(known.next, other.next)


def test_a_long_past_needs_no_more_nodes(rows, products, monkeypatch):
    most = max(customers.positions_by_customer(rows), key=len)
    own = [rows[position] for position in most]
    known = customers.known_past_probability(own, products)
    monkeypatch.setattr(customers, "N_NODES", 128)
    nodes, weights = customers.hermegauss(128)
    roots = np.sqrt(weights / weights.sum())
    for name, value in {
        "ROOTS": roots,
        "PROPENSITIES": -1.1 + 1.2 * nodes,
        "BASIS": customers.hermite_basis(nodes, roots),
    }.items():
        monkeypatch.setattr(customers, name, value)
    np.testing.assert_allclose(customers.known_past_probability(own, products).made, known.made, atol=1e-5)


def test_a_label_is_known_from_21_days_after_the_purchase_on():
    rows = [purchase(0, True), purchase(20.99), purchase(21), purchase(21)]
    assert customers.known_past_probability(rows, PRODUCTS).n_labels.tolist() == [0, 0, 1, 1]


def test_purchases_of_others_and_of_nobody_are_no_past():
    rows = [purchase(0, True, customer=""), purchase(1, True, customer="C2"), purchase(90, customer=""), purchase(91)]
    known = customers.known_past_probability(rows, PRODUCTS)
    assert known.n_labels.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(known.made, known.made[0])


def test_no_label_changes_a_probability_before_it_is_known(rows, products):
    now = rows[len(rows) // 2].when
    changed = [row._replace(returned=not row.returned) if row.when > now - timedelta(days=21) else row for row in rows]
    before, after = (customers.known_past_probability(given, products) for given in (rows, changed))
    n_before = sum(row.when <= now for row in rows)
    np.testing.assert_array_equal(before.made[:n_before], after.made[:n_before])
    np.testing.assert_array_equal(before.next[:n_before], after.next[:n_before])
    assert (before.made[n_before:] != after.made[n_before:]).mean() > 0.5


def test_the_known_past_and_the_product_are_each_worth_something_and_less_than_the_truth(capsys):
    customers.print_figures()
    lines = capsys.readouterr().out.splitlines()[2:]
    loss = {line[:44].strip(): float(line[44:].split()[0]) for line in lines}
    assert loss["made, by its number and product alone"] < loss["made, by its number alone"] - 0.03
    assert loss["made, by the known past, without its product"] < loss["made, by its number alone"] - 0.02
    assert loss["made, by the known past"] < loss["made, by the known past, without its product"] - 0.03
    assert loss["made, by the known past"] < loss["made, by its number and product alone"] - 0.03
    assert loss["made, by the true propensity"] < loss["made, by the known past"] - 0.03
    assert loss["made, by the known past, without its product"] < loss["next, by the known past"] - 0.005
