"""Pools of members: which of them answer together, and how their logits become one probability."""

import math
from dataclasses import dataclass, replace

import numpy as np

from boomerang.base.ensembles import COMBINATION, ensembles_answering
from boomerang.base.errors import SettingsError
from boomerang.combining.calibration import combine, normalise
from boomerang.combining.metadata import Metadata

# An ensemble and a sequence length.
Member = tuple[str, int]


@dataclass(frozen=True)
class Pool:
    """Members of one or several ensembles, and how they are combined.

    Attributes
    ----------
    members : list of (str, int)
        Ensemble and sequence length of each.
    weights : ndarray of shape (n_members,), float64
        Not negative, not all 0.
    temperature, base_logit : float
        As in `calibration.combine`.
    n_past : ndarray of shape (n_members,), int
        The past purchases that each member needs.
    shortest : int
        The fewest past purchases that an answer needs.
    """

    members: list[Member]
    weights: np.ndarray
    temperature: float
    base_logit: float
    n_past: np.ndarray
    shortest: int

    @classmethod
    def of(cls, metadata: Metadata, name: str) -> "Pool":
        """The pool of an ensemble, or of `combination`, as the metadata has it."""
        if name == COMBINATION:
            names, combination = ensembles_answering("next"), metadata.combination
            weights = [weight for ensemble in names for weight in combination.weights[ensemble]]
            temperature, base_logit = combination.temperature, combination.centre
        else:
            names, ensemble = [name], metadata.ensembles[name]
            weights = [member.weight for member in ensemble.members]
            temperature, base_logit = ensemble.temperature, 0.0
        members = [(ensemble_name, length) for ensemble_name in names for length in metadata.seq_lengths]
        n_past = np.array([metadata.specs[ensemble_name].n_past(length) for ensemble_name, length in members])
        return cls(members, np.array(weights), temperature, base_logit, n_past, int(n_past.min()))

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
            lengths = self.lengths.tolist()
            raise SettingsError(f"weights must be one per member, L = {lengths} (found {len(weights)})")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise SettingsError(f"weights must be finite, not negative and not all 0 (found {weights})")
        given = np.array(weights, dtype=np.float64)
        return replace(self, weights=given, temperature=1.0, shortest=int(self.n_past[given > 0].min()))

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
            fits = known[:, at]
            found[at] = combine(logits[fits, at], self.shares(fits), self.temperature, self.base_logit)
        return found
