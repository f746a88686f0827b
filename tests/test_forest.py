import numpy as np

from stages.lib.forest import grow


def bits(*windows):
    return np.array([[[float(bit)] for bit in window] for window in windows], np.float32)


def test_what_neighbouring_windows_begin_with_is_one_node():
    forest = grow(bits("0010", "0011", "0110", "1110"))
    # Steps: 0 1 | 00 01 11 | 001 011 111 | 0010 0011 0110 1110
    assert forest.values[:, 0].tolist() == [0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0]
    assert forest.starts.tolist() == [0, 2, 5, 8, 12]
    assert forest.parents[2:].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert forest.ends.tolist() == [8, 9, 10, 11]


def test_windows_that_are_equal_or_alike_further_off():
    forest = grow(bits("01", "01", "10", "01"))
    assert forest.values[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert forest.parents[3:].tolist() == [0, 1, 2]
    assert forest.starts.tolist() == [0, 3, 6]
    assert forest.ends.tolist() == [3, 3, 4, 5]


def test_windows_that_differ_in_one_feature_part():
    inputs = np.zeros((2, 2, 3), np.float32)
    inputs[1, 0, 2] = 1
    forest = grow(inputs)
    assert forest.values.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert forest.starts.tolist() == [0, 2, 4]


def test_no_windows_make_no_nodes():
    forest = grow(np.zeros((0, 3, 1), np.float32))
    assert (len(forest.values), forest.starts.tolist(), len(forest.ends)) == (0, [0, 0, 0, 0], 0)
