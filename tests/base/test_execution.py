from pathlib import Path

import pytest

from boomerang.base.errors import SettingsError
from boomerang.base.execution import Execution


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


def test_prefetching_without_workers_is_warned_of(capsys):
    Execution.from_environment(prefetch_factor=4)
    assert "prefetch_factor does nothing without num_workers" in capsys.readouterr().err
    Execution.from_environment(prefetch_factor=4, num_workers=1)
    assert capsys.readouterr().err == ""
