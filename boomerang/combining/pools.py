"""Pools of members: which of them answer together, and how their logits become one probability."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from boomerang.base.ensembles import (
    BLEND,
    LSTMS,
    QUESTION_OF,
    TREES,
    ensembles_answering,
    name_for,
    short_name,
)
from boomerang.base.errors import SettingsError
from boomerang.combining.metadata import Metadata

# An ensemble and a sequence length; of trees their name (`trees_next`, `trees_made`) and how many labels they read.
Member = tuple[str, int]


def combine(logits: np.ndarray, weights: np.ndarray, temperature: float = 1.0, base_logit: float = 0.0) -> np.ndarray:
    """The probability of a return from the logits of several members: ``expit(b + (sum(w z) - b) / temperature)``.

    A weighted mean of logits is, up to its norm, the geometric mean of the members' odds (logarithmic opinion pool,
    Genest and Zidek 1986).

    Parameters
    ----------
    logits : ndarray of shape (n_members, ...), float
        Each member's logits.
    weights : ndarray of shape (n_members,), float
        Not negative, not all 0; scaled to sum to 1 here.
    temperature : float
        Above 0.
    base_logit : float
        The logit b that the temperature leaves where it is.

    Returns
    -------
    ndarray of shape (...), float64
    """
    probabilities: np.ndarray = expit(pool_logits(logits, weights, temperature, base_logit))
    return probabilities


def pool_logits(
    logits: np.ndarray, weights: np.ndarray, temperature: float = 1.0, base_logit: float = 0.0
) -> np.ndarray:
    """The logits of what `combine` returns; parameters are the same."""
    mean = mean_logits(np.asarray(logits, dtype=np.float64), normalise(weights))
    pooled: np.ndarray = base_logit + (mean - base_logit) / temperature
    return pooled


def normalise(weights: np.ndarray) -> np.ndarray:
    """Weights of shape (n_members,), not negative and not all 0, scaled to sum to 1."""
    weights = np.asarray(weights, dtype=np.float64)
    # Divided by the largest first: the sum of very large weights may be more than float64 holds.
    weights = weights / weights.max()
    shares: np.ndarray = weights / weights.sum()
    return shares


def mean_logits(logits: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The weighted mean over the first axis, the members, by weights that sum to 1."""
    # Summed member by member: a product of matrices would be summed in an order that depends on the CPU.
    mean = np.zeros(logits.shape[1:])
    for share, of_member in zip(shares, logits, strict=True):
        mean = mean + share * of_member
    return mean


@dataclass(frozen=True)
class Pool:
    """Members of one or several ensembles, trees, or all of them, and how they are combined.

    Attributes
    ----------
    members : list of (str, int)
        Ensemble and sequence length of each; trees are one member, the last.
    weights : ndarray of shape (n_members,), float64
        Not negative, not all 0.
    temperature, base_logit : float
        As in `combine`.
    n_past : ndarray of shape (n_members,), int
        The past purchases that each member needs.
    shortest : int
        The fewest past purchases that an answer needs.
    without_trees : Pool, optional
        Of a blend, what answers where the past is too short for the trees: the LSTMs, as they answer without them.
    """

    members: list[Member]
    weights: np.ndarray
    temperature: float
    base_logit: float
    n_past: np.ndarray
    shortest: int
    without_trees: "Pool | None" = None

    @classmethod
    def of(cls, metadata: Metadata, name: str) -> "Pool":
        """The pool of one of `names_answering`, as the metadata has it."""
        question, kind = QUESTION_OF[name], short_name(name)
        if kind == BLEND and metadata.blend[question].answered_by == LSTMS[question]:
            return cls.of(metadata, LSTMS[question])
        trees = [TREES] * (kind in (TREES, BLEND))
        ensembles = [name] if name in metadata.ensembles else ensembles_answering(question) if kind != TREES else []
        if kind == TREES:
            weights, temperature, base_logit = [1.0], 1.0, 0.0
        elif name in metadata.ensembles:
            weights = [member.weight for member in metadata.ensembles[name].members]
            temperature, base_logit = metadata.ensembles[name].temperature, 0.0
        else:
            together = metadata.blend[question] if kind == BLEND else metadata.combination
            weights = [weight for part in (*ensembles, *trees) for weight in together.weights[part]]
            temperature, base_logit = together.temperature, together.centre
        members = [(ensemble, length) for ensemble in ensembles for length in metadata.seq_lengths]
        n_past = [metadata.specs[ensemble].n_past(length) for ensemble, length in members]
        if trees:
            members.append((name_for(TREES, question), metadata.n_labels))
            n_past.append(metadata.fewest_past_of_trees)
        return cls(
            members,
            np.array(weights),
            temperature,
            base_logit,
            np.array(n_past),
            shortest=min(n_past),
            without_trees=cls.of(metadata, LSTMS[question]) if kind == BLEND else None,
        )

    @property
    def lengths(self) -> np.ndarray:
        """The sequence length of each member."""
        return np.array([length for _, length in self.members])

    def reweighted(self, weights: list[float]) -> "Pool":
        """The pool with the weights of a caller, one per member, and temperature 1: its own is for its own weights.

        Raises
        ------
        SettingsError
            If the weights are not one per member, are negative, not finite, or all 0.
        """
        if len(weights) != len(self.members):
            members = ", ".join(f"{short_name(name)} L={length}" for name, length in self.members)
            raise SettingsError(f"weights must be one per member: {members} (found {len(weights)})")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise SettingsError(f"weights must be finite, not negative and not all 0 (found {weights})")
        given = np.array(weights, dtype=np.float64)
        shortest = int(self.n_past[given > 0].min())
        return replace(self, weights=given, temperature=1.0, shortest=shortest, without_trees=None)

    def answering(self, fits: np.ndarray) -> "Pool":
        """The pool that answers where `fits`, of shape (n_members,), says which members a short past is enough for."""
        return self if fits[-1] or self.without_trees is None else self.without_trees

    def shares(self, fits: np.ndarray) -> np.ndarray:
        """The weights, scaled to sum to 1, of the members for which a short history is long enough.

        At least one member must fit. Where all that fit have weight 0, they get equal weights: they are all there is.

        Parameters
        ----------
        fits : ndarray of shape (n_members,), bool
            Which members fit.
        """
        weights = self.weights[fits]
        return normalise(weights if weights.any() else np.ones(len(weights)))

    def combine(self, logits: np.ndarray) -> np.ndarray:
        """The probability of each purchase, NaN where no member has a logit.

        Parameters
        ----------
        logits : ndarray of shape (n_members, n_purchases), float64
            NaN where the past is too short for the member.
        """
        known = ~np.isnan(logits)
        everywhere = known.all(axis=0)
        found = np.full(logits.shape[1], np.nan)
        found[everywhere] = combine(logits[:, everywhere], self.weights, self.temperature, self.base_logit)
        for at in np.flatnonzero(~everywhere & known.any(axis=0)):
            pool = self.answering(known[:, at])
            fits = known[: len(pool.members), at]
            of_fitting = logits[: len(pool.members), at][fits]
            found[at] = combine(of_fitting, pool.shares(fits), pool.temperature, pool.base_logit)
        return found
