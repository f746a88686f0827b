"""Pools of members: which of them answer together, and how their logits become one probability."""

import math
from dataclasses import dataclass, replace

import numpy as np

from stages.lib.calibration import combine, normalise
from stages.lib.errors import SettingsError
from stages.lib.layout import COMBINATION, ensembles_asked
from stages.lib.metadata import Metadata

# An ensemble and a sequence length.
Member = tuple[str, int]


@dataclass(frozen=True)
class Pool:
    """Members of one ensemble or several, and how they are combined.

    Attributes
    ----------
    members : list of (str, int)
        Ensemble and sequence length of each.
    weights : ndarray of shape (n_members,), float64
        Not negative, not all 0.
    temperature, centre : float
        As for `combine`.
    shortest : int
        The fewest past purchases from which there is an answer.
    """

    members: list[Member]
    weights: np.ndarray
    temperature: float
    centre: float
    shortest: int

    @classmethod
    def of(cls, metadata: Metadata, name: str) -> "Pool":
        """The pool of an ensemble, or of `combination`, as the metadata has it."""
        if name == COMBINATION:
            names, combined = ensembles_asked("next"), metadata.combination
            weights, centre = [weight for ensemble in names for weight in combined.weights[ensemble]], combined.centre
        else:
            names, combined, centre = [name], metadata.ensembles[name], 0.0
            weights = [member.weight for member in combined.members]
        members = [(ensemble, length) for ensemble in names for length in metadata.seq_lengths]
        return cls(members, np.array(weights), combined.temperature, centre, metadata.seq_lengths[0])

    @property
    def lengths(self) -> np.ndarray:
        """The sequence length of each member."""
        return np.array([length for _, length in self.members])

    def reweighted(self, weights: list[float]) -> "Pool":
        """The pool with the weights of a caller, one per member, and without the temperature, which is for its own.

        Raises
        ------
        SettingsError
            If the weights are not one per member, are negative, not finite, or all 0.
        """
        if len(weights) != len(self.members):
            lengths = self.lengths.tolist()
            raise SettingsError(f"weights must be one per member, L = {lengths} (found {len(weights)})")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise SettingsError(f"weights must be finite, not negative and not all 0 (found {weights})")
        shortest = min(length for (_, length), weight in zip(self.members, weights, strict=True) if weight > 0)
        return replace(self, weights=np.array(weights, dtype=np.float64), temperature=1.0, shortest=shortest)

    def shares(self, fits: np.ndarray) -> np.ndarray:
        """The weights, summing to 1, of the members that a short history fits, one of them at least.

        Those may weigh nothing beside longer ones; alone they are all there is, and weigh the same.
        """
        weights = self.weights[fits]
        return normalise(weights if weights.any() else np.ones(len(weights)))

    def combine(self, logits: np.ndarray) -> np.ndarray:
        """The probability of each row from logits of shape (n_members, n_rows), NaN where the past is too short."""
        known = ~np.isnan(logits)
        everywhere = known.all(axis=0)
        found = np.full(logits.shape[1], np.nan)
        found[everywhere] = combine(logits[:, everywhere], self.weights, self.temperature, self.centre)
        for row in np.flatnonzero(~everywhere & known.any(axis=0)):
            fits = known[:, row]
            found[row] = combine(logits[fits, row], self.shares(fits), self.temperature, self.centre)
        return found
