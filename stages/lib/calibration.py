"""How members are combined: weights and a temperature that the validation purchases decide, where there are enough."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

# Fewer purchases say less about a dozen weights than the members' equal say does.
FEWEST_ROWS = 3_000
# Weights are expected to lie about as far from equal as equal is from 0: a normal prior of that standard deviation.
PRIOR_SPREAD = 1.0
TEMPERATURES = (0.2, 5.0)
# A correlation of fewer rows is too uncertain to act on.
FEWEST_TO_CORRELATE = 300
# What is fitted is rounded, far below any effect, so that a last bit of an optimiser never shows.
DIGITS = 4


@dataclass(frozen=True)
class Combination:
    """How logits of members become one probability.

    Attributes
    ----------
    weights : list of float
        One per member, not negative, summing to 1.
    temperature : float
        Above 0; above 1 it draws probabilities towards the centre, below 1 away from it.
    reason : str
        Why they are what they are.
    is_fitted : bool
        Whether the validation purchases decided.
    """

    weights: list[float]
    temperature: float
    reason: str
    is_fitted: bool = False


def combine(logits: np.ndarray, weights: np.ndarray, temperature: float = 1.0, centre: float = 0.0) -> np.ndarray:
    """The probability of a return from the logits of several members: ``expit(c + (sum(w z) - c) / temperature)``.

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
    centre : float
        The logit c that no temperature moves.

    Returns
    -------
    ndarray of shape (...), float64
    """
    # Member by member: a product of matrices would be summed in an order that depends on the CPU.
    mean = _mean(np.asarray(logits, dtype=np.float64), normalise(weights))
    return expit(centre + (mean - centre) / temperature)


def normalise(weights: np.ndarray) -> np.ndarray:
    """Weights of shape (n_members,), not negative and not all 0, scaled to sum to 1."""
    weights = np.asarray(weights, dtype=np.float64)
    # The sum of weights that are large each may be more than float64 holds.
    shares = weights / weights.max()
    return shares / shares.sum()


def fit_combination(logits: np.ndarray, targets: np.ndarray, centre: float = 0.0) -> Combination:
    """The weights, then the temperature, that minimise the log loss on the validation purchases.

    The weights minimise ``sum(log loss) + sum((w - 1/m)**2) / (2 s**2)`` with ``s = PRIOR_SPREAD / m`` over the simplex
    of m members; the temperature minimises the log loss of what they give (Guo et al. 2017, "On Calibration of Modern
    Neural Networks").

    Parameters
    ----------
    logits : ndarray of shape (n_members, n_rows), float64
        Of members that have not learned from these rows.
    targets : ndarray of shape (n_rows,), 0 or 1
        What happened.
    centre : float
        As for `combine`.

    Returns
    -------
    Combination
        Equal weights and temperature 1 for fewer than `FEWEST_ROWS` rows or targets that are all alike.
    """
    n_members, n_rows = logits.shape
    equal = np.full(n_members, 1 / n_members)
    if n_rows < FEWEST_ROWS:
        return Combination(equal.tolist(), 1.0, f"equal ({n_rows} validation purchases, fewer than {FEWEST_ROWS})")
    if len(np.unique(targets)) < 2:
        return Combination(equal.tolist(), 1.0, "equal (the validation purchases all have the same label)")
    spread = PRIOR_SPREAD / n_members

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """What the weights minimise, divided by the number of rows, and its gradient."""
        mean, away = _mean(logits, weights), weights - equal
        residuals = expit(mean) - targets
        loss = _sum_log_loss(mean, targets) + (away @ away) / (2 * spread**2)
        gradient = np.array([np.sum(residuals * row) for row in logits]) + away / spread**2
        return loss / n_rows, gradient / n_rows

    found = minimize(
        objective,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * n_members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n_members)},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    weights = normalise(np.round(np.clip(found.x, 0, 1), DIGITS))
    mean = _mean(logits, weights)
    by_log = minimize_scalar(
        lambda log_temperature: _sum_log_loss(centre + (mean - centre) / np.exp(log_temperature), targets) / n_rows,
        bounds=tuple(np.log(TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    reason = f"fitted on {n_rows} validation purchases"
    return Combination(weights.tolist(), round(float(np.exp(by_log.x)), DIGITS), reason, True)


def fit_across(ensembles: list[np.ndarray], targets: np.ndarray, centre: float) -> Combination:
    """How members of several ensembles, which read different things, are combined.

    The mean of two opinions that rest on different evidence is too timid: each was timid for lack of what the other
    knows. If k log-odds, taken from the base rate, are normal given the outcome, equally good and correlated by r, all
    of them together tell ``sum / (1 + (k - 1) r)``, that is their mean divided by ``(1 + (k - 1) r) / k`` (Winkler
    1981, "Combining Probability Distributions from Dependent Information Sources"). That takes no labels, so it serves
    where there are too few of them to fit a temperature.

    Parameters
    ----------
    ensembles : list of ndarray of shape (n_members, n_rows), float64
        Logits of the members of each, on validation purchases; as many members each.
    targets : ndarray of shape (n_rows,), 0 or 1
        What happened.
    centre : float
        The logit of the base rate in training.

    Returns
    -------
    Combination
        One weight per member, in the order of the ensembles. With enough purchases as of `fit_combination`.
    """
    fitted = fit_combination(np.concatenate(ensembles), targets, centre)
    if fitted.is_fitted or len(targets) < FEWEST_TO_CORRELATE:
        return fitted
    means = [logits.mean(axis=0) for logits in ensembles]
    if min(np.ptp(mean) for mean in means) == 0:
        return fitted
    k = len(means)
    correlations = [np.corrcoef(means[i], means[j])[0, 1] for i in range(k) for j in range(i)]
    correlation = round(float(np.clip(np.mean(correlations), 0, 1)), DIGITS)
    temperature = round((1 + (k - 1) * correlation) / k, DIGITS)
    reason = f"{fitted.reason}, temperature by the correlation {correlation:.2f} of the ensembles"
    return Combination(fitted.weights, temperature, reason)


def _mean(logits: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return sum(share * row for share, row in zip(shares, logits, strict=True))


def _sum_log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Sum of ``log(1 + exp(z)) - y z``, the log loss in nats of probabilities ``expit(z)``."""
    return float(np.sum(np.logaddexp(0, logits) - targets * logits))
