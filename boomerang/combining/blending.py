"""How the LSTMs and the trees that answer a question are blended, or which of them answers alone."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from boomerang.base.ensembles import BLEND, LSTMS, TREES
from boomerang.base.wording import counted
from boomerang.combining.calibration import DIGITS, FEWEST_ROWS, Combination, compare_loss, fit_across, fit_combination
from boomerang.combining.pools import pool_logits


@dataclass(frozen=True)
class Blend:
    """How the logits of members, and after them those of the trees, become one probability.

    Attributes
    ----------
    weights : list of float
        One for each member, then that of the trees; not negative, not all 0.
    temperature, base_logit : float
        As in `pools.combine`.
    answered_by : str
        `blend`, or the part that answers alone: `trees`, or what the members are called together.
    reason : str
        Why.
    """

    weights: list[float]
    temperature: float
    base_logit: float
    answered_by: str
    reason: str

    @classmethod
    def of_members(cls, combination: Combination, base_logit: float, answered_by: str) -> "Blend":
        """Members that answer as they are combined without trees."""
        return cls([*combination.weights, 0.0], combination.temperature, base_logit, answered_by, combination.reason)

    def logits(self, members: np.ndarray, trees: np.ndarray) -> np.ndarray:
        """One logit for each purchase, of those of the members, of shape (n_members, n), and of the trees, (n,)."""
        return pool_logits(np.vstack([members, trees]), np.array(self.weights), self.temperature, self.base_logit)

    def combine(self, members: np.ndarray, trees: np.ndarray) -> np.ndarray:
        """The probabilities of these logits, of shape (n,)."""
        probabilities: np.ndarray = expit(self.logits(members, trees))
        return probabilities


def fit_blend(
    question: str, members: np.ndarray, trees: np.ndarray, lstms: Blend, targets: np.ndarray, base_logit: float
) -> Blend:
    """The blend that predicts the validation purchases best, or the part of it that does so alone.

    Fitted weights are drawn to an equal say of both kinds, and among the LSTMs of all members. With fewer than
    `FEWEST_ROWS` validation purchases both kinds have that equal say, the LSTMs as they answer without trees, and the
    temperature is the one that `fit_across` gives opinions that are correlated.

    Parameters
    ----------
    question : {"next", "made"}
        What they answer.
    members : ndarray of shape (n_members, n_val), float64
        Logits of the members.
    trees : ndarray of shape (n_val,), float64
        Logits of the trees.
    lstms : Blend
        How the members answer without the trees.
    targets : ndarray of shape (n_val,), 0 or 1
        Which validation purchases came back.
    base_logit : float
        The logit of the base rate in training.
    """
    if len(targets) < FEWEST_ROWS:
        found = _weigh_equally(members, trees, lstms, targets, base_logit)
    else:
        equal = np.append(np.full(len(members), 0.5 / len(members)), 0.5)
        found = fit_combination(np.vstack([members, trees]), targets, base_logit, equal)
    options = {
        BLEND: Blend(found.weights, found.temperature, base_logit, BLEND, found.reason),
        TREES: Blend([0.0] * len(members) + [1.0], 1.0, 0.0, TREES, "alone"),
        LSTMS[question]: replace(lstms, answered_by=LSTMS[question], reason="alone"),
    }
    if not 0 < found.weights[-1] < sum(found.weights):
        # One kind has no weight: the other answers alone.
        del options[BLEND]
    losses = {name: compare_loss(option.logits(members, trees), targets) for name, option in options.items()}
    # The first of equals: the blend, which knows most.
    best = min(losses, key=lambda name: losses[name])
    figures = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
    by = f"log loss of {counted(len(targets), 'validation purchase')}: {figures}"
    return replace(options[best], reason=f"{options[best].reason}; {by}")


def _weigh_equally(
    members: np.ndarray, trees: np.ndarray, lstms: Blend, targets: np.ndarray, base_logit: float
) -> Combination:
    """The trees, and the LSTMs as they answer without them, with an equal say."""
    opinions = [lstms.logits(members, trees)[None], trees[None]]
    found = fit_across(opinions, targets, base_logit, "of trees and LSTMs")
    # The mean of both opinions in terms of the members: the LSTMs' own temperature goes into their weights.
    shares = np.array(lstms.weights) / lstms.temperature
    shares[-1] = 1.0
    temperature = round(2 * found.temperature / float(shares.sum()), DIGITS)
    return replace(found, weights=np.round(shares / shares.sum(), DIGITS).tolist(), temperature=temperature)
