from pathlib import Path

import pytest

from boomerang.base.errors import SettingsError
from boomerang.base.execution import Execution
from boomerang.base.settings import TrainSettings
from tests.support import SMALL_PARAMS


def test_execution_comes_from_flags_then_environment_then_defaults(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "3")
    monkeypatch.setenv("BOOMERANG_NUM_WORKERS", "1")
    execution = Execution.from_environment(num_workers=2, pin_memory=True, jobs=None)
    assert (execution.jobs, execution.num_workers, execution.pin_memory) == (3, 2, True)
    assert (execution.prefetch_factor, execution.quiet) == (2, False)


def test_the_store_lies_in_the_project_unless_it_is_put_elsewhere_or_not_wanted(monkeypatch):
    monkeypatch.delenv("BOOMERANG_NO_STORE")
    assert Execution.from_environment(Path("project")).store_dir == Path("project/.cache/members")
    monkeypatch.setenv("BOOMERANG_STORE", "elsewhere")
    assert Execution.from_environment(Path("project")).store_dir == Path("elsewhere")
    assert Execution.from_environment(no_store=True).store_dir is None


def test_bad_environment_is_refused(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "many")
    with pytest.raises(SettingsError, match=r"^BOOMERANG_JOBS: must be a whole number from 1 to 1024 \(found 'many'\)"):
        Execution.from_environment()
    with pytest.raises(SettingsError, match=r"execution: jobs: must be a whole number from 1 to 1024 \(found 0\)"):
        Execution.from_environment(jobs=0)


def training(**changed):
    values = SMALL_PARAMS["train"] | {"epochs": 10} | changed
    return TrainSettings(**values)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"early_stopping_patience": 8}, []),
        ({"early_stopping_patience": 9}, ["early_stopping_patience 9 does nothing with epochs 10"]),
        ({"early_stopping_patience": 1, "epochs": 2}, ["early_stopping_patience 1 does nothing with epochs 2"]),
        ({"early_stopping_patience": 1, "epochs": 1}, ["early_stopping_patience 1 does nothing with epochs 1"]),
        ({"lr_schedule": "cosine", "epochs": 2}, []),
        ({"lr_schedule": "cosine", "epochs": 1}, ["lr_schedule cosine does nothing with epochs 1"]),
    ],
)
def test_a_training_setting_that_does_nothing_is_warned_of(changed, found, capsys):
    execution = Execution(jobs=1)
    execution.warn_of_idle({"time": training(**changed), "simple": training()})
    assert capsys.readouterr().err.splitlines() == [f"warning: {line} (time)" for line in found]
    execution.warn_of_idle({"time": training(**changed), "simple": training(**changed)})
    assert capsys.readouterr().err.splitlines() == [f"warning: {line} (time, simple)" for line in found]


def test_page_locked_memory_without_a_gpu_is_warned_of(capsys):
    execution = Execution(jobs=1, pin_memory=True)
    execution.warn_of_idle({"time": training(), "simple": training(use_gpu=True)})
    assert capsys.readouterr().err == ""
    execution.warn_of_idle({"time": training(), "simple": training()})
    assert capsys.readouterr().err == "warning: pin_memory does nothing without use_gpu\n"


@pytest.mark.parametrize("name", ["BOOMERANG_JOBZ", "BOOMERANG_SEED", "BOOMERANG_jobs"])
def test_a_variable_that_nothing_reads_is_warned_of(name, capsys, monkeypatch):
    monkeypatch.setenv(name, "3")
    Execution.from_environment()
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {name} does nothing: what is read is BOOMERANG_DEBUG, BOOMERANG_JOBS, ")
    assert err.count("\n") == 1


def test_a_store_beside_no_store_is_warned_of(capsys, monkeypatch):
    monkeypatch.delenv("BOOMERANG_NO_STORE")
    Execution.from_environment(store=Path("elsewhere"))
    assert capsys.readouterr().err == ""
    Execution.from_environment(store=Path("elsewhere"), no_store=True)
    assert capsys.readouterr().err == "warning: store does nothing with no_store (found elsewhere)\n"


def test_prefetching_without_workers_is_warned_of(capsys):
    Execution.from_environment(prefetch_factor=4)
    assert "prefetch_factor does nothing without num_workers" in capsys.readouterr().err
    Execution.from_environment(prefetch_factor=4, num_workers=1)
    assert capsys.readouterr().err == ""
