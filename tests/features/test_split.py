import pytest

from boomerang.features.split import count_parts, fewest_rows, have_rows


def test_counts_follow_the_shares():
    assert count_parts(10, 0.2, 0.1) == (7, 2, 1)
    assert count_parts(4, 0.5, 0.0) == (2, 2, 0)


@pytest.mark.parametrize("test_split", [0.0, 0.001, 0.1, 0.35, 0.5])
@pytest.mark.parametrize("val_split", [0.0013, 0.05, 0.2, 0.25, 0.4999])
@pytest.mark.parametrize("n_train", [1, 2, 3, 25, 200])
def test_the_fewest_rows_are_those_that_counting_from_one_finds(n_train, val_split, test_split):
    def suffice(n_rows):
        return have_rows(count_parts(n_rows, val_split, test_split), n_train, test_split)

    n_rows = 1
    while not suffice(n_rows):
        n_rows += 1
    assert fewest_rows(n_train, val_split, test_split) == n_rows


def test_a_share_beyond_any_file_is_found_without_counting_to_it():
    assert fewest_rows(1, 1e-9, 0) == 500_000_001
    assert fewest_rows(3, 1 - 1e-12, 0) is None
