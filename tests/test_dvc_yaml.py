"""dvc.yaml names what the stages import, read and take from the settings, and nothing else."""

import ast
import copy
import importlib
import subprocess
import sys
from types import SimpleNamespace

import grimp
import pytest
import yaml

from boomerang.base import settings
from boomerang.base.paths import REQUIREMENTS_FILE
from tests.support import ROOT

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SECTIONS = set(PARAMS)
LEAVES = {f"{section}.{key}" for section, values in PARAMS.items() for key in values}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# Settings that a stage takes with the others and that leave its output as it is: a fold holds losses, but no verdict,
# no costs and no values of columns.
WITHOUT_EFFECT = {
    "backtest": {
        *("evaluate.equivalence_margin", "evaluate.cost_missed", "evaluate.cost_needless"),
        "evaluate.shown_columns",
    },
}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("boomerang", "stages", cache_dir=None)


def module_of(stage):
    """The module that a stage runs: `exec python -m stages.train time` runs `stages.train`."""
    return stage["cmd"].split()[3]


def folder_of(module):
    """How dvc.yaml names a module: a package of the library as a folder, and a stage by its file."""
    top, *below = module.split(".")
    return f"{top}/{below[0]}" if top == "boomerang" else f"{top}/{below[0]}.py"


def compare_imports(graph, stage):
    """What a stage imports and does not list, and what it lists and does not import."""
    module = module_of(stage)
    closure = (graph.find_upstream_modules(module) | {module}) - {"boomerang", "stages"}
    imported = {folder_of(found) for found in closure}
    # A stage that imports the others lists their folder.
    imported = {"stages" if path.startswith("stages/") and "stages" in stage["deps"] else path for path in imported}
    listed = {dep for dep in stage["deps"] if dep.split("/")[0] in ("boomerang", "stages")}
    return imported - listed, listed - imported


class TakenError(Exception):
    """Ends a main when it has taken what it needs of the settings."""


class Recorder:
    """Settings that note what is taken of them, sections or single settings: nothing means all of them."""

    def __init__(self):
        self.taken = set()

    def __getattr__(self, section):
        if section == "evaluate":
            return KeyRecorder(self.taken, section)
        self.taken.add(section)
        return {"data_path": ""} if section != "prepare" else settings.load(ROOT / "params.yaml").prepare

    def training(self, ensemble):
        self.taken |= {"train", f"train_{ensemble}"}


class KeyRecorder:
    """A section of settings that notes which of them are taken."""

    def __init__(self, taken, section):
        self._taken, self._section = taken, section

    def __getattr__(self, key):
        self._taken.add(f"{self._section}.{key}")
        return 0


def settings_taken_by(stage, monkeypatch):
    """The settings that the main of a stage takes, as `section.key`."""
    module, recorders = importlib.import_module(module_of(stage)), []

    def load():
        recorders.append(Recorder())
        return recorders[-1]

    def stop(*_):
        raise TakenError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", stage["cmd"].split()[3:])
        if hasattr(module, "settings"):
            patch.setattr(module, "settings", SimpleNamespace(load=load))
        patch.setattr(module, "replacing", stop)
        with pytest.raises(TakenError):
            module.main()
    taken = {name for recorder in recorders for name in recorder.taken or SECTIONS}
    return {leaf for leaf in LEAVES if {leaf, leaf.split(".")[0]} & taken}


def calls_of_settings(tree):
    """How many calls in a piece of code read `params.yaml`."""
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(call in ("settings.load", "load", "read_yaml") for call in calls) + sum(
        ast.unparse(node) == "settings.load" for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    )


def compare_inputs(stage):
    """The artifacts that a stage reads and does not list, and those that it lists and does not read."""
    inputs = importlib.import_module(module_of(stage)).INPUTS
    read = {path.as_posix().format(ensemble=stage["cmd"].split()[-1]) for path in inputs}
    listed = {dep for dep in stage["deps"] if dep.startswith("artifacts/")}
    return read - listed, listed - read


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_the_packages_that_it_imports_and_no_other(graph, name):
    assert compare_imports(graph, STAGES[name]) == (set(), set())
    assert REQUIREMENTS_FILE in STAGES[name]["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_the_artifacts_that_it_reads_and_no_other(name):
    assert compare_inputs(STAGES[name]) == (set(), set())


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_the_settings_that_its_main_takes_and_no_other(monkeypatch, name):
    listed = {leaf for entry in STAGES[name].get("params", []) for leaf in LEAVES if f"{leaf}.".startswith(f"{entry}.")}
    listed |= {leaf for leaf in LEAVES if f"${{{leaf}}}" in STAGES[name]["deps"]}
    assert settings_taken_by(STAGES[name], monkeypatch) - WITHOUT_EFFECT.get(name, set()) == listed


def test_settings_are_taken_by_mains_alone():
    """What the test before does not see is not there: `params.yaml` is read nowhere else below the stages."""
    for path in [*(ROOT / "stages").glob("*.py"), *(ROOT / "boomerang").rglob("*.py")]:
        tree = ast.parse(path.read_text())
        mains = [node for node in tree.body if getattr(node, "name", "") == "main"]
        taken_by_main = sum(calls_of_settings(main) for main in mains if path.parent.name == "stages")
        reads = path.parent.name == "commands" or path.name == "settings.py"
        assert reads or calls_of_settings(tree) == taken_by_main, path


@pytest.mark.parametrize(
    ("name", "dep"), [(name, dep) for name, stage in STAGES.items() for dep in stage["deps"] if "/" in dep]
)
def test_each_single_name_that_is_left_out_is_missed(graph, name, dep):
    stage = copy.deepcopy(STAGES[name])
    stage["deps"].remove(dep)
    missed = compare_inputs(stage)[0] if dep.startswith("artifacts/") else compare_imports(graph, stage)[0]
    assert missed == {dep}


def test_a_name_too_much_is_found(graph):
    stage = copy.deepcopy(STAGES["prepare"])
    stage["deps"] += ["boomerang/training", "artifacts/time"]
    assert compare_imports(graph, stage) == (set(), {"boomerang/training"})
    assert compare_inputs(stage) == (set(), {"artifacts/time"})


@pytest.mark.parametrize("package", ["boomerang", "stages"])
def test_what_every_stage_runs_and_none_lists_computes_nothing(package):
    """Python runs these on the way to any module of theirs; `dvc.yaml` names them nowhere."""
    body = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert {type(node) for node in body} <= {ast.Expr, ast.Import, ast.ImportFrom, ast.If, ast.Assign, ast.FunctionDef}
    assert {node.module for node in body if isinstance(node, ast.ImportFrom)} <= {"typing"}
    conditions = {ast.unparse(node.test) for node in body if isinstance(node, ast.If)}
    assert conditions <= {"TYPE_CHECKING", "sys.version_info < (3, 11)"}
    assert [node.name for node in body if isinstance(node, ast.FunctionDef)] in ([], ["__getattr__"])
    assert all(isinstance(ast.literal_eval(node.value), list | str) for node in body if isinstance(node, ast.Assign))


def test_dvc_takes_up_every_source_and_nothing_that_editors_leave():
    """A room is a flat folder: `.dvcignore` lets through its files, and none of a folder within it."""
    tracked = subprocess.run(["git", "ls-files", "boomerang", "stages"], cwd=ROOT, capture_output=True, text=True)
    sources = [path for path in tracked.stdout.split() if path not in ("boomerang/__init__.py", "boomerang/py.typed")]
    assert len(sources) > 60
    left = ("x.py~", "x.py.orig", ".x.py.swp", "#x.py#", ".#x.py", "4913", "x___jb_tmp___", "__pycache__/x.pyc")
    junk = [f"{folder}/{name}" for folder in ("boomerang/report", "stages") for name in left]
    done = subprocess.run(["dvc", "check-ignore", *sources, *junk], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == junk
