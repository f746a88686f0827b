"""Trees as plain numbers: what they predict, and what is no file of trees."""

import json

import numpy as np
import pytest

from boomerang.base.errors import ArtifactError
from boomerang.base.stage_files import parse_json
from boomerang.trees import forest as module
from boomerang.trees.forest import STEP, Forest, Tree

# x0 <= 1.5 gives 0.25; else x1 <= -2 or nothing gives 0.5, else -1.
SPLITS = {
    "first_child": [1, -1, 3, -1, -1],
    "feature": [0, 0, 1, 0, 0],
    "threshold": [1.5, 0.0, -2.0, 0.0, 0.0],
    "missing_first": [False, False, True, False, False],
    "value": [0.0, 0.25, 0.0, 0.5, -1.0],
}
LEAF = {"first_child": [-1], "feature": [0], "threshold": [0.0], "missing_first": [False], "value": [2.0]}
CONTENT = {"features": ["x0", "x1"], "base_logit": -3.0, "trees": [LEAF, SPLITS]}
NAN = np.nan


def read(content):
    return parse_json(json.dumps(content).encode(), "trees/next.json", Forest)


def test_a_logit_is_the_base_and_a_leaf_of_each_tree():
    rows = [[1.5, 9], [2, -2], [2, -1], [2, NAN], [NAN, NAN], [NAN, 0]]
    found = read(CONTENT).logits(np.array(rows, dtype=np.float32))
    assert found.tolist() == [-0.75, -0.5, -2.0, -0.5, -0.5, -2.0]


def test_without_trees_all_rows_have_the_base_logit():
    assert read({**CONTENT, "trees": []}).logits(np.zeros((2, 2), dtype=np.float32)).tolist() == [-3.0, -3.0]


def grow(draw, n_leaves, n_features):
    """A tree with splits in random places."""
    first_child, leaves = [-1], [0]
    for _ in range(n_leaves - 1):
        node = leaves.pop(draw.integers(len(leaves)))
        first_child[node] = len(first_child)
        leaves += [len(first_child), len(first_child) + 1]
        first_child += [-1, -1]
    n = len(first_child)
    is_leaf = np.array(first_child) == -1
    return Tree(
        first_child=first_child,
        feature=np.where(is_leaf, 0, draw.integers(n_features, size=n)).tolist(),
        threshold=np.where(is_leaf, 0, draw.normal(size=n).astype(np.float32)).tolist(),
        missing_first=(~is_leaf & (draw.random(n) < 0.5)).tolist(),
        value=np.where(is_leaf, np.round(draw.normal(size=n) / STEP) * STEP, 0).tolist(),
    )


def walk(tree, row):
    """What a tree says of one row, step by step."""
    node = 0
    while tree.first_child[node] != -1:
        number = row[tree.feature[node]]
        is_first = tree.missing_first[node] if np.isnan(number) else number <= tree.threshold[node]
        node = tree.first_child[node] + (not is_first)
    return tree.value[node]


@pytest.mark.parametrize("block", [1, 64, 1 << 16])
def test_all_rows_at_once_are_each_row_walked_down_each_tree(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    draw = np.random.default_rng(0)
    forest = Forest(features=["a", "b", "c"], base_logit=0.5, trees=[grow(draw, n, 3) for n in (1, 2, 15, 7, 40, 3)])
    rows = draw.normal(size=(50, 3)).astype(np.float32)
    rows[draw.random(rows.shape) < 0.2] = NAN
    expected = [0.5 + sum(walk(tree, row) for tree in forest.trees) for row in rows]
    found = forest.logits(rows)
    # Sums of multiples of 2^-30 are exact: order does not matter.
    assert found.tolist() == expected
    assert [forest.logits(row[None])[0] for row in rows] == expected


def test_the_file_holds_the_trees_and_nothing_else():
    forest = read(CONTENT)
    content = forest.to_bytes()
    assert json.loads(content) == CONTENT
    assert parse_json(content, "trees/next.json", Forest) == forest
    # A tree a line.
    assert len(content.splitlines()) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"first_child": [1, -1, 0, -1, -1]}, "first_child must give each node but the root one parent"),
        ({"first_child": [1, -1, 2, -1, -1]}, "first_child must give each node but the root one parent"),
        ({"first_child": [1, 3, 3, -1, -1]}, "first_child must give each node but the root one parent"),
        ({"first_child": [1, -1, 4, -1, -1]}, "first_child must give each node but the root one parent"),
        ({"first_child": [-1, -1, 3, -1, -1]}, "first_child must give each node but the root one parent"),
        ({"first_child": [1, -1, -2, -1, -1]}, "first_child"),
        ({"value": [0.0, 0.25]}, "must have one value for each of its 5 nodes"),
        ({"value": [0.0, 0.1, 0.0, 0.5, -1.0]}, "a multiple of 2^-30"),
        ({"value": [0.0, 1e9, 0.0, 0.5, -1.0]}, "a multiple of 2^-30"),
        ({"threshold": [0.1, 0.0, -2.0, 0.0, 0.0]}, "a number that float32 holds"),
        ({"threshold": [1e300, 0.0, -2.0, 0.0, 0.0]}, "a number that float32 holds"),
        ({"feature": [2, 0, 1, 0, 0]}, "feature must be one of 2 columns (found 2)"),
        ({"feature": [-1, 0, 1, 0, 0]}, "feature must be one of 2 columns (found -1)"),
        ({"missing_first": [0, 0, 1, 0, 0]}, "missing_first"),
        ({"code": "print()"}, "code"),
    ],
)
def test_what_is_no_tree_is_refused(changed, said):
    with pytest.raises(ArtifactError, match=r"^trees/next\.json") as caught:
        read({**CONTENT, "trees": [{**SPLITS, **changed}]})
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"trees": NaN}', b"\x80\x04", b"[" * 100_000])
def test_what_is_no_file_of_trees_is_refused(content):
    with pytest.raises(ArtifactError):
        parse_json(content, "trees/next.json", Forest)
