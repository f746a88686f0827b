"""What was trained and what it predicts, for people and as JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from boomerang.base.ensembles import BLEND, ENSEMBLES, QUESTIONS, TREES, short_name
from boomerang.base.paths import METADATA_FILE, trees_file
from boomerang.base.wording import counted
from boomerang.combining.decisions import Decision, describe_threshold, show_amount, show_threshold
from boomerang.combining.metadata import Metadata

BAR_WIDTH = 30


def describe(metadata: Metadata, artifacts_dir: Path) -> str:
    """What was learned from, every member with its best epoch and validation figures, and where the results lie."""
    source = metadata.source
    lines = [f"learned from {source.file}, {counted(source.n_purchases, 'purchase')}:"]
    for name, part in source.parts.items():
        lines.append(
            f"  {name:<5} {part.first[:10]} to {part.last[:10]}, {counted(part.rows, 'purchase')}, "
            f"{part.base_rate:.1%} came back"
        )
    lines += [f"{'ensemble':<9} {'L':>4} {'best epoch':>10} {'val loss':>9} {'val accuracy':>13}  file"]
    for name, spec in ENSEMBLES.items():
        for member in metadata.ensembles[name].members:
            path = artifacts_dir / name / spec.member_file(member.seq_length)
            lines.append(
                f"{name:<9} {member.seq_length:>4} {member.best_epoch:>10} {member.val_loss:>9.4f} "
                f"{member.val_accuracy:>13.4f}  {path}"
            )
    for question in QUESTIONS:
        trees = metadata.trees[question]
        shown = f"{trees.best_round:>10} {trees.val_loss:>9.4f} {trees.val_accuracy:>13.4f}"
        lines.append(f"{TREES:<9} {question:>4} {shown}  {artifacts_dir / TREES / trees_file(question)}")
    for name in ENSEMBLES:
        ensemble = metadata.ensembles[name]
        lines.append(f"weights of {name}: {ensemble.weighting}, temperature {ensemble.temperature:g}")
    together = metadata.combination
    names = " and ".join(together.weights)
    lines.append(f"weights of {names} together: {together.weighting}, temperature {together.temperature:g}")
    for question in QUESTIONS:
        blend = metadata.blend[question]
        how = blend.weighting if blend.answered_by == BLEND else f"{blend.answered_by} {blend.weighting}"
        weight = f"weight of trees {blend.share_of_trees:.2f}"
        lines.append(f"blend of {question}: {how}; {weight}, temperature {blend.temperature:g}")
    for question, measured in metadata.validation.items():
        lines.append(f"validation, {QUESTIONS[question]}")
        for name, figures in measured.items():
            auc = "undefined" if figures.roc_auc is None else f"{figures.roc_auc:.4f}"
            lines.append(f"  {name:<14} log loss {figures.log_loss:.4f}, ROC-AUC {auc}")
    return "\n".join([*lines, f"metadata: {artifacts_dir / METADATA_FILE}"])


def to_object(name: str, prediction: dict[str, Any], label: str, decision: Decision | None) -> dict[str, Any]:
    """A prediction for JSON; parameters as in `format_prediction`.

    `act` tells whether the probability of a return is at or above the threshold; where costs are given, `cost_act` and
    `cost_let_be` what acting and letting be cost on average.
    """
    found = {"ensemble": short_name(name), "next": label, **_about(prediction, label)}
    if decision is not None:
        probability = prediction["probability"]
        found |= {"threshold": decision.threshold, "act": probability >= decision.threshold}
        if expected := decision.expect(probability):
            found |= {"cost_act": expected[0], "cost_let_be": expected[1]}
    return found


def _about(prediction: dict[str, Any], label: str) -> dict[str, Any]:
    """The fields of a `Prediction`, with its probabilities of a return turned into those of `label`."""
    turn: Callable[[float], float] = (lambda p: p) if label == "yes" else (lambda p: 1 - p)
    members = [{**member, "probability": turn(member["probability"])} for member in prediction["members"]]
    return {**prediction, "probability": turn(prediction["probability"]), "members": members}


def format_prediction(
    prediction: dict[str, Any], name: str, label: str, n_history: int, decision: Decision | None
) -> str:
    """The prediction for people.

    Parameters
    ----------
    prediction : dict
        Fields of `boomerang.serving.predictor.Prediction`; its probabilities are those of a return.
    name : str
        What predicts.
    label : {"yes", "no"}
        Whose probability to show.
    n_history : int
        Purchases in the history.
    decision : Decision, optional
        From which probability of a return to act, and what mistakes cost.
    """
    shown = _about(prediction, label)
    what = f"{name} ensemble" if name in ENSEMBLES else short_name(name)
    lines = [f"returned={label}: {shown['probability']:.4f}   ({what}, {counted(n_history, 'past purchase')})"]
    if decision is not None:
        lines.append(f"  {_describe_decision(name, what, prediction['probability'], decision.threshold)}")
        if decision.is_own and (expected := decision.expect(prediction["probability"])):
            act, let_be = map(show_amount, expected)
            lines.append(f"  for this purchase, acting costs {act} on average, letting be {let_be}")
    for member in shown["members"]:
        bar = "#" * round(BAR_WIDTH * member["probability"])
        of = "" if name in ENSEMBLES else f"{member['ensemble']:<8}"
        figures = f"{of}L={member['seq_length']:<5} {member['probability']:.4f}"
        lines.append(f"  {figures} |{bar:<{BAR_WIDTH}}| weight {member['weight']:.3f}")
    if prediction["left_out"]:
        lengths = [str(one) for one in prediction["left_out"] if one != TREES]
        members = [f"L = {', '.join(lengths)}"] * bool(lengths)
        trees = [TREES] * (TREES in prediction["left_out"])
        lines.append(f"  left out, the history is too short for them: {', '.join([*members, *trees])}")
    return "\n".join(lines)


def _describe_decision(name: str, what: str, probability: float, threshold: float) -> str:
    """What to do, by which model, and what the threshold comes to where it decides alike for all purchases."""
    acts = probability >= threshold
    place = f"{'at or above' if acts else 'below'} the threshold {show_threshold(threshold)}"
    by = what if short_name(name) == BLEND else f"{what}; the report measures costs by {BLEND}"
    meaning = describe_threshold(threshold)
    alike = f"; this threshold {meaning}" if meaning else ""
    return f"{'act' if acts else 'let be'}: a return is {place} ({by}){alike}"
