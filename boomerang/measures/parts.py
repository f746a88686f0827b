"""What each part of the blend is worth: the trees, and the LSTMs, which are small neural networks."""

from typing import Annotated

from pydantic import Field

from boomerang.base.checks import Section
from boomerang.base.ensembles import BLEND, LSTMS, TREES
from boomerang.combining.metadata import MeasuredName
from boomerang.measures.intervals import Interval

# What a part is called in a sentence.
CALLED = {TREES: "trees", **dict.fromkeys(LSTMS.values(), "LSTMs")}


class Parts(Section):
    """What each part of the blend is worth on the test purchases.

    Attributes
    ----------
    answered_by : str
        `blend` where all members and the trees answer together, else the part that answers alone, because it predicted
        the validation purchases better.
    differences : dict of str to Interval
        By part, the log loss of the blend less that of the part alone, paired purchase by purchase: below 0, the other
        part adds something. None where the trees answer alone, for they are the blend; of LSTMs that answer alone, that
        to the trees. The bounds hold for each difference by itself.
    sentence : str
        What the LSTMs add to the trees, and the trees to the LSTMs, in plain words.
    """

    answered_by: MeasuredName
    differences: dict[MeasuredName, Interval]
    sentence: Annotated[str, Field(min_length=1, max_length=2000)]


def list_compared(question: str, answered_by: str) -> list[str]:
    """The parts that the blend is compared with: none where the trees alone are the blend, else what it is not."""
    if answered_by == TREES:
        return []
    return [TREES, LSTMS[question]] if answered_by == BLEND else [TREES]


def tell_parts(question: str, answered_by: str, differences: dict[str, Interval], n_trees: int) -> Parts:
    """What each part is worth.

    Parameters
    ----------
    question : {"next", "made"}
        What is asked.
    answered_by, differences
        As in `Parts`.
    n_trees : int
        How many trees there are; without any they say the share of returns in training.
    """
    trees, lstms = TREES, LSTMS[question]
    if answered_by == BLEND:
        pairs = ((trees, lstms), (lstms, trees))
        said = [_tell_what_is_added(to, added, differences[to]) for to, added in pairs]
    elif answered_by == trees:
        said = [_tell_who_is_alone(trees, lstms)]
    else:
        said = [_tell_who_is_alone(lstms, trees), _compare_with_trees(differences[trees])]
    if not n_trees:
        said.append("The trees found nothing to learn: of every purchase they say the share of returns in training.")
    return Parts(answered_by=answered_by, differences=differences, sentence=" ".join(said))


def _tell_who_is_alone(alone: str, other: str) -> str:
    return (
        f"The {CALLED[alone]} answer alone, for they predicted the validation purchases better than both kinds "
        f"together: the {CALLED[other]} add nothing to the answer."
    )


def _compare_with_trees(difference: Interval) -> str:
    """What is claimed of LSTMs that answer alone; `difference` is their log loss less that of the trees."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "Too few test purchases to compare them with the trees."
    if high < 0:
        return f"On the test purchases their log loss is lower than that of the trees, by {-high:.4f} to {-low:.4f}."
    if low > 0:
        return f"On the test purchases their log loss is higher than that of the trees, by {low:.4f} to {high:.4f}."
    differs = f"the log loss differs by {low:+.4f} to {high:+.4f}"
    return f"On the test purchases they and the trees cannot be told apart: {differs}."


def _tell_what_is_added(to: str, added: str, difference: Interval) -> str:
    """What is claimed of a part that is added to another; `difference` is the log loss with it less that without."""
    what, whom = f"the {CALLED[added]}", f"the {CALLED[to]}"
    low, high = difference.low, difference.high
    if low is None or high is None:
        return f"Too few test purchases to tell what {what} add to {whom}."
    if high < 0:
        return f"Added to {whom}, {what} lower the log loss by {-high:.4f} to {-low:.4f}."
    if low > 0:
        return f"Added to {whom}, {what} raise the log loss here, by {low:.4f} to {high:.4f}."
    return (
        f"That {what} add anything to {whom} cannot be shown on these purchases: the log loss with them differs by "
        f"{low:+.4f} to {high:+.4f}."
    )
