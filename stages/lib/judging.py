"""From probabilities of the test purchases to figures, intervals and a verdict."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.lib import scores
from stages.lib.bootstrap import CONFIDENCE, TABLE_CONFIDENCE, Blocks, bounds
from stages.lib.decisions import THRESHOLD_STEPS

# Far coarser than a last bit, which the CPU decides, and finer than any effect.
DIGITS = 6
SEED = 0
MAX_TIME_BINS, MIN_TIME_BIN = 40, 20


@dataclass(frozen=True)
class Judged:
    """Probabilities of the test purchases, of shape (n_test,), by one model; `chosen` as in `ModelFigures`."""

    name: str
    kind: str
    probabilities: np.ndarray
    chosen: str = ""


class Sample:
    """The test purchases and their resamples.

    Parameters
    ----------
    returned : ndarray of shape (n_test,), 0 or 1
        What happened, in time order.
    train_rate : float
        Share of returns among the training purchases.
    """

    def __init__(self, returned: np.ndarray, train_rate: float) -> None:
        self.returned, self.train_rate = returned, train_rate
        self.blocks = Blocks.draw(len(returned), SEED)

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always saying what is more frequent."""
        return _round(max(self.returned.mean(), 1 - self.returned.mean()))

    def answer(self, question: str, judged: str, models: list[Judged]) -> dict[str, Any]:
        """What `Answers` holds but for time and importance.

        Parameters
        ----------
        question : {"next", "made"}
            What is asked.
        judged : str
            Name of the model whose use is judged.
        models : list of Judged
            That model, and those it is compared with; `base_rate` and `judged` among them.
        """
        by_name = {model.name: model for model in models}
        figures = self._measure(models)
        best = next(model["name"] for model in figures if model["kind"] == "baseline")
        difference = self._difference(by_name[judged], by_name[best])
        shown = {model["name"]: model for model in figures}
        ours, theirs = shown[judged], shown[best]
        learned = any(map(_knows_something, (ours, theirs)))
        hits, false_alarms = scores.count_decisions(self.returned, by_name[judged].probabilities, THRESHOLD_STEPS)
        return {
            "verdict": _verdict(question, learned, ours, theirs, shown["base_rate"], difference),
            "judged": judged,
            "best_baseline": best,
            "difference": difference,
            "learned": learned,
            "calibration": self._explain_calibration(ours),
            "models": figures,
            "curves": {name: self._curves(by_name[name].probabilities) for name in (judged, best)}
            if len(np.unique(self.returned)) == 2
            else {},
            "decisions": {
                "hits": hits.tolist(),
                "false_alarms": false_alarms.tolist(),
                "n_returned": int(self.returned.sum()),
                "n_kept": int((1 - self.returned).sum()),
            },
        }

    def _measure(self, models: list[Judged]) -> list[dict[str, Any]]:
        """`ModelFigures` of each model, by ascending log loss; the intervals hold for all models at once."""
        targets = self.returned
        losses = np.array([scores.log_losses(targets, model.probabilities) for model in models])
        resampled = np.array([self.blocks.means(row) for row in losses])
        base = [model.name for model in models].index("base_rate")
        means = losses.mean(axis=1)
        log_loss = _intervals(means, resampled, TABLE_CONFIDENCE)
        skill = _intervals(1 - means / means[base], 1 - resampled / resampled[base], TABLE_CONFIDENCE)
        areas = [scores.roc_auc(targets, model.probabilities) for model in models]
        auc = [None] * len(models)
        if None not in areas:
            drawn = np.array([self.blocks.areas(targets, model.probabilities) for model in models])
            auc = _intervals(np.array(areas), drawn, TABLE_CONFIDENCE)
        figures = [
            {
                "name": model.name,
                "kind": model.kind,
                "chosen": model.chosen,
                "log_loss": log_loss[i],
                "skill": skill[i],
                "roc_auc": auc[i],
                "brier": _round(np.mean((model.probabilities - targets) ** 2)),
                "pr_auc": _round(scores.pr_auc(targets, model.probabilities)),
                "accuracy": _round(np.mean((model.probabilities >= 0.5) == targets)),
                "calibration_error": _round(scores.calibration_error(targets, model.probabilities)),
                "calibration_error_by_chance": _round(scores.calibration_error_by_chance(model.probabilities, SEED)),
            }
            for i, model in enumerate(models)
        ]
        return sorted(figures, key=lambda model: (model["log_loss"]["value"], model["name"]))

    def _difference(self, ours: Judged, theirs: Judged) -> dict[str, float]:
        """Log loss of `ours` less that of `theirs`, row by row, with its interval."""
        rows = scores.log_losses(self.returned, ours.probabilities)
        rows = rows - scores.log_losses(self.returned, theirs.probabilities)
        return _intervals(np.array([rows.mean()]), self.blocks.means(rows)[None])[0]

    def _explain_calibration(self, ours: dict[str, Any]) -> str:
        error, chance = ours["calibration_error"], ours["calibration_error_by_chance"]
        text = (
            f"The calibration error is {error:.4f}; a perfectly calibrated model would stay below {chance:.4f} in 95 "
        )
        text += "of 100 samples of as many purchases"
        if error <= chance:
            return f"{text}, so the probabilities can be taken at their word."
        rates = self.returned.astype(np.float64)
        rate = _intervals(np.array([rates.mean()]), self.blocks.means(rates)[None])[0]
        moved = not rate["low"] <= self.train_rate <= rate["high"]
        then = f"{self.train_rate:.1%} of the training purchases came back, {rate['value']:.1%} of the test purchases"
        why = "the base rate moved" if moved else "the base rate did not move beyond chance"
        return f"{text}, so they are off by more than chance; {why}: {then} ({rate['low']:.1%} to {rate['high']:.1%})."

    def _curves(self, probabilities: np.ndarray) -> dict[str, list]:
        predicted, observed, counts = scores.reliability(self.returned, probabilities)
        found = {"predicted": predicted, "observed": observed, **scores.curves(self.returned, probabilities)}
        return {"n": counts.tolist()} | {name: np.round(values, DIGITS).tolist() for name, values in found.items()}

    def over_time(self, probabilities: np.ndarray, datetimes: list[str]) -> dict[str, list]:
        """What `OverTime` holds."""
        n_bins = max(1, min(MAX_TIME_BINS, len(self.returned) // MIN_TIME_BIN))
        bins = np.array_split(np.arange(len(self.returned)), n_bins)
        return {
            "first": [datetimes[rows[0]] for rows in bins],
            "observed": [_round(self.returned[rows].mean()) for rows in bins],
            "predicted": [_round(probabilities[rows].mean()) for rows in bins],
            "n": [len(rows) for rows in bins],
        }


def _round(value: float | None) -> float | None:
    # Adding 0 makes -0.0 a plain 0.
    return None if value is None else round(float(value), DIGITS) + 0.0


def _knows_something(figures: dict[str, Any]) -> bool:
    """Whether it surely predicts better than the share of returns in training, and ranks better than chance."""
    area = figures["roc_auc"]
    return figures["skill"]["low"] > 0 and (area is None or area["low"] > 0.5)


def _intervals(values: np.ndarray, resampled: np.ndarray, confidence: float = CONFIDENCE) -> list[dict[str, float]]:
    low, high = bounds(values, resampled, confidence)
    return [{"value": _round(values[i]), "low": _round(low[i]), "high": _round(high[i])} for i in range(len(values))]


SUBJECTS = {"next": "the next purchase", "made": "a purchase just made"}


def _verdict(
    question: str, learned: bool, ours: dict, theirs: dict, base_rate: dict, difference: dict[str, float]
) -> str:
    """One sentence: is it better than counting, and than knowing nothing?"""
    about = f"Whether {SUBJECTS[question]} comes back"
    our_name, their_name = (model["name"].replace("_", " ") for model in (ours, theirs))
    losses = f"log loss {ours['log_loss']['value']:.4f} against {theirs['log_loss']['value']:.4f}"
    losses += f", difference {difference['low']:+.4f} to {difference['high']:+.4f}"
    if not learned:
        return (
            f"{about}: nothing can be learned from this history; no model is surely better than the share of returns "
            f"in training ({our_name}: log loss {ours['log_loss']['value']:.4f} against "
            f"{base_rate['log_loss']['value']:.4f})."
        )
    if difference["low"] > 0:
        return f"{about}: a baseline wins, {their_name} predicts better than {our_name} ({losses})."
    if difference["high"] < 0:
        return f"{about}: {our_name} predicts better than the best baseline, {their_name} ({losses})."
    return f"{about}: {our_name} does as well as the best baseline, {their_name} ({losses}: chance)."
