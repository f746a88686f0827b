"""From trained ensembles to metadata: how their members are combined, and all that a predictor must know."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from boomerang.base.ensembles import (
    BLEND,
    COMBINATION,
    ENSEMBLES,
    LABELS,
    LSTMS,
    QUESTIONS,
    TREES,
    EnsembleSpec,
    ensembles_answering,
)
from boomerang.base.paths import METADATA_FILE
from boomerang.base.stage_files import refusing_invalid
from boomerang.combining.blending import Blend, fit_blend
from boomerang.combining.calibration import Combination, fit_across, fit_combination
from boomerang.combining.metadata import (
    FORMAT_VERSION,
    BlendMetadata,
    CombinationMetadata,
    EnsembleMetadata,
    Figures,
    MemberFigures,
    MemberMetadata,
    Metadata,
    TrainingFile,
    TreesFigures,
    TreesMetadata,
)
from boomerang.combining.pools import combine
from boomerang.features.prepared import Source, SummaryFile
from boomerang.features.scaler import Scaler
from boomerang.model.lengths import LengthsFile


@dataclass(frozen=True)
class TrainedEnsemble:
    """What training left of one ensemble.

    Attributes
    ----------
    training : TrainingFile
        Sizes, precision and device.
    figures : list of MemberFigures
        One per member, by ascending sequence length.
    hashes : list of str
        SHA-256 of each member's file.
    logits : ndarray of shape (n_members, n_val), float64
        What each member says of the validation purchases.
    """

    training: TrainingFile
    figures: list[MemberFigures]
    hashes: list[str]
    logits: np.ndarray


@dataclass(frozen=True)
class TrainedTrees:
    """What training left of the trees of one question.

    Attributes
    ----------
    figures : TreesFigures
        Rounds and losses.
    sha256 : str
        Of their file.
    features : list of str
        Names of what they read.
    logits : ndarray of shape (n_val,), float64
        What they say of the validation purchases.
    """

    figures: TreesFigures
    sha256: str
    features: list[str]
    logits: np.ndarray


@dataclass(frozen=True)
class Combinations:
    """How members are combined: those of each ensemble, those of all ensembles asked about the next purchase, and those
    that answer a question with its trees.

    Attributes
    ----------
    alone : dict of str to Combination
        By ensemble, how its own members are combined.
    across : Combination
        How all members of the ensembles that answer `next` are combined.
    blends : dict of str to Blend
        By question, how the members that answer it, and its trees, are blended.
    base_logit : float
        The logit of the base rate in training, which the temperatures of `across` and of blends leave where it is.
    """

    alone: dict[str, Combination]
    across: Combination
    blends: dict[str, Blend]
    base_logit: float

    @classmethod
    def fit(
        cls,
        trained: dict[str, TrainedEnsemble],
        trees: dict[str, TrainedTrees],
        targets: np.ndarray,
        base_rate: float,
    ) -> Self:
        """Fit them on the validation purchases.

        Parameters
        ----------
        trained : dict of str to TrainedEnsemble
            All ensembles.
        trees : dict of str to TrainedTrees
            By question.
        targets : ndarray of shape (n_val,), 0 or 1
            Which validation purchases came back.
        base_rate : float
            Share of returns among the training purchases.
        """
        # Without the last bits, which depend on the C library.
        base_logit = round(math.log(base_rate / (1 - base_rate)), 6)
        alone = {name: fit_combination(ensemble.logits, targets) for name, ensemble in trained.items()}
        asked = [trained[name].logits for name in ensembles_answering("next")]
        across = fit_across(asked, targets, base_logit)
        blends = {}
        for question, of_question in trees.items():
            # The members of `made` are those of one ensemble, whose temperature is about 0.
            combination, centre = (across, base_logit) if question == "next" else (alone[LSTMS[question]], 0.0)
            lstms = Blend.of_members(combination, centre, LSTMS[question])
            members = _stack_logits(trained, question)
            blends[question] = fit_blend(question, members, of_question.logits, lstms, targets, base_logit)
        return cls(alone, across, blends, base_logit)

    def predict_validation(
        self, trained: dict[str, TrainedEnsemble], trees: dict[str, TrainedTrees]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Probabilities of the validation purchases, of shape (n_val,), by question and name of what predicts."""
        found: dict[str, dict[str, np.ndarray]] = {question: {} for question in QUESTIONS}
        for name, combination in self.alone.items():
            weights = np.array(combination.weights)
            probabilities = combine(trained[name].logits, weights, combination.temperature)
            found[ENSEMBLES[name].question][name] = probabilities
        weights = np.array(self.across.weights)
        found["next"][COMBINATION] = combine(
            _stack_logits(trained, "next"), weights, self.across.temperature, self.base_logit
        )
        for question, of_question in trees.items():
            found[question][TREES] = expit(of_question.logits)
            found[question][BLEND] = self.blends[question].combine(_stack_logits(trained, question), of_question.logits)
        return found


def _stack_logits(trained: dict[str, TrainedEnsemble], question: str) -> np.ndarray:
    """Logits of all members that answer a question, ensemble by ensemble: of shape (n_members, n_val)."""
    return np.concatenate([trained[name].logits for name in ensembles_answering(question)])


def assemble_metadata(
    trained: dict[str, TrainedEnsemble],
    trees: dict[str, TrainedTrees],
    combinations: Combinations,
    lengths: LengthsFile,
    scaling: Scaler,
    summary: SummaryFile,
    validation: dict[str, dict[str, Figures]],
) -> Metadata:
    """The content of `models_meta.json`.

    Parameters
    ----------
    trained : dict of str to TrainedEnsemble
        All ensembles.
    trees : dict of str to TrainedTrees
        By question.
    combinations : Combinations
        How their members are combined.
    lengths : LengthsFile
        Sequence lengths of the members.
    scaling : Scaler
        Fitted on the training purchases.
    summary : SummaryFile
        What was read, and how.
    validation : dict of str to dict of str to Figures
        By question and name, figures on the validation purchases.

    Raises
    ------
    ArtifactError
        If a value is one that a predictor would refuse.
    """
    specs = summary.specs
    precisions = {ensemble.training.precision for ensemble in trained.values()}
    with refusing_invalid(METADATA_FILE):
        return Metadata(
            format_version=FORMAT_VERSION,
            mode=lengths.mode,
            seq_lengths=lengths.seq_lengths,
            requested_seq_lengths=lengths.requested_seq_lengths,
            dropped_seq_lengths=lengths.dropped,
            precision=precisions.pop() if len(precisions) == 1 else "mixed",
            scaler="MinMax",
            scaling=scaling,
            labels=LABELS,
            reading=summary.reading,
            source=Source(file=summary.file, parts=summary.parts),
            past=summary.past,
            columns=summary.columns,
            ensembles={
                name: _describe_ensemble(specs[name], name, ensemble, combinations.alone[name], lengths.seq_lengths)
                for name, ensemble in trained.items()
            },
            combination=_describe_combination(combinations, len(lengths.seq_lengths)),
            trees={
                question: TreesMetadata(**found.figures.model_dump(), sha256=found.sha256, features=found.features)
                for question, found in trees.items()
            },
            blend={
                question: _describe_blend(question, blend, len(lengths.seq_lengths))
                for question, blend in combinations.blends.items()
            },
            validation=validation,
        )


def _describe_ensemble(
    spec: EnsembleSpec, name: str, trained: TrainedEnsemble, combination: Combination, seq_lengths: list[int]
) -> EnsembleMetadata:
    of_members = zip(seq_lengths, trained.figures, trained.hashes, combination.weights, strict=True)
    return EnsembleMetadata(
        **trained.training.model_dump(),
        prefix=f"{name}/{spec.prefix}",
        input_size=len(spec.features),
        features=list(spec.features),
        temperature=combination.temperature,
        weighting=combination.reason,
        members=[
            MemberMetadata(**figures.model_dump(), seq_length=length, sha256=sha256, weight=weight)
            for length, figures, sha256, weight in of_members
        ],
    )


def _describe_combination(combinations: Combinations, n_lengths: int) -> CombinationMetadata:
    return CombinationMetadata(
        weights=_part_weights("next", combinations.across.weights, n_lengths),
        temperature=combinations.across.temperature,
        centre=combinations.base_logit,
        weighting=combinations.across.reason,
    )


def _describe_blend(question: str, blend: Blend, n_lengths: int) -> BlendMetadata:
    return BlendMetadata(
        weights={**_part_weights(question, blend.weights, n_lengths), TREES: blend.weights[-1:]},
        temperature=blend.temperature,
        centre=blend.base_logit,
        answered_by=blend.answered_by,
        weighting=blend.reason,
    )


def _part_weights(question: str, weights: list[float], n_lengths: int) -> dict[str, list[float]]:
    """Weights of members, ensemble by ensemble, by the ensembles that answer a question."""
    names = ensembles_answering(question)
    return {name: weights[i * n_lengths : (i + 1) * n_lengths] for i, name in enumerate(names)}
