import numpy as np

from boomerang.model.prefix_trie import build


def bits(*windows):
    return np.array([[[float(bit)] for bit in window] for window in windows], np.float32)


def build_whole(windows):
    return build(windows, np.full(len(windows), windows.shape[1]))


def test_a_prefix_that_neighbouring_windows_share_is_one_node():
    trie = build_whole(bits("0010", "0011", "0110", "1110"))
    # Steps: 0 1 | 00 01 11 | 001 011 111 | 0010 0011 0110 1110
    assert trie.inputs[:, 0].tolist() == [0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0]
    assert trie.step_starts.tolist() == [0, 2, 5, 8, 12]
    assert trie.parents[2:].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert trie.last_nodes.tolist() == [8, 9, 10, 11]


def test_equal_windows_share_nodes_only_where_they_are_neighbours():
    trie = build_whole(bits("01", "01", "10", "01"))
    assert trie.inputs[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert trie.parents[3:].tolist() == [0, 1, 2]
    assert trie.step_starts.tolist() == [0, 3, 6]
    assert trie.last_nodes.tolist() == [3, 3, 4, 5]


def test_windows_that_differ_in_one_feature_share_no_node():
    windows = np.zeros((2, 2, 3), np.float32)
    windows[1, 0, 2] = 1
    trie = build_whole(windows)
    assert trie.inputs.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert trie.step_starts.tolist() == [0, 2, 4]


def test_no_windows_make_no_nodes():
    trie = build_whole(np.zeros((0, 3, 1), np.float32))
    assert (len(trie.inputs), trie.step_starts.tolist(), len(trie.last_nodes)) == (0, [0], 0)


def test_windows_of_different_lengths_share_what_they_have_in_common():
    # Of a group that grows purchase by purchase, each window is the beginning of the next one; one has no past.
    trie = build(bits("000", "100", "110", "111", "010"), np.array([0, 1, 2, 3, 2]))
    # Steps: 1 0 | 11 01 | 111
    assert trie.inputs[:, 0].tolist() == [1, 0, 1, 1, 1]
    assert trie.step_starts.tolist() == [0, 2, 4, 5]
    assert trie.parents[2:].tolist() == [0, 1, 2]
    assert trie.last_nodes.tolist() == [-1, 0, 2, 4, 3]
    assert trie.has_branches


def test_windows_that_share_nothing_and_are_of_one_length_have_no_branches():
    assert not build_whole(bits("011", "101")).has_branches
    assert build_whole(bits("011", "010")).has_branches
    assert build(bits("011", "100"), np.array([3, 2])).has_branches
