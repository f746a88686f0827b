import ast
import subprocess
import sys

import psutil
import pytest

from tests.support import ROOT, wait_until_ended

CHILD = """
import time
from boomerang.base.processes import die_with_parent
die_with_parent()
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent ended")
def test_a_process_ends_with_its_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_until_ended([child])


def begun(script, *redirections):
    """Run `script` after `begin`, in a shell that closes what the redirections say."""
    command = f'exec "$0" -c "$1" {" ".join(redirections)}'
    script = f"from boomerang.base.processes import begin; begin()\n{script}"
    return subprocess.run(["sh", "-c", command, sys.executable, script], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("redirections", [(), ("2>&-",), (">&-",), ("<&-", ">&-", "2>&-")])
def test_a_file_never_takes_the_place_of_a_closed_console(tmp_path, redirections):
    script = f"""
import os, sys
with open({str(tmp_path / "file")!r}, "w") as file:
    os.write(2, b"to stderr")
    print("to stdout")
    print("to stderr", file=sys.stderr)
"""
    assert begun(script, *redirections).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_ctrl_c_while_starting_shows_no_traceback():
    found = begun("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(5)")
    assert (found.returncode, found.stderr) in ((130, ""), (0, ""))  # 0 where Ctrl-C is ignored


def test_on_windows_nothing_begins_and_one_line_says_why():
    script = "import sys; sys.platform = 'win32'; from boomerang.base.processes import begin; begin()"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.startswith("error: Boomerang needs Linux or macOS: Windows lacks calls ")
    assert found.stderr.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc")
def test_freed_memory_is_kept_and_given_back_when_told():
    script = """
import psutil
from boomerang.base.processes import give_freed_memory_back, keep_freed_memory
keep_freed_memory()
taken = [b"x" * (100 << 20) for _ in range(2)]
del taken
kept = psutil.Process().memory_info().rss
give_freed_memory_back()
print(kept >> 20, psutil.Process().memory_info().rss >> 20)
"""
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    kept, left = map(int, found.stdout.split())
    assert kept > 200
    assert left < 100


FOLDERS = (ROOT, ROOT / "stages", ROOT / "tools")
RUN = [path for folder in FOLDERS for path in folder.glob("*.py") if "__main__" in path.read_text()]


@pytest.mark.parametrize("path", RUN, ids=[path.name for path in RUN])
def test_what_runs_begins_before_it_imports_anything_else(path):
    """Libraries read the numeric environment, which `begin` fixes, when they are imported."""
    first = next(node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.Expr))
    assert isinstance(first, ast.If)
    assert ast.unparse(first.test) == "__name__ == '__main__'"
    imported = {node.module for node in first.body if isinstance(node, ast.ImportFrom)}
    assert imported <= {"boomerang.base.processes", "boomerang.base.sources"}
    assert "begin()" in map(ast.unparse, first.body)
    assert not any(isinstance(node, ast.Import) for node in ast.walk(first))


@pytest.mark.parametrize(
    "command",
    [
        ["train.py"],
        ["predict.py", "--describe"],
        *(["-m", f"stages.{path.stem}"] for path in sorted((ROOT / "stages").glob("[!_]*.py"))),
        *(["-m", f"tools.{name}", *flags] for name, *flags in (("status",), ("reproduce", "--record"), ("export",))),
    ],
    ids=" ".join,
)
def test_without_the_environment_one_line_says_what_to_activate(command):
    # Without its site-packages an interpreter has what the system's would have: no library of ours.
    done = subprocess.run([sys.executable, "-S", *command], cwd=ROOT, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("error: No module named ")
    assert "source .venv/bin/activate" in line.replace(f"{ROOT}/", "") or "`make` installs" in line


def test_a_module_of_ours_that_is_missing_is_a_fault_with_its_traceback():
    assert "Traceback" in begun("import boomerang.base.nothing").stderr


def test_an_older_python_is_told_which_one_is_needed():
    script = "import sys; sys.version_info = (3, 8, 18); import boomerang"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Boomerang needs Python 3.11 or later (found ")


@pytest.mark.parametrize(
    "name", ["train.py", "predict.py", "stages/prepare.py", "tools/status.py", "boomerang/__init__.py"]
)
def test_what_an_older_python_reads_first_has_nothing_that_it_cannot_read(name):
    ast.parse((ROOT / name).read_text(), feature_version=(3, 8))
