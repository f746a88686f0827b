import pytest

from stages.lib import sources
from stages.lib.errors import ChangedError, SettingsError


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A package `stages` whose module `run` imports `lib.a` at the top and, in a function, `lib.b`."""
    files = {
        "stages/run.py": "import os\nfrom stages.lib import a\n",
        "stages/lib/a.py": "def f():\n    from .b import g\n    import stages.lib.c as c\n",
        "stages/lib/b.py": "import numpy\nfrom stages import nothing\n",
        "stages/lib/c.py": "from . import a\n",
        "stages/lib/other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    sources.at_start.cache_clear()
    sources.at_start()
    yield tmp_path
    sources.at_start.cache_clear()


def closure(root):
    return {path.name for path in sources.import_closure(root / "stages" / "run.py")}


def test_imports_are_followed_wherever_they_stand(root):
    assert closure(root) == {"run.py", "a.py", "b.py", "c.py"}


def test_a_package_that_is_imported_runs_its_init(root):
    (root / "stages" / "lib" / "__init__.py").write_text("from stages.lib import other\n")
    assert closure(root) == {"run.py", "a.py", "b.py", "c.py", "__init__.py", "other.py"}


@pytest.mark.parametrize("changed", ["run", "lib/a", "lib/b"])
def test_a_source_that_changes_meanwhile_is_named(root, changed):
    path = root / "stages" / f"{changed}.py"
    with (
        pytest.raises(ChangedError, match=rf"^stages/{changed}.py changed while this ran: nothing was written"),
        sources.unchanged(root / "stages" / "run.py"),
    ):
        path.write_text(path.read_text() + "# changed\n")


def test_a_source_that_had_changed_before_the_body_began_is_named(root):
    (root / "stages" / "lib" / "b.py").write_text("")
    with pytest.raises(ChangedError, match=r"b\.py"), sources.unchanged(root / "stages" / "run.py"):
        pass


def test_other_sources_may_change(root):
    with sources.unchanged(root / "stages" / "run.py"):
        (root / "stages" / "lib" / "other.py").write_text("# changed")


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
    with pytest.raises(ChangedError, match="inputs/"), sources.unchanged(root / "stages" / "run.py", [folder]):
        changes[change]()


def test_the_same_content_written_again_is_no_change(root):
    data = root / "data.csv"
    data.write_text("1")
    with sources.unchanged(root / "stages" / "run.py", [data, root / "missing"]):
        data.write_text("1")


def test_parameters_that_change_meanwhile_are_refused(root):
    with (
        pytest.raises(ChangedError, match=r"^params.yaml changed while this ran"),
        sources.unchanged(root / "stages" / "run.py", config={"lr": 0.1}, read_config=lambda: {"lr": 0.2}),
    ):
        pass


def test_parameters_that_cannot_be_read_any_more_have_changed(root):
    def read_config():
        raise SettingsError("half-typed")

    with (
        pytest.raises(ChangedError, match=r"^params.yaml changed while this ran"),
        sources.unchanged(root / "stages" / "run.py", config={"lr": 0.1}, read_config=read_config),
    ):
        pass


def test_a_failure_because_of_an_edit_is_told_as_an_edit(root):
    path = root / "stages" / "lib" / "b.py"

    def body():
        path.write_text("def broken(")
        compile(path.read_text(), "b.py", "exec")

    with pytest.raises(ChangedError, match=r"b\.py changed"), sources.unchanged(root / "stages" / "run.py"):
        body()


def test_a_failure_without_an_edit_is_let_through(root):
    with pytest.raises(ZeroDivisionError), sources.unchanged(root / "stages" / "run.py"):
        _ = 1 / 0
