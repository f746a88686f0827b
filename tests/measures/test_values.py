import numpy as np
import pandas as pd

from boomerang.features.columns import ColumnRules
from boomerang.measures.values import rank_values

RULES = ColumnRules(numeric=[], categorical=["hat", "dye"], rate_strength=10, base_rate=0.2)
UNTIL = "2024-05-01T12:00:00"


def table(*rows, column="hat"):
    """Values with their counts, as `read_values` gives them."""
    values, n_known, n_returned = zip(*rows, strict=True)
    return pd.DataFrame({"column": column, "value": values, "n_known": n_known, "n_returned": n_returned})


def rank(*rows):
    found = rank_values(table(*rows), ["hat"], RULES, UNTIL).columns["hat"]
    return found.n_values, [one.value for one in found.highest], [one.value for one in found.lowest]


def test_rates_are_drawn_to_the_share_in_training_and_stand_with_what_they_rest_on():
    found = rank_values(table(("bowler", 10, 8), ("", 30, 0)), ["hat"], RULES, UNTIL)
    assert found.model_dump() == {
        "until": UNTIL,
        "base_rate": 0.2,
        "rate_strength": 10.0,
        "columns": {
            "hat": {
                "n_values": 2,
                # (8 + 10 * 0.2) / (10 + 10), and (0 + 10 * 0.2) / (30 + 10).
                "highest": [{"value": "bowler", "rate": 0.5, "n_known": 10, "n_returned": 8}],
                "lowest": [{"value": "", "rate": 0.05, "n_known": 30, "n_returned": 0}],
            }
        },
    }


def test_of_equal_rates_the_one_with_more_labels_comes_first_and_then_that_of_the_smaller_text():
    # All but one have the rate 0.2: of 5, 10 and 0 labels a fifth came back.
    rows = [("d", 5, 1), ("c", 5, 1), ("b", 10, 2), ("a", 0, 0), ("top", 10, 9), ("e", 15, 3)]
    assert rank(*rows) == (6, ["top", "e", "b"], ["c", "d", "a"])
    assert rank(*rows[::-1]) == rank(*rows)


def test_with_fewer_than_twenty_values_none_stands_in_both_tables():
    for n_values in (1, 2, 15, 19):
        rows = [(f"v{number:02}", 20, number) for number in range(n_values)]
        n_found, highest, lowest = rank(*rows)
        expected = [value for value, *_ in rows]
        assert n_found == n_values
        assert highest == expected[::-1][: (n_values + 1) // 2][:10]
        assert lowest == expected[: n_values - len(highest)][:10]


def test_the_ten_at_either_end_are_those_of_a_plain_sort():
    draw = np.random.default_rng(0)
    known = draw.integers(0, 6, 200)
    rows = [(f"v{number}", int(n), int(draw.integers(0, n + 1))) for number, n in enumerate(known)]
    rates = {value: round((came_back + 2) / (n + 10), 6) for value, n, came_back in rows}
    highest = sorted(rows, key=lambda row: (-rates[row[0]], -row[1], row[0]))[:10]
    lowest = sorted(rows, key=lambda row: (rates[row[0]], -row[1], row[0]))[:10]
    assert rank(*rows) == (200, [row[0] for row in highest], [row[0] for row in lowest])


def test_values_that_all_have_one_rate_stand_in_one_table_each():
    rows = [(f"v{number:02}", 5, 1) for number in range(25)]
    names = [value for value, *_ in rows]
    assert rank(*rows) == (25, names[:10], names[10:20])


def test_only_the_columns_that_shall_be_shown_are_told_of():
    values = pd.concat([table(("bowler", 1, 0)), table(("red", 1, 1), column="dye")], ignore_index=True)
    assert list(rank_values(values, ["dye"], RULES, UNTIL).columns) == ["dye"]
    assert list(rank_values(values, ["hat", "dye"], RULES, UNTIL).columns) == ["dye", "hat"]
    assert rank_values(values, ["dye"], RULES, UNTIL).columns["dye"].highest[0].value == "red"
