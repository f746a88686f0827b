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
SUBJECTS = {"next": "the next purchase", "made": "a purchase just made"}
MAX_TIME_BINS, MIN_TIME_BIN = 40, 20
# Of fewer purchases of one label a bootstrap draws about the same ones every time, and its intervals are too short.
FEWEST_OF_A_LABEL = 30


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
        shown = {model["name"]: model for model in figures}
        best = next(model["name"] for model in figures if model["kind"] == "baseline")
        difference = self._differences(by_name[judged], [model for model in models if model.kind == "baseline"])[best]
        learned = any(map(_knows_something, figures))
        hits, false_alarms = scores.count_decisions(self.returned, by_name[judged].probabilities, THRESHOLD_STEPS)
        return {
            "verdict": self._verdict(question, learned, shown[judged], shown[best], difference),
            "judged": judged,
            "best_baseline": best,
            "difference": difference,
            "learned": learned,
            "calibration": self._explain_calibration(shown[judged]),
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
        log_loss = self._intervals(means, resampled, TABLE_CONFIDENCE)
        skill = self._intervals(1 - means / means[base], 1 - resampled / resampled[base], TABLE_CONFIDENCE)
        areas = [scores.roc_auc(targets, model.probabilities) for model in models]
        auc = [None] * len(models)
        if None not in areas:
            drawn = np.array([self.blocks.areas(targets, model.probabilities) for model in models])
            auc = self._intervals(np.array(areas), drawn, TABLE_CONFIDENCE)
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

    def _differences(self, ours: Judged, baselines: list[Judged]) -> dict[str, dict[str, float | None]]:
        """Log loss of `ours` less that of each baseline, row by row, with bounds that hold for all of them at once."""
        losses = scores.log_losses(self.returned, ours.probabilities)
        rows = [losses - scores.log_losses(self.returned, baseline.probabilities) for baseline in baselines]
        means = np.array([row.mean() for row in rows])
        found = self._intervals(means, np.array([self.blocks.means(row) for row in rows]), CONFIDENCE)
        return {baseline.name: interval for baseline, interval in zip(baselines, found, strict=True)}

    @property
    def is_enough(self) -> bool:
        """Whether there are enough purchases of either label to say what is chance."""
        n_returned = int(self.returned.sum())
        return min(n_returned, len(self.returned) - n_returned) >= FEWEST_OF_A_LABEL

    def _intervals(self, values: np.ndarray, resampled: np.ndarray, confidence: float) -> list[dict[str, float | None]]:
        """An `Interval` for each value; without bounds where the purchases are too few."""
        low, high = bounds(values, resampled, confidence) if self.is_enough else ([None] * len(values),) * 2
        return [
            {"value": _round(value), "low": _round(low[i]), "high": _round(high[i])} for i, value in enumerate(values)
        ]

    def _explain_calibration(self, ours: dict[str, Any]) -> str:
        error, chance = ours["calibration_error"], ours["calibration_error_by_chance"]
        text = (
            f"The calibration error is {error:.4f}; a perfectly calibrated model would stay below {chance:.4f} in 95 "
        )
        text += "of 100 samples of as many purchases"
        if error <= chance:
            return f"{text}: in {len(self.returned):,} purchases no deviation beyond chance is found."
        text += ": the probabilities are off by more than chance"
        rates = self.returned.astype(np.float64)
        (rate,) = self._intervals(np.array([rates.mean()]), self.blocks.means(rates)[None], CONFIDENCE)
        then = f"{self.train_rate:.1%} of the training purchases came back, {rate['value']:.1%} of the test purchases"
        if rate["low"] is None:
            return f"{text}. {then}."
        moved = not rate["low"] <= self.train_rate <= rate["high"]
        why = "The base rate moved" if moved else "The base rate did not move beyond chance"
        return f"{text}. {why}: {then} ({rate['low']:.1%} to {rate['high']:.1%})."

    def _verdict(self, question: str, learned: bool, ours: dict, theirs: dict, difference: dict) -> str:
        """One sentence: is it better than counting, and than knowing nothing?"""
        about = f"Whether {SUBJECTS[question]} comes back"
        our_name, their_name = (model["name"].replace("_", " ") for model in (ours, theirs))
        losses = f"log loss {ours['log_loss']['value']:.4f} against {theirs['log_loss']['value']:.4f}"
        if not self.is_enough:
            n_returned = int(self.returned.sum())
            return (
                f"{about}: too few test purchases to tell, {n_returned} that came back and "
                f"{len(self.returned) - n_returned} that stayed where {FEWEST_OF_A_LABEL} of each are needed "
                f"({our_name}: {losses} for {their_name})."
            )
        losses += f", difference {difference['low']:+.4f} to {difference['high']:+.4f}"
        wins = f"{their_name} predicts better than {our_name} ({losses})"
        if not learned:
            nothing = f"{about}: nothing can be learned from this history; no model surely ranks purchases better than"
            nothing += " chance and predicts better than the share of returns in training"
            return f"{nothing}. A baseline wins: {wins}." if difference["low"] > 0 else f"{nothing} ({losses})."
        if difference["low"] > 0:
            return f"{about}: a baseline wins, {wins}."
        if difference["high"] < 0:
            return f"{about}: {our_name} predicts better than the best baseline, {their_name} ({losses})."
        return f"{about}: {our_name} does as well as the best baseline, {their_name} ({losses}: chance)."

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
    area, skill = figures["roc_auc"], figures["skill"]
    return area is not None and skill["low"] is not None and skill["low"] > 0 and area["low"] > 0.5
