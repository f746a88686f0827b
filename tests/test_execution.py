import pytest

from stages.lib.errors import SettingsError
from stages.lib.execution import Execution


def test_execution_comes_from_flags_then_environment_then_defaults(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "3")
    monkeypatch.setenv("BOOMERANG_NUM_WORKERS", "1")
    execution = Execution.from_environment(num_workers=2, pin_memory=True, jobs=None)
    assert execution == Execution(jobs=3, num_workers=2, pin_memory=True, prefetch_factor=2, quiet=False)


def test_bad_environment_is_refused(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "many")
    with pytest.raises(SettingsError, match=r"execution: jobs: must be a whole number from 1 to 1024 \(found 'many'\)"):
        Execution.from_environment()


def test_prefetching_without_workers_is_warned_of(capsys):
    Execution.from_environment(prefetch_factor=4)
    assert "prefetch_factor does nothing without num_workers" in capsys.readouterr().err
    Execution.from_environment(prefetch_factor=4, num_workers=1)
    assert capsys.readouterr().err == ""
