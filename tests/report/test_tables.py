from boomerang.measures.figures import ModelFigures
from boomerang.report.tables import INTERVALS, METRICS


def test_every_figure_with_bounds_takes_three_columns():
    assert INTERVALS == ["log_loss", "skill", "roc_auc"]
    assert set(METRICS) <= set(ModelFigures.model_fields)
