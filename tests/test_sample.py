import importlib.util
import math
from pathlib import Path

from tests.support import ROOT


def load_sample():
    spec = importlib.util.spec_from_file_location("sample", ROOT / "data" / "sample.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = load_sample()


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path):
    sample.write(tmp_path / "purchases.csv")
    assert (tmp_path / "purchases.csv").read_bytes() == (ROOT / "data" / "purchases.csv").read_bytes()


def test_it_is_about_5000_purchases_in_time_order_over_a_year():
    times = [row[0] for row in sample.purchases()]
    assert 4500 <= len(times) <= 5500
    assert times == sorted(times)
    assert (times[-1] - times[0]).days >= 363


def test_labels_are_drawn_from_the_documented_probabilities():
    rows = list(sample.purchases())
    expected = sum(probability for *_, probability in rows)
    deviation = math.sqrt(sum(probability * (1 - probability) for *_, probability in rows))
    assert abs(sum(returned for _, returned, _, _ in rows) - expected) < 3 * deviation
    burst = 0.0
    for when, returned, number, probability in rows:
        assert math.isclose(probability, sample.return_probability(when, number, burst))
        burst = 0.8 * burst + 0.2 * returned
