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
FIRST = datetime(2025, 1, 1, 12)


@pytest.fixture(scope="module")
def rows():
    return customers.purchases()


def purchase(day, returned=False, number=3, customer="C1"):
    return customers.Purchase(FIRST + timedelta(days=day), returned, number, customer, 0.0)


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
    assert [row[:4] for row in again] == [row[:4] for row in rows]
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


def test_labels_are_open_that_are_not_certain_at_the_last_purchase():
    with (ROOT / "data" / "customers.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    last = datetime.fromisoformat(written[-1]["datetime"])
    for row in written:
        is_open = datetime.fromisoformat(row["datetime"]) > last - timedelta(days=21)
        assert row["returned"] in ([""] if is_open else ["yes", "no"])


def test_labels_can_be_written_where_they_are_not_certain_yet(tmp_path, monkeypatch):
    monkeypatch.setattr(customers, "LEAVES_OPEN", False)
    customers.write(tmp_path / "customers.csv")
    assert ",," not in (tmp_path / "customers.csv").read_text(encoding="utf-8")


def test_labels_are_drawn_from_the_documented_probabilities(rows):
    logits = np.array([row.propensity + 0.6 * (math.log(row.number) - math.log(3)) for row in rows])
    expected, returned = sigmoid(logits), np.array([row.returned for row in rows])
    for chosen in (logits > -9, logits < -2, logits > 0):
        deviation = math.sqrt((expected * (1 - expected))[chosen].sum())
        assert abs(returned[chosen].sum() - expected[chosen].sum()) < 3 * deviation


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


def integrated_probability(past, target):
    """The probability that `target` comes back given the labels of `past`, as a sum over a grid of all propensities.

    Returns it with and without knowledge of the number of `target`.
    """
    days = np.array([(row.when - FIRST) / timedelta(days=1) for row in (*past, target)])
    covariance = np.exp(-np.abs(days[:, None] - days) / 500)
    axis = np.linspace(-6, 6, 41)
    grid = np.stack(np.meshgrid(*[axis] * len(days), indexing="ij"), -1)  # (axis, ..., axis, purchase)
    weights = np.exp(-0.5 * ((grid @ np.linalg.inv(covariance)) * grid).sum(-1))
    propensities = -1.1 + 1.2 * np.moveaxis(grid, -1, 0)
    for row, propensity in zip(past, propensities[:-1], strict=True):
        chance = sigmoid(propensity + 0.6 * math.log(row.number / 3))
        weights *= chance if row.returned else 1 - chance
    chances = {n: sigmoid(propensities[-1] + 0.6 * math.log(n / 3)) for n in {target.number, *customers.NUMBERS}}
    answers = {n: (weights * chance).sum() / weights.sum() for n, chance in chances.items()}
    return answers[target.number], sum(answers[n] * percent / 100 for n, percent in customers.NUMBERS.items())


@pytest.mark.parametrize(
    "past",
    [
        [],
        [purchase(0, True, 12)],
        [purchase(0, True, 1), purchase(60, True, 24)],
        [purchase(0, False, 10), purchase(40, True, 2), purchase(180, False, 1)],
    ],
    ids=["no label", "one label", "two labels", "three labels"],
)
def test_the_known_past_tells_what_the_sum_over_all_propensities_tells(past):
    # The last two purchases before the target are too recent for their labels to be known.
    recent, target = [purchase(215, True, 5), purchase(236, True)], purchase(235.5, number=8)
    rows = sorted([*past, *recent, target], key=lambda row: row.when)
    position = rows.index(target)
    known = customers.known_past_probability(rows)
    made, upcoming = integrated_probability(past, target)
    assert known.n_labels[position] == len(past)
    np.testing.assert_allclose([known.made[position], known.next[position]], [made, upcoming], rtol=1e-6)


def test_a_long_past_needs_no_more_nodes(rows, monkeypatch):
    most = max(customers.positions_by_customer(rows), key=len)
    own = [rows[position] for position in most]
    known = customers.known_past_probability(own)
    monkeypatch.setattr(customers, "N_NODES", 128)
    nodes, weights = customers.hermegauss(128)
    roots = np.sqrt(weights / weights.sum())
    for name, value in {
        "ROOTS": roots,
        "PROPENSITIES": -1.1 + 1.2 * nodes,
        "BASIS": customers.hermite_basis(nodes, roots),
    }.items():
        monkeypatch.setattr(customers, name, value)
    np.testing.assert_allclose(customers.known_past_probability(own).made, known.made, atol=1e-5)


def test_a_label_is_known_from_21_days_after_the_purchase_on():
    rows = [purchase(0, True), purchase(20.99), purchase(21), purchase(21)]
    assert customers.known_past_probability(rows).n_labels.tolist() == [0, 0, 1, 1]


def test_purchases_of_others_and_of_nobody_are_no_past():
    rows = [purchase(0, True, customer=""), purchase(1, True, customer="C2"), purchase(90, customer=""), purchase(91)]
    known = customers.known_past_probability(rows)
    assert known.n_labels.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(known.made, known.made[0])


def test_no_label_changes_a_probability_before_it_is_known(rows):
    now = rows[len(rows) // 2].when
    changed = [row._replace(returned=not row.returned) if row.when > now - timedelta(days=21) else row for row in rows]
    before, after = (customers.known_past_probability(given) for given in (rows, changed))
    n_before = sum(row.when <= now for row in rows)
    np.testing.assert_array_equal(before.made[:n_before], after.made[:n_before])
    np.testing.assert_array_equal(before.next[:n_before], after.next[:n_before])
    assert (before.made[n_before:] != after.made[n_before:]).mean() > 0.5


def test_the_known_past_is_worth_more_than_the_number_and_less_than_the_truth(capsys):
    customers.print_figures()
    lines = capsys.readouterr().out.splitlines()[2:]
    loss = {line[:30].strip(): float(line[30:].split()[0]) for line in lines}
    assert loss["made, by the known past"] < loss["made, by its number alone"] - 0.03
    assert loss["made, by the true propensity"] < loss["made, by the known past"] - 0.03
    assert loss["made, by the known past"] < loss["next, by the known past"] - 0.005
