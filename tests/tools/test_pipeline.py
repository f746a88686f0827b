"""What DVC records of a pipeline is read, and what the lock records and dvc.yaml does not name is found."""

import pytest
import yaml

from boomerang.base.checks import Section
from boomerang.base.errors import SettingsError
from tests.support import run
from tools import pipeline
from tools.pipeline import Pipeline, read_options

# Warnings of DVC about its own parts.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of DVC's, for one pipeline after the other."""
    folder = tmp_path_factory.mktemp("dvc")
    run(folder, "dvc", "init", "-q", "--no-scm")
    (folder / "params.yaml").write_text("rate: 1\nunused: 2\n")
    (folder / "other.yaml").write_text("all: 1\n")
    return folder


def read(folder, stages, locked):
    """The pipeline of these `stages`, whose lock holds a hash for each path of `locked`, by stage and kind."""
    records = {}
    for name, stage in locked.items():
        records[name] = {"cmd": "true", "params": stage.get("params", {})}
        for kind in ("deps", "outs"):
            records[name][kind] = [{"path": path, "md5": found} for path, found in stage.get(kind, {}).items()]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": records}, sort_keys=False))
    return Pipeline(folder)


def test_hashes_are_told_by_stage_in_the_order_of_dvc_yaml(repository):
    stages = {
        "late": {"cmd": "true", "deps": ["made/part", "in"], "outs": ["never"]},
        "early": {"matrix": {"x": ["a", "b"]}, "cmd": "true", "deps": ["in"], "outs": ["made-${item.x}"]},
        "folder": {"cmd": "true", "outs": ["made"]},
    }
    locked = {
        "folder": {"outs": {"made": "333.dir"}},
        "early@a": {"deps": {"in": "111"}, "outs": {"made-a": "222"}},
        "late": {"deps": {"made/part": "444", "in": "111"}},
    }
    pipeline = read(repository, stages, locked)
    assert pipeline.outs == {
        "late": {"never": None},
        "early@a": {"made-a": "222"},
        "early@b": {"made-b": None},
        "folder": {"made": "333.dir"},
    }
    assert pipeline.deps["early@a"] == {"in": "111"}
    # A part of an output is made, too.
    assert list(pipeline.inputs()) == ["in"]


def test_what_the_lock_records_and_dvc_yaml_does_not_name_is_found(repository):
    params = {"params.yaml": {"rate": 1, "unused": 2}, "other.yaml": {"all": 1}}
    locked = {"a": {"deps": {"in": "111", "gone": "111"}, "outs": {"out": "222", "old": "222"}, "params": params}}
    stages = {"a": {"cmd": "true", "deps": ["in"], "params": ["rate", {"other.yaml": None}], "outs": ["out"]}}
    pipeline = read(repository, stages, locked)
    assert pipeline.unnamed == {"a": ["gone", "old", "unused"]}
    assert pipeline.files == {"dvc.yaml", "dvc.lock", "params.yaml", "other.yaml"}


def test_only_outputs_count_for_the_digest(repository):
    stages = {"a": {"cmd": "true", "deps": ["in"], "outs": ["out"]}}
    digests = [
        read(repository, stages, {"a": {"deps": {"in": found}, "outs": {"out": made}}}).outputs_digest()
        for found, made in (("111", "222"), ("999", "222"), ("111", "999"))
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("text", ["[]", "stages: {a: 1}", "stages: {a: {deps: [{path: x}]}}", "a: 1\na: 2"])
def test_a_lock_that_dvc_did_not_write_is_refused(repository, text):
    read(repository, {"a": {"cmd": "true"}}, {})
    (repository / "dvc.lock").write_text(text)
    with pytest.raises(SettingsError, match=r"is not what DVC reads"):
        Pipeline(repository)


class Options(Section):
    name: str = "unknown"


def test_options_are_read_from_pyproject_where_there_is_one(tmp_path):
    assert read_options(tmp_path, "status", Options).name == "unknown"
    (tmp_path / "pyproject.toml").write_text('[tool.status]\nname = "ours"\n')
    assert read_options(tmp_path, "status", Options).name == "ours"
    (tmp_path / "pyproject.toml").write_text("[tool.status]\nnmae = 1\n")
    with pytest.raises(SettingsError, match=r"^pyproject.toml \[tool.status\]: nmae is not a setting \(found 1\)$"):
        read_options(tmp_path, "status", Options)


@pytest.mark.parametrize("program", ["git", "dvc"])
def test_a_program_that_is_missing_is_named(tmp_path, monkeypatch, program):
    monkeypatch.setattr(pipeline, "tool_environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(SettingsError, match=rf"^{program} is needed here, and no program of that name is on PATH$"):
        pipeline.printed_by(tmp_path, program, "status")
