import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import psutil
import pytest
import yaml

from boomerang.base.errors import SettingsError
from tests.support import ROOT, commit, is_running, run, wait_until_ended
from tools.reproduce import main, record

# The tools are run in repositories that do not hold them.
OUTSIDE = os.environ | {"PYTHONPATH": str(ROOT)}
# Writes its input and something of its own; what, is planted.
STAGE = """
import datetime, json, os, random
content = {"number": 0.5 + float(os.environ.get("SHIFT", 0))}
PLANTED
with open("NAME.json", "w") as file:
    json.dump(content, file)
"""


def make_pipeline(folder, *planted, top=None):
    """A repository with nothing of ours: small stages that do what is planted; their first run is committed.

    It is a folder of the git repository `top`, by default all of it.
    """
    stages, deps = {}, []
    for name, code in zip(("first", "second", "third", "fourth"), ("", *planted), strict=False):
        (folder / f"{name}.py").write_text(STAGE.replace("NAME", name).replace("PLANTED", code))
        stages[name] = {"cmd": f"exec python {name}.py", "deps": [f"{name}.py", *deps], "outs": [f"{name}.json"]}
        deps = [f"{name}.json"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    run(top or folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q", *(["--subdir"] if top else []))
    run(folder, "dvc", "repro", "-q")
    assert reproduce(folder, "--record") == (0, "", "")
    commit(folder)
    return folder


def reproduce(folder, *arguments, **environment):
    command = [sys.executable, "-m", "tools.reproduce", *arguments]
    done = subprocess.run(command, cwd=folder, env=OUTSIDE | environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_what_does_not_repeat_is_caught_by_two_runs_and_named(tmp_path):
    planted = (
        "content['when'] = str(datetime.date.today())",
        "content['shuffled'] = random.sample(range(100), 100)",
        "content['set'] = list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})",
    )
    code, printed, _ = reproduce(make_pipeline(tmp_path, *planted), "--runs", "2")
    assert code == 1
    verdicts = [line.split() for line in printed.splitlines()[:4]]
    assert [(stage, verdict) for stage, _, verdict in verdicts] == [
        ("first", "same"),
        ("second", "differs"),
        ("third", "differs"),
        ("fourth", "differs"),
    ]
    assert "second differs first\n  second.json: when differs: " in printed
    assert "third.json: numbers differ by up to" in printed


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime: apt-get install faketime")
def test_the_clock_is_set_for_one_of_two_runs(tmp_path):
    planted = "content['when'] = str(datetime.datetime.now(datetime.UTC).date())"
    code, printed, _ = reproduce(make_pipeline(tmp_path, planted), "--runs", "2")
    assert code == 1
    assert "second differs first\n  second.json: when differs: " in printed


def words(process):
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


def test_killed_it_takes_its_run_along(tmp_path):
    folder = make_pipeline(tmp_path, "if 'HOLD' in os.environ: import time; time.sleep(600)")
    command = [sys.executable, "-m", "tools.reproduce"]
    with subprocess.Popen(command, cwd=folder, env=OUTSIDE | {"HOLD": "1"}, stderr=subprocess.DEVNULL) as ours:
        deadline = time.monotonic() + 60
        below = {}
        while not any("second.py" in command for command in below.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
            below = {process: words(process) for process in psutil.Process(ours.pid).children(recursive=True)}
        ours.kill()
    runs = [process for process, command in below.items() if "repro" in command]
    assert runs
    wait_until_ended(runs)
    # These stages do not ask to end with DVC, as ours do.
    for process in filter(is_running, below):
        process.kill()


def test_a_shift_is_measured_and_accepted_within_the_tolerance_alone(tmp_path):
    folder = make_pipeline(tmp_path, "")
    assert reproduce(folder)[:2] == (
        0,
        "first          first.json                       same\n"
        "second         second.json                      same\n"
        "2 outputs, every byte the same\n",
    )
    code, printed, _ = reproduce(folder, "--tolerance", "1e-6", SHIFT="1e-3")
    assert code == 1
    assert "first differs first\n  first.json: numbers differ by up to 0.001 (number)" in printed
    assert "the same in all that is recorded" in printed
    assert "not accepted with a tolerance of 1e-06" in printed
    (folder / "machine.json").write_text((folder / "machine.json").read_text().replace('"cpu": "', '"cpu": "Other '))
    commit(folder)
    code, printed, _ = reproduce(folder, "--tolerance", "1e-6", SHIFT="1e-9")
    assert code == 0
    assert "cpu: Other " in printed
    assert "\naccepted with a tolerance of 1e-06" in printed


@pytest.mark.parametrize("other", ["--runs=2", "--tolerance=0"])
def test_what_a_record_does_not_read_is_refused(other, capsys):
    with pytest.raises(SystemExit):
        main(["--record", other])
    assert "--record reproduces nothing" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "x"])
def test_a_tolerance_that_is_no_finite_number_from_0_is_refused(text):
    with pytest.raises(SystemExit, match="2"):
        main([f"--tolerance={text}"])


@pytest.fixture
def options(tmp_path):
    """A repository whose pyproject.toml hands in what is special to it."""
    tables = """
        [tool.reproduce]
        requirements = "pins.txt"
        environment = {EVERY = "run"}
        vary = {VARIED = ["1", "2"]}
        derived = ["second.json", "third.json:hash"]
    """
    (tmp_path / "pyproject.toml").write_text(textwrap.dedent(tables))
    (tmp_path / "pins.txt").write_text("numpy==0\n")
    return tmp_path


def test_what_is_special_to_a_repository_is_handed_in(options):
    planted = (
        "content['varied'] = os.environ.get('VARIED')",
        "content = {'hash': os.environ.get('VARIED'), 'every': os.environ.get('EVERY')}",
    )
    folder = make_pipeline(options, *planted)
    assert "numpy" in json.loads((folder / "machine.json").read_text())["libraries"]
    code, printed, _ = reproduce(folder, "--runs", "2", "--tolerance", "0")
    equal = "the values are equal, the bytes are not"
    assert f"second differs first\n  second.json: {equal}\n  third.json: {equal}\n" in printed
    assert code == 0
    # The first run, which is committed, had not the variable of every run.
    assert "third.json: every differs: None / run" in reproduce(folder)[1]


def test_a_fault_in_what_is_handed_in_is_named(options):
    (options / "pyproject.toml").write_text("[tool.reproduce]\nvary = 1\n")
    make = [["git", "init", "-q"], ["dvc", "init", "-q"]]
    for command in make:
        run(options, *command)
    code, _, said = reproduce(options)
    assert code == 2
    assert said.endswith("error: pyproject.toml [tool.reproduce]: vary must be a mapping of settings (found 1)\n")


def test_a_record_that_a_merge_left_in_two_is_made_anew(tmp_path):
    folder = make_pipeline(tmp_path)
    before = (folder / "machine.json").read_text()
    (folder / "machine.json").write_text(f"<<<<<<< one\n{before}=======\n{before}>>>>>>> other\n")
    assert reproduce(folder, "--record")[0] == 0
    assert (folder / "machine.json").read_text() == before


@pytest.fixture
def part_of_a_repository(tmp_path):
    """A pipeline in the folder `shop/returns` of a larger repository, which reads a file beside its folder."""
    folder = tmp_path / "shop" / "returns"
    folder.mkdir(parents=True)
    (tmp_path / "shop" / "rates.txt").write_text("1")
    return make_pipeline(folder, "content['rate'] = open('../rates.txt').read()", top=tmp_path)


def test_a_project_in_a_folder_of_a_larger_repository_is_reproduced(part_of_a_repository):
    code, printed, _ = reproduce(part_of_a_repository)
    assert (code, printed.splitlines()[-1]) == (0, "2 outputs, every byte the same")


def test_a_change_of_a_project_in_a_folder_of_a_larger_repository_is_told(part_of_a_repository):
    folder = part_of_a_repository
    definition = yaml.safe_load((folder / "dvc.yaml").read_text())
    definition["stages"]["second"]["deps"].append("../rates.txt")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    run(folder, "dvc", "repro", "-q")
    commit(folder)
    (folder / "first.py").write_text((folder / "first.py").read_text() + "# changed\n")
    (folder.parent / "rates.txt").write_text("2")
    command = [sys.executable, "-m", "tools.status"]
    done = subprocess.run(command, cwd=folder, env=OUTSIDE, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [
            "first: first.py is modified",
            f"second: {folder.parent / 'rates.txt'} is modified",
            "../rates.txt is not committed as it is here",
            "first.py is not committed as it is here",
        ],
    )


@pytest.mark.parametrize(
    ("tool", "is_repository", "words"),
    [
        ("tools.status", False, "not a git repository"),
        ("tools.reproduce", False, "not a git repository"),
        ("tools.reproduce", True, "does not have any commits yet"),
    ],
)
def test_where_git_has_nothing_one_line_says_so(tmp_path, tool, is_repository, words):
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "plots"))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    if is_repository:
        run(tmp_path, "git", "init", "-q")
    done = subprocess.run([sys.executable, "-m", tool], cwd=tmp_path, env=OUTSIDE, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert words in line


@pytest.mark.parametrize("content", ["", "mine", '{"name": "server"}'])
def test_a_file_that_only_has_the_name_of_a_record_is_not_replaced(tmp_path, monkeypatch, content):
    monkeypatch.setattr("tools.reproduce.Pipeline", lambda root: SimpleNamespace(outputs_digest=lambda: "123"))
    (tmp_path / "machine.json").write_text(content)
    with pytest.raises(
        SettingsError, match=r"^machine\.json is no record of a machine and is not replaced: move it away$"
    ):
        record(tmp_path)
    assert (tmp_path / "machine.json").read_text() == content


def test_without_the_cache_the_hashes_alone_are_compared(tmp_path):
    folder = make_pipeline(tmp_path, "")
    shutil.rmtree(folder / ".dvc" / "cache")
    code, printed, _ = reproduce(folder, "--tolerance", "1", SHIFT="1e-9")
    assert code == 1
    assert "first.json: the content of one version is not here" in printed
    assert "differ by up to" not in printed


def test_what_a_stage_needs_and_git_lacks_is_an_error(tmp_path):
    (tmp_path / "helper.py").write_text("")
    (tmp_path / ".gitignore").write_text("/helper.py\n")
    folder = make_pipeline(tmp_path, "import helper")
    (folder / "first.py").write_text((folder / "first.py").read_text() + "# changed\n")
    code, printed, said = reproduce(folder)
    assert (code, printed) == (1, "")
    assert said.startswith("not part of it, because it is not committed:\n M first.py\n")
    assert said.endswith("error: `dvc repro` failed in a clean clone of HEAD, for the reason above\n")


def test_data_that_is_not_in_git_comes_along_from_the_repository_alone(tmp_path):
    folder, outside = tmp_path / "repository", tmp_path / "outside.csv"
    (folder / "data").mkdir(parents=True)
    for path in (folder / "data" / "own.csv", outside):
        path.write_text("1")
    (folder / ".gitignore").write_text("/data\n")
    make_pipeline(folder, "content['data'] = open('data/own.csv').read()")
    for path, code, said in (
        ("data/own.csv", 0, ""),
        ("../outside.csv", 2, "../outside.csv lies outside the repository"),
    ):
        stages = yaml.safe_load((folder / "dvc.yaml").read_text())
        stages["stages"]["second"]["deps"] = ["second.py", "first.json", path]
        (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
        run(folder, "dvc", "repro", "-q")
        commit(folder)
        found = reproduce(folder)
        assert found[0] == code
        assert said in found[2]
    # Another file now lies where the committed lock's was.
    stages["stages"]["second"]["deps"] = ["second.py", "first.json", "data/own.csv"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
    run(folder, "dvc", "repro", "-q")
    commit(folder)
    (folder / "data" / "own.csv").write_text("2")
    code, _, said = reproduce(folder)
    assert code == 1
    assert "data/own.csv is not what dvc.lock records: it was computed from another" in said


# NumPy without what only some CPUs have; torch, OpenBLAS and numba are limited by the pipeline itself.
OLDER_CPU = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}


@pytest.mark.xdist_group("pipeline")
def test_the_whole_pipeline_repeats_under_another_umask_locale_zone_cpu_and_number_of_workers(finished):
    before = os.umask(0o077)
    try:
        code, printed, said = reproduce(finished, LC_ALL="C", BOOMERANG_JOBS="2", BOOMERANG_QUIET="true", **OLDER_CPU)
    finally:
        os.umask(before)
    assert code == 0, said
    assert printed.endswith("14 outputs, every byte the same\n")
    # Not the outputs alone: dvc.lock as a whole.
    assert "dvc.lock is not as a run writes it" not in said
    assert run(finished, "git", "status", "--porcelain") == ""
