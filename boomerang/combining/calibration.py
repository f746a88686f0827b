"""How members are combined: weights and a temperature that the validation purchases decide, where there are enough."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from boomerang.base.wording import counted
from boomerang.combining.pools import mean_logits, normalise, pool_logits

# With fewer validation purchases equal weights are better than fitted ones.
FEWEST_ROWS = 3_000
# The prior of each weight is normal, around 1/m for m members; this is its standard deviation in units of its mean.
PRIOR_SPREAD = 1.0
# The lowest and the highest temperature that a fit may give.
TEMPERATURES = (0.2, 5.0)
# A correlation of fewer validation purchases is too uncertain to act on.
FEWEST_TO_CORRELATE = 300
# Logits that differ by less say the same: what is left is last bits, which the CPU decides.
SMALLEST_RANGE = 1e-6
# Fitted values are rounded to so many digits, far below any effect, so that an optimiser's last bit never shows.
DIGITS = 4


@dataclass(frozen=True)
class Combination:
    """How logits of members become one probability.

    Attributes
    ----------
    weights : list of float
        One per member, not negative, summing to 1.
    temperature : float
        Above 0; above 1 it draws probabilities towards the base rate, below 1 away from it.
    reason : str
        Why they are what they are.
    is_fitted : bool
        Whether the validation purchases decided.
    """

    weights: list[float]
    temperature: float
    reason: str
    is_fitted: bool = False


def fit_combination(
    logits: np.ndarray, targets: np.ndarray, base_logit: float = 0.0, prior: np.ndarray | None = None
) -> Combination:
    """The weights, then the temperature, that minimise the log loss on the validation purchases.

    Parameters
    ----------
    logits : ndarray of shape (n_members, n_purchases), float64
        Of members that have not learned from these purchases.
    targets : ndarray of shape (n_purchases,), 0 or 1
        Which purchases came back.
    base_logit : float
        As for `combine`.
    prior : ndarray of shape (n_members,), optional
        The weights that fitted ones are drawn to, above 0 and summing to 1; by default all the same.

    Returns
    -------
    Combination
        Those weights and temperature 1 for fewer than `FEWEST_ROWS` purchases, for targets that are all alike, where
        the search for weights fails, and where those weights predict these very purchases better.
    """
    n_members, n_purchases = logits.shape
    prior = np.full(n_members, 1 / n_members) if prior is None else prior
    equal = prior.tolist()
    if n_purchases < FEWEST_ROWS:
        return Combination(
            equal, 1.0, f"equal ({counted(n_purchases, 'validation purchase')}, fewer than {FEWEST_ROWS})"
        )
    if len(np.unique(targets)) < 2:
        return Combination(equal, 1.0, "equal (the validation purchases all have the same label)")
    weights = _fit_weights(logits, targets, prior)
    if weights is None:
        return Combination(equal, 1.0, "equal (the search for other weights failed)")
    temperature = _fit_temperature(mean_logits(logits, weights), targets, base_logit)
    fitted = Combination(weights.tolist(), temperature, f"fitted on {n_purchases} validation purchases", True)
    plain = Combination(equal, 1.0, f"equal, not as fitted on {n_purchases} validation purchases")
    return _unless_contradicted(fitted, plain, logits, targets, base_logit)


def _unless_contradicted(
    found: Combination, plain: Combination, logits: np.ndarray, targets: np.ndarray, base_logit: float
) -> Combination:
    """`found`, or `plain` with both log losses as the reason where `found` predicts the validation purchases worse.

    What a formula or a search gives is right as far as its assumptions are; these purchases show whether they hold.
    """
    losses = []
    for combination in (found, plain):
        pooled = pool_logits(logits, np.array(combination.weights), combination.temperature, base_logit)
        losses.append(compare_loss(pooled, targets))
    if losses[0] <= losses[1]:
        return found
    reason = f"{plain.reason}: log loss {losses[0]:.4f} with it, {losses[1]:.4f} without"
    return Combination(plain.weights, plain.temperature, reason)


def _fit_weights(logits: np.ndarray, targets: np.ndarray, prior: np.ndarray) -> np.ndarray | None:
    """The weights that minimise ``sum(log loss) + sum((w - p)**2 / (2 s**2))`` over the simplex.

    The second term is the normal prior around the weights p, with ``s = PRIOR_SPREAD p``. None where the search ends
    without success.
    """
    n_members, n_purchases = logits.shape
    spread = PRIOR_SPREAD * prior

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """What the weights minimise, divided by the number of purchases, and its gradient."""
        mean, from_prior = mean_logits(logits, weights), (weights - prior) / spread
        residuals = expit(mean) - targets
        loss = sum_log_loss(mean, targets) + (from_prior @ from_prior) / 2
        gradient = np.array([np.sum(residuals * of_member) for of_member in logits]) + from_prior / spread
        return loss / n_purchases, gradient / n_purchases

    def excess(weights: np.ndarray) -> float:
        """By how much the sum of the weights is above 1."""
        return float(weights.sum() - 1)

    def excess_gradient(weights: np.ndarray) -> np.ndarray:
        return np.ones(len(weights))

    found = minimize(
        objective,
        prior,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * n_members,
        constraints={"type": "eq", "fun": excess, "jac": excess_gradient},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    if not found.success:
        return None
    return normalise(np.round(np.clip(found.x, 0, 1), DIGITS))


def _fit_temperature(mean: np.ndarray, targets: np.ndarray, base_logit: float) -> float:
    """The temperature within `TEMPERATURES` that minimises the log loss of the weighted mean of the logits.

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """

    def objective(log_temperature: float) -> float:
        scaled = base_logit + (mean - base_logit) / np.exp(log_temperature)
        return sum_log_loss(scaled, targets) / len(targets)

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(objective, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
    return round(float(np.exp(found.x)), DIGITS)


def fit_across(
    ensembles: list[np.ndarray], targets: np.ndarray, base_logit: float, of: str = "of the ensembles"
) -> Combination:
    """How members of several ensembles, which read different things, are combined.

    The mean of two opinions that rest on different evidence is too timid, because each alone lacks what the other
    knows. Take k log-odds, measured from the base rate, that are normal given the outcome, equally good and, given the
    outcome, correlated by r. All of them together tell ``sum / (1 + (k - 1) r)``, which is their mean divided by
    ``(1 + (k - 1) r) / k`` (Winkler 1981, "Combining Probability Distributions from Dependent Information Sources").
    This temperature is one number that is computed, not searched for, so it serves where purchases are too few to fit
    one. Ensembles that are not calibrated are not what the formula is about: a temperature that predicts the validation
    purchases worse than none is not taken.

    Parameters
    ----------
    ensembles : list of ndarray of shape (n_members, n_purchases), float64
        Logits of the members of each ensemble on the validation purchases; every ensemble has as many members.
    targets : ndarray of shape (n_purchases,), 0 or 1
        Which purchases came back.
    base_logit : float
        The logit of the base rate in training.
    of : str
        What the reason calls the ensembles.

    Returns
    -------
    Combination
        One weight per member, in the order of the ensembles; what `fit_combination` fits where there are enough
        purchases.
    """
    logits = np.concatenate(ensembles)
    fitted = fit_combination(logits, targets, base_logit)
    if fitted.is_fitted or len(targets) < FEWEST_TO_CORRELATE or len(np.unique(targets)) < 2:
        return fitted
    correlation = _correlate_within_labels([of_ensemble.mean(axis=0) for of_ensemble in ensembles], targets)
    if correlation is None:
        return fitted
    k = len(ensembles)
    temperature = round((1 + (k - 1) * correlation) / k, DIGITS)
    why = f"by the correlation {correlation:.2f} {of}"
    found = Combination(fitted.weights, temperature, f"{fitted.reason}, temperature {why}")
    plain = Combination(fitted.weights, 1.0, f"{fitted.reason}, no temperature {why}")
    return _unless_contradicted(found, plain, logits, targets, base_logit)


def _correlate_within_labels(means: list[np.ndarray], targets: np.ndarray) -> float | None:
    """The mean correlation, 0 to 1, of pairs of ensembles among purchases of the same label, both labels pooled.

    Over all purchases they correlate by more: who sees something of the truth agrees with others who do. None where an
    ensemble says the same of all purchases of a label.
    """
    residuals = []
    for mean in means:
        centred = np.array(mean)
        for label in (0, 1):
            of_label = targets == label
            if np.ptp(mean[of_label]) < SMALLEST_RANGE:
                return None
            centred[of_label] -= np.sum(mean[of_label]) / np.sum(of_label)
        residuals.append(centred / np.sqrt(np.sum(centred * centred)))
    pairs = [np.sum(residuals[i] * residuals[j]) for i in range(len(means)) for j in range(i)]
    return round(float(np.clip(sum(pairs) / len(pairs), 0, 1)), DIGITS)


def compare_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """The mean log loss, rounded so that a last bit, which the CPU decides, tips no balance."""
    return round(sum_log_loss(logits, targets) / len(targets), DIGITS + 2)


def sum_log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Sum of ``log(1 + exp(z)) - y z``, the log loss in nats of probabilities ``expit(z)``."""
    return float(np.sum(np.logaddexp(0, logits) - targets * logits))
