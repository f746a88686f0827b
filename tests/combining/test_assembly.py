import numpy as np
import pytest
from scipy.special import expit

from boomerang.base.datetime_settings import Reading
from boomerang.base.ensembles import ENSEMBLES, QUESTIONS, SCALED_FEATURES
from boomerang.combining.assembly import Combinations, TrainedEnsemble, TrainedTrees, assemble_metadata
from boomerang.combining.metadata import Figures, MemberFigures, TrainingFile, TreesFigures
from boomerang.features.prepared import PartFigures, Split, SummaryFile
from boomerang.features.scaler import Scaler
from boomerang.model.lengths import LengthsFile
from boomerang.trees.inputs import list_inputs

TARGETS = np.array([0, 1, 0])
LOGITS = np.array([[-1.0, 1.0, 0.0], [-3.0, 1.0, -2.0]])


def trained(**precisions):
    figures = MemberFigures(epochs=3, best_epoch=2, train_loss=0.5, val_loss=0.6, val_accuracy=0.7)
    return {
        name: TrainedEnsemble(
            TrainingFile(hidden_size=4, num_layers=1, precision=precisions.get(name, "fp32"), device="cpu"),
            [figures, figures],
            ["a" * 64, "b" * 64],
            LOGITS + index,
        )
        for index, name in enumerate(ENSEMBLES)
    }


def boosted():
    """Trees that are surely right, and surely wrong."""
    figures = TreesFigures(rounds=5, best_round=3, train_loss=0.5, val_loss=0.6, val_accuracy=0.7)
    names = {question: [one.name for one in list_inputs(question, False, 4)] for question in QUESTIONS}
    logits = {"next": 4.0 * (2 * TARGETS - 1), "made": -4.0 * (2 * TARGETS - 1)}
    return {question: TrainedTrees(figures, "c" * 64, names[question], logits[question]) for question in QUESTIONS}


def test_validation_purchases_are_predicted_as_a_predictor_would():
    ensembles = trained()
    combinations = Combinations.fit(ensembles, boosted(), TARGETS, 0.25)
    found = combinations.predict_validation(ensembles, boosted())
    assert {question: sorted(models) for question, models in found.items()} == {
        "next": ["blend", "combination", "simple", "time", "trees"],
        "made": ["blend", "context", "trees"],
    }
    np.testing.assert_allclose(found["next"]["trees"], expit([-4, 4, -4]))
    # These trees answer alone where they know, and have no say where they are wrong.
    assert {question: blend.answered_by for question, blend in combinations.blends.items()} == {
        "next": "trees",
        "made": "context",
    }
    np.testing.assert_allclose(found["next"]["blend"], found["next"]["trees"])
    np.testing.assert_allclose(found["made"]["blend"], found["made"]["context"])
    # Of three purchases nothing is fitted: the members weigh the same, and the temperature is 1.
    np.testing.assert_allclose(found["next"]["time"], expit([-2, 1, -1]))
    np.testing.assert_allclose(found["made"]["context"], expit([0, 3, 1]))
    np.testing.assert_allclose(found["next"]["combination"], expit([-1.5, 1.5, -0.5]))
    assert combinations.base_logit == pytest.approx(np.log(1 / 3), abs=1e-6)


def assemble(ensembles):
    combinations = Combinations.fit(ensembles, boosted(), TARGETS, 0.25)
    lengths = LengthsFile(mode="fixed", seq_lengths=[2, 4], requested_seq_lengths=[2, 4, 9], dropped={"9": "too long"})
    scaling = Scaler(
        features=list(SCALED_FEATURES),
        number_transform="asinh",
        data_min=[0.0] * len(SCALED_FEATURES),
        data_max=[1.0] * len(SCALED_FEATURES),
    )
    figures = PartFigures(rows=3, base_rate=0.25, first="2024-01-01T09:00:00", last="2024-01-02T09:00:00")
    summary = SummaryFile(
        file="purchases.csv",
        reading=Reading(datetime_format=None, timezone=None),
        split=Split(val_split=0.2, test_split=0.1),
        parts={"val": figures, "train": figures},
    )
    validation = {"next": {"time": Figures(log_loss=0.5, roc_auc=None)}}
    return assemble_metadata(ensembles, boosted(), combinations, lengths, scaling, summary, validation)


def test_members_keep_the_order_of_their_lengths():
    metadata = assemble(trained())
    found = [(member.seq_length, member.sha256[0], member.weight) for member in metadata.ensembles["simple"].members]
    assert found == [(2, "a", 0.5), (4, "b", 0.5)]
    assert metadata.ensembles["simple"].prefix == "simple/model_simple_seq"
    assert metadata.combination.weights == {"time": [0.25, 0.25], "simple": [0.25, 0.25]}
    assert metadata.blend["next"].weights == {"time": [0.0, 0.0], "simple": [0.0, 0.0], "trees": [1.0]}
    assert metadata.blend["made"].weights == {"context": [0.5, 0.5], "trees": [0.0]}
    assert (metadata.blend["next"].share_of_trees, metadata.trees["made"].sha256) == (1.0, "c" * 64)
    assert metadata.combination.centre == -1.098612
    assert metadata.dropped_seq_lengths == {"9": "too long"}


def test_what_was_learned_from_is_told_in_the_order_of_time():
    source = assemble(trained()).source
    assert (source.file, list(source.parts), source.n_purchases) == ("purchases.csv", ["train", "val"], 6)
    assert source.span == ("2024-01-01T09:00:00", "2024-01-02T09:00:00")


def test_precisions_that_differ_are_called_mixed():
    assert assemble(trained()).precision == "fp32"
    assert assemble(trained(time="bf16")).precision == "mixed"
