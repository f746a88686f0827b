"""What continuous integration runs, and with which rights."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_the_workflow_may_only_read():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOW["jobs"].values())
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == len([step for step in STEPS if "uses" in step])
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}  # v[\d.]+", action) for action in used)


@pytest.mark.parametrize("target", ["test", "status", "reproduce", "wheel"])
def test_the_workflow_and_the_script_for_one_machine_run_the_same_targets(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"make {target}" in [step.get("run") for step in STEPS]
    assert f"make {target}" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_oldest_python_is_the_one_that_make_asks_for():
    oldest = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"][0]
    assert f"({oldest.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime: apt-get install faketime")
def test_another_worker_finds_tests_of_the_same_names(request):
    # pytest-xdist gives up where two workers do not, such as when a name holds bytes with the second in them.
    command = ["faketime", "-f", "+500d", sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    another = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Kathmandu"}
    found = subprocess.run(command, cwd=ROOT, env=another, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    names = {f"{item.location[0]}::{item.name}" for item in request.session.items}  # xdist adds to nodeid
    assert names - set(found.stdout.splitlines()) == set()


def test_a_clone_has_the_bytes_that_the_lock_records_whatever_git_does_to_line_ends(tmp_path):
    command = ["git", "clone", "-q", "-c", "core.autocrlf=true", str(ROOT), str(tmp_path / "clone")]
    subprocess.run(command, check=True)
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True
    )
    files = [tmp_path / "clone" / name for name in tracked.stdout.split("\0") if name]
    assert len(files) > 200
    # A PNG begins with these bytes on purpose, to find out a system that changes line ends.
    assert [file.name for file in files if b"\r\n" in file.read_bytes() and file.suffix != ".png"] == []
