"""What the pages say about the code is true of it: its files, its rooms, and where to open what."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.support import PAGES
from tests.support import ROOT

CODE = PAGES["docs/code.md"]


# The changelog names files that are gone, the design a room that is still to come.
@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"CHANGELOG.md", "docs/design.md"}))
def test_every_source_file_that_a_page_names_is_there(page):
    for name in re.findall(r"`((?:boomerang|stages|tools|tests|data|docs|\.ci|\.github)/[\w./-]*)`", PAGES[page]):
        assert (ROOT / name).exists(), name


def test_the_tree_lists_every_file_and_no_other():
    block = CODE.partition("## The tree\n")[2].partition("```\n")[2].partition("```")[0]
    folders, listed = [], set()
    for line in block.splitlines():
        found = re.match(r"((?:│   |    )*)[├└]── (\S+) +\S", line)
        assert found, f"a file with a few words about it: {line}"
        folders[len(found[1]) // 4 :] = [found[2]]
        listed.add("/".join(folders))
    # What git would add counts too, so that a new file is not forgotten.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [path for path in printed.split() if (ROOT / path).exists()]
    # These folders stand for what is in them.
    expected = {re.sub(r"^(tests|\.dvc|docs/images)/.*", r"\1", path) for path in tracked}
    expected = {path for path in expected if Path(path).name != "__init__.py" or path == "boomerang/__init__.py"}
    expected |= {parent.as_posix() for path in expected for parent in Path(path).parents if parent != Path()}
    assert listed | {".ci", ".github", ".github/workflows"} == expected


def imported_rooms(folder):
    """The rooms that the modules in `folder` import, without their own."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                found |= {parts[1]} if parts[0] == "boomerang" and len(parts) > 1 else {parts[0]} & {"stages", "tools"}
    return found - {Path(folder).name}


def test_the_rooms_import_what_the_page_says():
    said = {}
    for row in CODE.partition("## The rooms\n")[2].partition("\n## ")[0].splitlines():
        if found := re.match(r"\| `([\w/]+)` \|[^|]*\| (.*) \|", row):
            said[found[1]] = set(re.findall(r"`(\w+)`", found[2]))
    rooms = {f"boomerang/{path.parent.name}" for path in ROOT.glob("boomerang/*/__init__.py")} | {"stages", "tools"}
    assert set(said) == rooms
    for room, may in said.items():
        assert imported_rooms(room) <= may | ({path.stem for path in ROOT.glob("stages/*.py")} & {room}), room


def rows_to_change():
    table = CODE.partition("## To change something\n")[2].partition("\n## ")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines() if row.startswith("| ") and "`" in row]
    return [pytest.param(row[1], id=row[0].strip()) for row in rows]


@pytest.mark.parametrize("where", rows_to_change())
def test_what_the_page_says_to_open_holds_what_it_names(where):
    quoted = re.findall(r"`([^`]+)`", where)
    files = [ROOT / name for name in quoted if (ROOT / name).exists()]
    assert files, where
    text = "".join(path.read_text() for path in files if path.is_file())
    for name in quoted:
        assert (ROOT / name).exists() or name in text, name


@pytest.mark.parametrize(
    "item",
    re.findall(r"^\d\. (`.*(?:\n   .*)*)", PAGES["CONTRIBUTING.md"], re.MULTILINE),
)
def test_what_contributors_are_sent_to_holds_what_it_names(item):
    quoted = re.findall(r"`([^`]+)`", item)
    files = [ROOT / name for name in quoted if (ROOT / name).is_file()]
    assert files or re.match("`(tests|stages)/", item), item
    text = "".join(path.read_text() for path in files)
    for name in quoted:
        assert name in text or not re.fullmatch(r"[A-Za-z_]{5,}", name), name


def test_the_member_in_five_lines_loads_and_predicts(trained, tmp_path):
    script = re.search(r"```python\n(import torch\n.*?)```", PAGES["docs/artifacts.md"], re.DOTALL)[1]
    assert len(script.split("\n\n")[-1].strip().splitlines()) == 4  # and the import
    # The small training of the tests has other sizes than the defaults.
    script = script.replace("64, 2,", "4, 1,").replace("64, 1", "4, 1").replace("seq5", "seq4")
    (tmp_path / "artifacts").symlink_to(trained)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert re.fullmatch(r"tensor\(\[\[0\.\d+\]\].*\)\n", done.stdout), done.stderr
