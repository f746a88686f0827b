"""What is said of the parts of the blend."""

import pytest

from boomerang.measures.intervals import Interval
from boomerang.measures.parts import list_compared, tell_parts


def interval(low, high):
    return Interval(value=0.0 if low is None else (low + high) / 2, low=low, high=high, block_length=1)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.0081, -0.0012, "Added to the trees, the LSTMs lower the log loss by 0.0012 to 0.0081."),
        (0.001, 0.003, "Added to the trees, the LSTMs raise the log loss here, by 0.0010 to 0.0030."),
        (
            -0.002,
            0.001,
            "That the LSTMs add anything to the trees cannot be shown on these purchases: the log loss with them "
            "differs by -0.0020 to +0.0010.",
        ),
        (None, None, "Too few test purchases to tell what the LSTMs add to the trees."),
    ],
)
def test_what_the_lstms_add_is_said_whatever_it_is(low, high, said):
    parts = tell_parts("made", "blend", {"trees": interval(low, high), "context": interval(-0.02, -0.01)}, 9)
    assert parts.sentence == f"{said} Added to the LSTMs, the trees lower the log loss by 0.0100 to 0.0200."
    assert set(parts.differences) == {"trees", "context"}


def test_trees_that_answer_alone_are_compared_with_nothing():
    assert list_compared("next", "trees") == []
    parts = tell_parts("next", "trees", {}, 9)
    assert parts.sentence == (
        "The trees answer alone, for they predicted the validation purchases better than both kinds together: "
        "the LSTMs add nothing to the answer."
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.02, -0.01, "On the test purchases their log loss is lower than that of the trees, by 0.0100 to 0.0200."),
        (0.01, 0.02, "On the test purchases their log loss is higher than that of the trees, by 0.0100 to 0.0200."),
        (-0.01, 0.02, "they and the trees cannot be told apart: the log loss differs by -0.0100 to +0.0200."),
        (None, None, "Too few test purchases to compare them with the trees."),
    ],
)
def test_lstms_that_answer_alone_are_compared_with_the_trees(low, high, said):
    assert list_compared("next", "combination") == ["trees"]
    parts = tell_parts("next", "combination", {"trees": interval(low, high)}, 9)
    assert parts.sentence.startswith("The LSTMs answer alone, for they predicted the validation purchases better")
    assert parts.sentence.endswith(said)


def test_without_a_single_tree_that_is_said():
    assert tell_parts("next", "trees", {}, 0).sentence.endswith("they say the share of returns in training.")
