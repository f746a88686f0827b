import json

import pandas as pd
import pytest

from boomerang.base import settings
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.execution import Execution
from boomerang.base.stage_files import read_json
from boomerang.measures.evaluation import BacktestFile
from stages.backtest import backtest, run_pipeline, run_prepared
from stages.prepare import prepare

EXECUTION = Execution(jobs=1, quiet=True, no_store=True)


@pytest.fixture
def config(params, trained):
    params["prepare"]["data_path"] = str(trained.parent / "purchases.csv")
    params["train"]["epochs"] = 1

    def changed(**evaluate):
        return settings.validate_settings(params | {"evaluate": params["evaluate"] | evaluate}, "test")

    return changed


def run(trained, out, config, stages=run_prepared):
    backtest(trained / "prepared", out, config, EXECUTION, stages)
    return read_json(out / "backtest.json", BacktestFile).folds


def test_without_folds_nothing_runs(trained, tmp_path, config):
    assert run(trained, tmp_path, config(n_folds=0), stages=None) == []


def test_folds_test_one_block_after_the_other_and_the_last_is_the_pipeline_itself(trained, tmp_path, config):
    folds = run(trained, tmp_path, config(n_folds=2))
    purchases = pd.read_parquet(trained / "prepared" / "purchases.parquet")
    starts = purchases["datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
    # 200 purchases: 140 to train on, 40 to validate, 20 to test.
    assert [(fold.n_train, fold.test.rows) for fold in folds] == [(120, 20), (140, 20)]
    assert [fold.test.first for fold in folds] == [starts[160], starts[180]]
    assert [fold.test.last for fold in folds] == [starts[179], starts[199]]
    run_pipeline(config(n_folds=0), EXECUTION, tmp_path / "whole")
    metrics = json.loads((tmp_path / "whole" / "evaluation" / "metrics.json").read_text())["test"]
    for question, models in folds[1].log_loss.items():
        assert models == {name: figures["log_loss"] for name, figures in metrics[question].items()}


def test_a_fold_knows_nothing_of_what_came_later(trained, tmp_path, config):
    seen = []

    def stages(config, execution, out):
        table = pd.read_parquet(out / "prepared" / "purchases.parquet")
        seen.append(len(table))
        assert table["datetime"].max() == table["datetime"].iloc[-1]
        raise SettingsError("seen")

    with pytest.raises(SettingsError, match="seen"):
        run(trained, tmp_path, config(n_folds=4), stages)
    assert seen == [140]


@pytest.mark.parametrize(
    ("form", "reading"),
    [
        ("%Y-%m-%dT%H:%MZ", {"timezone": "Europe/London"}),
        ("%d/%m/%Y %H:%M +0000", {"timezone": "Europe/London", "datetime_format": "%d/%m/%Y %H:%M %z"}),
        ("%Y-%m-%dT%H:%M+09:00", {}),
        ("%Y-%m-%dT%H:%M", {"timezone": "Europe/London"}),
        ("%d/%m/%Y %H:%M", {"datetime_format": "%d/%m/%Y %H:%M"}),
    ],
)
def test_a_fold_has_the_instants_and_local_times_of_the_whole(params, tmp_path, form, reading):
    # Over the night in which London's clocks go back.
    times = pd.date_range("2025-10-25T12:00", periods=100, freq="20min")
    rows = "".join(f"{time.strftime(form)},{'yes' if n % 3 else 'no'},1\n" for n, time in enumerate(times))
    (tmp_path / "purchases.csv").write_text("datetime,returned,number\n" + rows)
    params["prepare"] |= {"data_path": str(tmp_path / "purchases.csv")} | reading
    config = settings.validate_settings(params | {"evaluate": params["evaluate"] | {"n_folds": 2}}, "test")
    prepare(tmp_path / "purchases.csv", tmp_path / "prepared", config.prepare)
    seen = []

    def stages(config, execution, out):
        seen.append(pd.read_parquet(out / "prepared" / "purchases.parquet"))
        raise SettingsError("seen")

    with pytest.raises(SettingsError, match="seen"):
        backtest(tmp_path / "prepared", tmp_path, config, EXECUTION, stages)
    whole = pd.read_parquet(tmp_path / "prepared" / "purchases.parquet")
    columns = [name for name in ("datetime", "instant", "returned", "number") if name in whole]
    pd.testing.assert_frame_equal(seen[0][columns], whole[columns][:90])


@pytest.mark.parametrize(("n_folds", "fold"), [(7, 1), (200, 194)])
def test_more_folds_than_the_history_carries_are_refused(trained, tmp_path, config, n_folds, fold):
    message = (
        rf"n_folds must be at most 6 \(found {n_folds}\): fold {fold} of {n_folds} would see the first 80 of the "
        rf"200 purchases in purchases.csv: it must have as many training purchases "
        r"as validation purchases, 40 \(found 20\)"
    )
    with pytest.raises(SettingsError, match=message):
        run(trained, tmp_path, config(n_folds=n_folds), stages=None)


def test_what_fails_in_a_fold_names_the_fold_and_the_file_of_the_person(trained, tmp_path, config):
    def stages(config, execution, out):
        file = json.loads((out / "prepared" / "summary.json").read_text())["file"]
        raise DataError(f"{file}: it fails")

    with pytest.raises(DataError) as failed:
        run(trained, tmp_path, config(n_folds=2), stages)
    assert str(failed.value) == "fold 1 of 2: purchases.csv: it fails"


def test_the_report_shows_each_fold(trained, tmp_path, config):
    run_pipeline(config(n_folds=2), EXECUTION, tmp_path)
    report = (tmp_path / "evaluation" / "report.html").read_text()
    assert "Would it have been so before?" in report
    for fold in read_json(tmp_path / "backtest.json", BacktestFile).folds:
        assert f"{fold.test.first[:10]} to {fold.test.last[:10]}" in report
        assert f"<td>{fold.log_loss['next']['combination']:.4f}</td>" in report
    assert "backtest of 2 folds" in (tmp_path / "MODEL_CARD.md").read_text()
    assert "Would it have been so before?" not in (trained / "evaluation" / "report.html").read_text()


def test_readers_learn_first_that_stretches_stand_twice_and_once(trained, tmp_path, config, capsys):
    lines = (trained.parent / "purchases.csv").read_text().splitlines()
    path = tmp_path / "twice.csv"
    path.write_text("\n".join(lines + lines[51:]))
    changed = config(n_folds=2)
    prepare = changed.prepare.model_copy(update={"data_path": str(path)})
    run_pipeline(changed.model_copy(update={"prepare": prepare}), EXECUTION, tmp_path / "out")
    assert capsys.readouterr().err.count("stand twice") == 1
    report = (tmp_path / "out" / "evaluation" / "report.html").read_text()
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    for page, first in ((report, 'id="verdict-0"'), (card, "## What it is")):
        assert page.index("Look at the data first") < page.index("300 rows from ") < page.index(first)
    for page in (trained / "evaluation" / "report.html", trained / "MODEL_CARD.md"):
        assert "Look at the data first" not in page.read_text()


def test_a_fold_is_asked_for_no_costs_and_no_values(trained_on_columns, tmp_path, params):
    params["prepare"] |= {"numeric_columns": ["price"], "categorical_columns": ["product", "month"]}
    asked = {"n_folds": 1, "cost_missed": "number", "cost_needless": 1.0, "shown_columns": ["product"]}
    params["evaluate"] |= asked

    def stages(config, execution, out):
        assert (config.evaluate.cost_missed, config.evaluate.cost_needless) == (None, None)
        assert config.evaluate.shown_columns == []
        raise SettingsError("seen")

    with pytest.raises(SettingsError, match="seen"):
        run(trained_on_columns, tmp_path, settings.validate_settings(params, "test"), stages)
