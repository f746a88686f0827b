"""Boosted trees as plain numbers: the file that holds them, and what they predict.

A file of trees is JSON that holds nothing but numbers and names. So reading it runs no code, and every number in it is
checked before it is used: trees of scikit-learn could only be kept as pickles, which run code, or in skops' files,
which build its private objects, and LightGBM's text is read by a parser that trusts it. Thresholds are float32, as what
they are compared with, and values are rounded, so the bytes do not depend on the last bits of a CPU's sums, and neither
do predictions. One purchase is answered in a tenth of a millisecond, and ONNX has the same numbers in its own words.
"""

import json
from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from boomerang.base.checks import Section, int_between, within
from boomerang.base.columns import FeatureName

# Values of leaves are multiples of this: their sums are exact, in whatever order a CPU computes them.
STEP = 2.0**-30
# What a value stays below, and trees of a file.
MAX_VALUE, MAX_TREES = 64.0, 10_000
# Nodes of a tree of 1,000 leaves, the most that the settings allow.
MAX_NODES = 1999
# Cells of the arrays that are computed at a time.
BLOCK = 1 << 16

# Float32 holds nothing larger.
LARGEST = float(np.finfo(np.float32).max)


def _is_value(value: float) -> bool:
    return abs(value) <= MAX_VALUE and value % STEP == 0


def _is_float32(value: float) -> bool:
    return abs(value) <= LARGEST and float(np.float32(value)) == value


Value = Annotated[float, within(f"a multiple of 2^-30 within {MAX_VALUE:g}", _is_value)]
Threshold = Annotated[float, within("a number that float32 holds", _is_float32)]
Place = Annotated[int, int_between(-1, 1 << 31)]


class Tree(Section):
    """One tree; of each node, the first being the root:

    Attributes
    ----------
    first_child : list of int
        The node where rows go whose number is at or below the threshold; all others go to the one after it. -1 for a
        leaf.
    feature : list of int
        Which column is compared; 0 for a leaf.
    threshold : list of float
        What it is compared with, a number that float32 holds; 0 for a leaf.
    missing_first : list of bool
        Whether rows without a number go to the first child.
    value : list of float
        What a leaf adds to the logit; 0 for other nodes.
    """

    first_child: Annotated[list[Place], Field(min_length=1, max_length=MAX_NODES)]
    feature: list[Place]
    threshold: list[Threshold]
    missing_first: list[bool]
    value: list[Value]

    @model_validator(mode="after")
    def _be_a_tree(self) -> "Tree":
        n = len(self.first_child)
        if {len(column) for _, column in self} != {n}:
            raise ValueError(f"the lists of a tree must have one value for each of its {n} nodes")
        firsts = [child for child in self.first_child if child != -1]
        # Children come after their parents, so there is no way round in circles, and each node has one parent.
        if any(child <= node for node, child in enumerate(self.first_child) if child != -1) or sorted(
            node for child in firsts for node in (child, child + 1)
        ) != list(range(1, n)):
            raise ValueError("first_child must give each node but the root one parent, which comes before it")
        return self


class Forest(Section):
    """Boosted trees that answer one question: the content of `trees/<question>.json`.

    Attributes
    ----------
    features : list of str
        Names of the columns that they read.
    base_logit : float
        What the values of the trees are added to.
    trees : list of Tree
        In the order in which they were grown.
    """

    features: Annotated[list[FeatureName], Field(min_length=1, max_length=1000)]
    base_logit: Value
    trees: Annotated[list[Tree], Field(max_length=MAX_TREES)]

    @model_validator(mode="after")
    def _compare_its_columns(self) -> "Forest":
        largest = max((max(tree.feature) for tree in self.trees), default=0)
        smallest = min((min(tree.feature) for tree in self.trees), default=0)
        if smallest < 0 or largest >= len(self.features):
            raise ValueError(
                f"feature must be one of {len(self.features)} columns (found {smallest if smallest < 0 else largest})"
            )
        return self

    def to_bytes(self) -> bytes:
        """The content of the file: sorted JSON, a tree a line."""
        shown = json.dumps(self.model_dump(exclude={"trees"}), sort_keys=True, allow_nan=False)
        trees = [json.dumps(tree.model_dump(), sort_keys=True, allow_nan=False) for tree in self.trees]
        lines = ",\n".join(trees)
        return f'{shown[:-1]}, "trees": [\n{lines}\n]}}\n'.encode()

    @cached_property
    def _nodes(self) -> "_Nodes":
        return _Nodes.of(self)

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """The logits of n rows: of shape (n,), float64, each the same whatever rows are computed with it.

        Parameters
        ----------
        inputs : ndarray of shape (n, n_features), float32
            NaN for a number that is missing.
        """
        found = np.full(len(inputs), self.base_logit)
        if not self.trees:
            return found
        # A comparison with NaN would be neither; twice as many columns save asking at each node.
        is_missing, infinite = np.isnan(inputs), np.float32(np.inf)
        either = np.hstack([np.where(is_missing, infinite, inputs), np.where(is_missing, -infinite, inputs)])
        n_rows = max(1, BLOCK // len(self.trees))
        for first in range(0, len(found), n_rows):
            found[first : first + n_rows] += self._nodes.add_up(either[first : first + n_rows])
        return found


class _Nodes(NamedTuple):
    """The nodes of all trees one after the other, the deepest tree first.

    Attributes
    ----------
    roots : ndarray of shape (n_trees,), int32
        First node of each tree.
    n_deeper : list of int
        By depth, the trees that are deeper.
    children, columns, thresholds, values : ndarray of shape (n_nodes,)
        As in `Tree`, but for leaves, whose child is the leaf itself, and columns: a number that is missing stands in a
        second copy of all columns where it shall go to the first child.
    """

    roots: np.ndarray
    n_deeper: list[int]
    children: np.ndarray
    columns: np.ndarray
    thresholds: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, forest: Forest) -> "_Nodes":
        """All trees of a forest, which has at least one."""
        depths = [_measure_depth(tree) for tree in forest.trees]
        order = sorted(range(len(depths)), key=lambda at: -depths[at])
        trees = [forest.trees[at] for at in order]
        ends = np.cumsum([len(tree.first_child) for tree in trees])
        roots = np.concatenate([[0], ends[:-1]]).astype(np.int32)
        parts = []
        for root, tree in zip(roots.tolist(), trees, strict=True):
            children = np.array(tree.first_child)
            is_leaf = children == -1
            parts.append(
                (
                    np.where(is_leaf, np.arange(len(children)), children) + root,
                    np.array(tree.feature) + np.where(tree.missing_first, len(forest.features), 0),
                    # At a leaf rows stay where they are: nothing is above its threshold.
                    np.where(is_leaf, np.inf, tree.threshold),
                    tree.value,
                )
            )
        children, columns, thresholds, values = map(np.concatenate, zip(*parts, strict=True))
        n_deeper = (len(depths) - np.cumsum(np.bincount(depths)))[:-1].tolist()
        return cls(
            roots, n_deeper, children.astype(np.int32), columns.astype(np.int32), thresholds.astype(np.float32), values
        )

    def add_up(self, either: np.ndarray) -> np.ndarray:
        """The sum of the values of the leaves that rows come to, of shape (n,); `either` are both copies of columns."""
        starts = np.arange(0, either.size, either.shape[1], dtype=np.int32)
        numbers = either.ravel()
        nodes = np.repeat(self.roots[:, None], len(either), axis=1)  # (n_trees, n)
        for n_trees in self.n_deeper:
            at = nodes[:n_trees]
            compared = numbers[self.columns[at] + starts]
            nodes[:n_trees] = self.children[at] + (compared > self.thresholds[at])
        total: np.ndarray = self.values[nodes].sum(axis=0)
        return total


def _measure_depth(tree: Tree) -> int:
    """Steps from the root to the farthest leaf."""
    levels = [0] * len(tree.first_child)
    for node, child in enumerate(tree.first_child):
        if child != -1:
            levels[child] = levels[child + 1] = levels[node] + 1
    return max(levels)
