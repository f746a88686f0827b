import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from conftest import ROOT, commit, is_running, run, wait_until_ended

from stages.reproduce import build_parser

# Writes its input and something of its own; what, is planted.
STAGE = """
import datetime, json, os, random
content = {"number": 0.5 + float(os.environ.get("SHIFT", 0))}
PLANTED
with open("NAME.json", "w") as file:
    json.dump(content, file)
"""


def make_pipeline(folder, *planted):
    """A repository of small stages, each after the other, that do what is planted; their first run is committed."""
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements-pipeline.txt", folder)
    stages, deps = {}, []
    for name, code in zip(("first", "second", "third", "fourth"), ("", *planted), strict=False):
        (folder / f"{name}.py").write_text(STAGE.replace("NAME", name).replace("PLANTED", code))
        stages[name] = {"cmd": f"exec python {name}.py", "deps": [f"{name}.py", *deps], "outs": [f"{name}.json"]}
        deps = [f"{name}.json"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "repro", "-q")
    run(folder, sys.executable, "-m", "stages.reproduce", "--record")
    commit(folder)
    return folder


def reproduce(folder, *arguments, **environment):
    command = [sys.executable, "-m", "stages.reproduce", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
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
    command = [sys.executable, "-m", "stages.reproduce"]
    with subprocess.Popen(command, cwd=folder, env=os.environ | {"HOLD": "1"}, stderr=subprocess.DEVNULL) as ours:
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


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "x"])
def test_a_tolerance_that_is_no_finite_number_from_0_is_refused(text):
    with pytest.raises(SystemExit, match="2"):
        build_parser().parse_args([f"--tolerance={text}"])


def test_a_record_that_a_merge_left_in_two_is_made_anew(tmp_path):
    folder = make_pipeline(tmp_path)
    before = (folder / "machine.json").read_text()
    (folder / "machine.json").write_text(f"<<<<<<< one\n{before}=======\n{before}>>>>>>> other\n")
    run(folder, sys.executable, "-m", "stages.reproduce", "--record")
    assert (folder / "machine.json").read_text() == before


def test_without_the_cache_the_hashes_alone_are_compared(tmp_path):
    folder = make_pipeline(tmp_path, "")
    shutil.rmtree(folder / ".dvc" / "cache")
    code, printed, _ = reproduce(folder, "--tolerance", "1", SHIFT="1e-9")
    assert code == 1
    assert "first.json: only its hash is known here, not its content" in printed
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
    assert printed.endswith("13 outputs, every byte the same\n")
    # Not the outputs alone: dvc.lock as a whole.
    assert "dvc.lock is not as a run writes it" not in said
    assert run(finished, "git", "status", "--porcelain") == ""
