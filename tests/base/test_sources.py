import sys
from types import ModuleType

import pytest

from boomerang.base import sources
from boomerang.base.errors import ChangedError, SettingsError

FILES = ("stages/run.py", "stages/other.py", "boomerang/a/one.py", "boomerang/a/two.py", "boomerang/a/page.css")
FILES = (*FILES, "boomerang/b/three.py")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Sources of which this process has loaded `stages.run` and `boomerang.a.one`."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("stages.run", "boomerang.a.one"):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / f"{name.replace('.', '/')}.py")
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    sources.at_start.cache_clear()
    sources.at_start()
    yield tmp_path
    sources.at_start.cache_clear()


def test_modules_and_what_they_read_beside_them_are_loaded(root):
    found = {path.relative_to(root).as_posix() for path in sources.loaded_sources()}
    assert found == {"stages/run.py", "boomerang/a/one.py", "boomerang/a/page.css"}


@pytest.mark.parametrize("changed", ["stages/run.py", "boomerang/a/one.py", "boomerang/a/page.css"])
def test_a_source_that_changes_meanwhile_is_named(root, changed):
    with (
        pytest.raises(ChangedError, match=rf"^{changed} changed while this ran: nothing was written"),
        sources.unchanged(),
    ):
        (root / changed).write_text("# changed\n")


def test_a_source_that_goes_meanwhile_is_named(root):
    with pytest.raises(ChangedError, match=r"^boomerang/a/one\.py changed"), sources.unchanged():
        (root / "boomerang/a/one.py").unlink()


def test_a_source_that_had_changed_before_the_body_began_is_named(root):
    (root / "boomerang/a/one.py").write_text("# changed\n")
    with pytest.raises(ChangedError, match=r"one\.py"), sources.unchanged():
        pass


@pytest.mark.parametrize(
    "other", ["stages/other.py", "boomerang/a/two.py", "boomerang/a/new.py", "boomerang/b/three.py"]
)
def test_what_is_not_loaded_may_change(root, other):
    with sources.unchanged():
        (root / other).write_text("# changed")


@pytest.mark.parametrize("change", ["write", "add", "remove"])
def test_an_input_that_changes_meanwhile_is_named(root, change):
    folder = root / "inputs"
    folder.mkdir()
    (folder / "one").write_text("1")
    changes = {
        "write": lambda: (folder / "one").write_text("2"),
        "add": lambda: (folder / "two").write_text("2"),
        "remove": (folder / "one").unlink,
    }
    with pytest.raises(ChangedError, match="inputs/"), sources.unchanged([folder]):
        changes[change]()


def test_the_same_content_written_again_is_no_change(root):
    data = root / "data.csv"
    data.write_text("1")
    with sources.unchanged([data, root / "missing"]):
        data.write_text("1")


def test_parameters_that_change_meanwhile_are_refused(root):
    with (
        pytest.raises(ChangedError, match=r"^params.yaml changed while this ran"),
        sources.unchanged(config={"lr": 0.1}, read_config=lambda: {"lr": 0.2}),
    ):
        pass


def test_parameters_that_cannot_be_read_any_more_have_changed(root):
    def read_config():
        raise SettingsError("half-typed")

    with (
        pytest.raises(ChangedError, match=r"^params.yaml changed while this ran"),
        sources.unchanged(config={"lr": 0.1}, read_config=read_config),
    ):
        pass


def test_a_failure_because_of_an_edit_is_told_as_an_edit(root):
    path = root / "boomerang/a/one.py"

    def body():
        path.write_text("def broken(")
        compile(path.read_text(), "one.py", "exec")

    with pytest.raises(ChangedError, match=r"one\.py changed"), sources.unchanged():
        body()


def test_a_failure_without_an_edit_is_let_through(root):
    with pytest.raises(ZeroDivisionError), sources.unchanged():
        _ = 1 / 0
