import pytest

from stages.lib import machine
from stages.lib.machine import check_installed, compare_machines, pins, this_machine


@pytest.fixture
def requirements(tmp_path):
    (tmp_path / "inner.txt").write_text("# why\nnumpy==0.1\nnone-such==2.0 ; python_version > '3'\n")
    (tmp_path / "outer.txt").write_text("-r inner.txt\n\npandas==3.1.1\n")
    return tmp_path / "outer.txt"


def test_pins_are_read_with_those_of_included_files(requirements):
    assert pins(requirements) == {"numpy": "0.1", "none-such": "2.0", "pandas": "3.1.1"}


def test_other_versions_than_the_pinned_are_named(requirements, monkeypatch):
    installed = {"numpy": "0.1+cpu", "pandas": "3.0"}
    monkeypatch.setattr(machine, "installed_version", installed.get)
    assert check_installed(requirements) == [
        "none-such: none is installed, outer.txt pins 2.0",
        "pandas: 3.0 is installed, outer.txt pins 3.1.1",
    ]


def test_a_machine_is_told_by_its_cpu_limits_and_libraries(requirements, tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f_x\n")
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    here = this_machine(requirements)
    assert (here.cpu, here.instructions) == ("Some CPU", ["avx2"])
    assert here.limits["MKL_CBWR"] == "AVX2"
    assert here.libraries["none-such"] == "not installed"


def test_what_differs_between_machines_is_a_line_each(requirements):
    here = this_machine(requirements)
    assert compare_machines(here, here) == []
    other = here.model_copy(update={"python": "3.99.0", "libraries": {**here.libraries, "numpy": "9"}})
    assert compare_machines(here, other) == [
        f"numpy: {here.libraries['numpy']} / 9",
        f"python: {here.python} / 3.99.0",
    ]
