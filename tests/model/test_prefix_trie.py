import numpy as np

from boomerang.model.prefix_trie import build


def bits(*windows):
    return np.array([[[float(bit)] for bit in window] for window in windows], np.float32)


def test_a_prefix_that_neighbouring_windows_share_is_one_node():
    trie = build(bits("0010", "0011", "0110", "1110"))
    # Steps: 0 1 | 00 01 11 | 001 011 111 | 0010 0011 0110 1110
    assert trie.inputs[:, 0].tolist() == [0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0]
    assert trie.step_starts.tolist() == [0, 2, 5, 8, 12]
    assert trie.parents[2:].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert trie.last_nodes.tolist() == [8, 9, 10, 11]


def test_equal_windows_share_nodes_only_where_they_are_neighbours():
    trie = build(bits("01", "01", "10", "01"))
    assert trie.inputs[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert trie.parents[3:].tolist() == [0, 1, 2]
    assert trie.step_starts.tolist() == [0, 3, 6]
    assert trie.last_nodes.tolist() == [3, 3, 4, 5]


def test_windows_that_differ_in_one_feature_share_no_node():
    windows = np.zeros((2, 2, 3), np.float32)
    windows[1, 0, 2] = 1
    trie = build(windows)
    assert trie.inputs.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert trie.step_starts.tolist() == [0, 2, 4]


def test_no_windows_make_no_nodes():
    trie = build(np.zeros((0, 3, 1), np.float32))
    assert (len(trie.inputs), trie.step_starts.tolist(), len(trie.last_nodes)) == (0, [0, 0, 0, 0], 0)
