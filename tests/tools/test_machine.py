import pytest

from tools import machine
from tools.machine import check_installed, compare_machines, describe_machine, read_pins, read_record


@pytest.fixture
def requirements(tmp_path):
    (tmp_path / "inner.txt").write_text("# why\nnumpy==0.1\nnone-such==2.0 ; python_version > '3'\n")
    (tmp_path / "outer.txt").write_text("-r inner.txt\n\npandas==3.1.1\n")
    return tmp_path / "outer.txt"


def test_pins_are_read_with_those_of_included_files(requirements):
    assert read_pins(requirements) == {"numpy": "0.1", "none-such": "2.0", "pandas": "3.1.1"}


def test_other_versions_than_the_pinned_are_named(requirements, monkeypatch):
    installed = {"numpy": "0.1+cpu", "pandas": "3.0"}
    monkeypatch.setattr(machine, "installed_version", installed.get)
    assert check_installed(requirements) == [
        "none-such: none is installed, outer.txt pins 2.0",
        "pandas: 3.0 is installed, outer.txt pins 3.1.1",
    ]


def test_a_machine_is_told_by_its_cpu_limits_and_libraries(requirements, monkeypatch):
    cpuinfo = requirements.with_name("cpuinfo")
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f_x\n")
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    here = describe_machine(requirements.parent, "outer.txt", "digest")
    assert (here["outputs"], here["cpu"], here["instructions"]) == ("digest", "Some CPU", ["avx2"])
    assert here["limits"]["MKL_CBWR"] == "AVX2"
    assert here["libraries"]["none-such"] == "not installed"
    assert describe_machine(requirements.parent, None, "digest")["libraries"] == {}


def test_what_differs_between_machines_is_a_line_each():
    here = {"cpu": "Some CPU", "instructions": ["avx2"], "libraries": {"numpy": "1", "pandas": "2"}}
    there = {"cpu": "Some CPU", "instructions": ["avx2", "fma"], "libraries": {"numpy": "9"}}
    assert compare_machines(here, here) == []
    assert compare_machines(here, there) == ["instructions: avx2 / avx2, fma", "numpy: 1 / 9", "pandas: 2 / none"]


@pytest.mark.parametrize("text", [None, "<<<<<<< one\n{}", "[]", '{"libraries": 1}'])
def test_what_is_no_record_is_an_empty_one(tmp_path, text):
    if text is not None:
        (tmp_path / "machine.json").write_text(text)
    assert read_record(tmp_path / "machine.json") == {}
