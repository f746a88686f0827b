"""dvc.yaml names what the stages read, and a name that is missing or too much is found."""

import copy

import pytest
import yaml
from conftest import ROOT

from stages.lib import needs, pipeline, sources
from stages.lib.errors import SettingsError
from stages.lib.needs import check_deps, check_inputs, check_params, check_recorded, setting_names
from stages.lib.pipeline import LockedStage, changed_inputs, check_lock, compare_locks, outputs_digest, read_lock

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = pipeline.read_definition(ROOT / "dvc.yaml")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_names_its_modules_and_its_settings(name):
    assert check_deps(name, STAGES[name]) + check_params(name, STAGES[name], PARAMS) == []


@pytest.mark.parametrize(("name", "stage"), STAGES.items())
def test_each_single_name_that_is_left_out_is_missed(name, stage):
    for kind, check in (("deps", check_deps), ("params", lambda *given: check_params(*given, PARAMS))):
        names = [path for path in stage.get(kind, []) if kind == "params" or path.startswith("stages/")]
        for left_out in names:
            changed = copy.deepcopy(stage)
            changed[kind].remove(left_out)
            lines = check(name, changed)
            assert lines
            assert all(
                line.startswith((f"{name}: imports {left_out}, ", f"{name}: reads {left_out}")) for line in lines
            )


@pytest.mark.parametrize("name", STAGES)
def test_an_artifact_that_is_left_out_is_missed_whatever_the_lock_says(name):
    assert check_inputs(name, STAGES[name]) == []
    for left_out in (dep for dep in STAGES[name]["deps"] if dep.startswith("artifacts/")):
        changed = copy.deepcopy(STAGES[name])
        changed["deps"].remove(left_out)
        assert check_inputs(name, changed) == [f"{name}: reads {left_out}, which is not in its deps"]
    changed = copy.deepcopy(STAGES[name])
    changed["deps"].append("artifacts/other")
    assert check_inputs(name, changed) == [f"{name}: has artifacts/other in its deps and does not read it"]


def test_what_the_lock_records_and_dvc_yaml_does_not_is_named_once():
    lock = read_lock(ROOT / "dvc.lock")
    stage = copy.deepcopy(STAGES["meta"])
    assert check_recorded("meta", stage, PARAMS, lock) == []
    stage["deps"].remove("artifacts/time")
    stage["deps"].remove("stages/lib/lstm.py")
    stage["outs"] = stage["outs"][1:]
    # What it imports and reads is named as that.
    assert check_recorded("meta", stage, PARAMS, lock) == [
        "meta: dvc.lock records artifacts/metrics.json, which dvc.yaml does not name"
    ]


def test_a_name_too_much_is_found():
    stage = copy.deepcopy(STAGES["prepare"])
    stage["deps"].append("stages/lib/lstm.py")
    stage["params"].append("train.lr")
    assert check_deps("prepare", stage) == ["prepare: has stages/lib/lstm.py in its deps and does not import it"]
    assert check_params("prepare", stage, PARAMS) == ["prepare: has train.lr in its params and does not read it"]


def test_a_path_that_comes_from_the_settings_needs_its_dependency():
    stage = copy.deepcopy(STAGES["prepare"])
    stage["deps"].remove("${prepare.data_path}")
    assert check_params("prepare", stage, PARAMS) == ["prepare: reads prepare.data_path, which is not in its params"]


IMPORT = "from stages.lib import settings\n"


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (f"{IMPORT}settings.load().prepare.val_split", {"prepare.val_split"}),
        (f"{IMPORT}x = settings.load(p).sequences", {"sequences.seq_lengths", "sequences.max_seq_cap"}),
        (f"{IMPORT}x = settings.load()", set(setting_names(PARAMS))),
        ("from stages.lib import settings as s\ns.load().prepare.val_split", {"prepare.val_split"}),
        ("from stages.lib.settings import load\nload().prepare.val_split", {"prepare.val_split"}),
        ("from stages.lib.settings import load as l\nl().prepare.val_split", {"prepare.val_split"}),
        ("import stages.lib.settings\nstages.lib.settings.load().prepare.val_split", {"prepare.val_split"}),
        ("from stages.lib.yaml_file import read_yaml\nread_yaml(p)", set(setting_names(PARAMS))),
        ("from stages import y", {"prepare.test_split"}),
        (
            f"{IMPORT}def f():\n    return settings.load().training(ensemble).lr",
            {f"{section}.{key}" for section in ("train", "train_time") for key in PARAMS["train"]},
        ),
        ("x.load().prepare", set()),
    ],
)
def test_what_a_module_reads_is_found_in_its_code(tmp_path, monkeypatch, code, read):
    monkeypatch.setattr(needs, "ROOT", tmp_path)
    (tmp_path / "stages").mkdir()
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "stages" / "x.py").write_text(code)
    # What a module reads that the stage imports, the stage reads.
    (tmp_path / "stages" / "y.py").write_text(f"{IMPORT}settings.load().prepare.test_split")
    found = check_params("x", {"cmd": "python -m stages.x time", "deps": []}, PARAMS)
    names = {line.removeprefix("x: reads ").removesuffix(", which is not in its params") for line in found}
    assert names == read


@pytest.mark.parametrize("cmd", [{"cmd": "cp a b"}, {"cmd": ["cp a b", "cp b c"]}, {}])
def test_a_stage_that_runs_no_module_of_ours_is_passed_over(cmd):
    stage = {**cmd, "deps": ["a"], "params": ["train.lr"]}
    assert check_deps("copy", stage) + check_inputs("copy", stage) + check_params("copy", stage, PARAMS) == []


def test_a_module_among_several_commands_is_found():
    stage = copy.deepcopy(STAGES["prepare"])
    stage["cmd"] = ["mkdir -p x", stage["cmd"]]
    stage["deps"].remove("stages/lib/files.py")
    assert check_deps("prepare", stage) == ["prepare: imports stages/lib/files.py, which is not in its deps"]


def test_inputs_that_no_stage_makes_and_two_locks_have_otherwise_are_named():
    one = {"a": LockedStage({"in": "1", "same": "1"}, {"out": "2"}), "b": LockedStage({"out": "2"}, {})}
    other = {"a": LockedStage({"in": "9", "same": "1"}, {"out": "3"}), "b": LockedStage({"out": "3"}, {})}
    assert changed_inputs(one, other) == ["in"]


def test_a_lock_that_is_stale_within_itself_is_found():
    lock = {"a": LockedStage({"in": "1"}, {"out": "2"}), "b": LockedStage({"out": "3", "in": "9"}, {})}
    assert check_lock(lock) == ["b: made from another out than a has written since"]
    assert check_lock({"a": lock["a"], "b": LockedStage({"out": "2"}, {})}) == []


def test_only_outputs_count_for_the_machine():
    lock = {"a": LockedStage({"in": "1"}, {"out": "2"})}
    assert outputs_digest(lock) == outputs_digest({"a": LockedStage({"in": "9"}, {"out": "2"})})
    assert outputs_digest(lock) != outputs_digest({"a": LockedStage({"in": "1"}, {"out": "9"})})


@pytest.mark.parametrize("text", ["", "[]", "stages: {a: 1}", "stages: {a: {deps: [{path: x}]}}", "a: 1\na: 2"])
def test_a_file_that_dvc_did_not_write_is_refused(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(SettingsError, match=r"is not what DVC writes"):
        read_lock(tmp_path / "dvc.lock")


def test_stages_of_a_matrix_and_stages_that_never_ran_are_compared_too():
    one = {"m@a": LockedStage({}, {"a": "1"}), "m@b": LockedStage({}, {"b": "1"})}
    other = {"m@a": LockedStage({}, {"a": "1"}), "m@b": LockedStage({}, {"b": "2"})}
    assert compare_locks(["never", "m"], one, other) == [
        ("never", "", "missing"),
        ("m@a", "a", "same"),
        ("m@b", "b", "differs"),
    ]
