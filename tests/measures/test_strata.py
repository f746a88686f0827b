import numpy as np
import pandas as pd

from boomerang.measures.strata import divide_by_known_past, divide_by_values, measure_strata
from tests.measures.support import BASE, KNOWING, RETURNED, model, purchases_of

TABLE = pd.DataFrame(
    {"n_known": [0, 0, 1, 2, 3, 0], "hat_n_known": [0, 0, 1, 0, 7, 2], "dye_n_known": [0, 1, 2, 3, 4, 5]}
)


def test_test_purchases_are_told_apart_by_whether_a_label_of_their_value_was_known():
    found = divide_by_values(TABLE, 2, ["hat", "dye"])
    assert {name: {key: rows.tolist() for key, rows in strata.items()} for name, strata in found.items()} == {
        "hat": {"new": [False, True, False, False], "known": [True, False, True, True]},
        "dye": {"new": [False] * 4, "known": [True] * 4},
    }


def test_they_are_told_apart_by_how_many_of_their_past_are_known_where_they_have_one():
    found = {name: rows.tolist() for name, rows in divide_by_known_past(TABLE, 2).items()}
    assert found == {
        "0": [False, False, False, True],
        "1-2": [True, True, False, False],
        "3+": [False, False, True, False],
    }
    assert divide_by_known_past(TABLE.drop(columns="n_known"), 2) == {}


def test_figures_of_a_stratum_are_those_of_its_purchases_and_strata_without_any_are_left_out():
    is_new = np.arange(len(RETURNED)) < 100
    nobody = np.zeros(len(RETURNED), dtype=bool)
    member = model("time_seq2", "member", KNOWING.probabilities)
    found = measure_strata(purchases_of(), [KNOWING, BASE, member], {"new": is_new, "known": nobody})
    assert list(found) == ["new"]
    p = np.where(RETURNED == 1, KNOWING.probabilities, 1 - KNOWING.probabilities)[:100]
    figures = {one.name: one.log_loss.value for one in found["new"].models}
    assert found["new"].n == 100
    assert found["new"].base_rate == round(RETURNED[:100].mean(), 6)
    assert figures.keys() == {"blend", "base_rate"}
    assert figures["blend"] == round(-np.log(p).mean(), 6)
