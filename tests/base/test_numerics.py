import importlib.util
import mmap
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from boomerang.base import numerics

PROGRAM = """
import os, platform
from boomerang.base.numerics import fix_environment
{before}
fix_environment()
print(os.environ.get("ATEN_CPU_CAPABILITY"))
{after}
"""
TORCH = "import torch; print(torch.backends.cpu.get_cpu_capability())"
OPENBLAS = "import numpy, threadpoolctl; print(*(found['architecture'] for found in threadpoolctl.threadpool_info()))"
COMPILED = """
from boomerang.model import lstm_kernels
from boomerang.training.backends import check_precision
import torch
check_precision("fp32", torch.device("cpu"))
for code in (lstm_kernels.run_forward, lstm_kernels.run_backward):
    assembly = "".join(code.inspect_asm().values())
    print("vfmadd" in assembly and "ymm" in assembly, "zmm" in assembly)
"""


def run(before="", after="", **more):
    program = PROGRAM.format(before=before, after=after)
    environment = {name: value for name, value in os.environ.items() if not numerics.decides_a_bit(name)} | more
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param(TORCH, ["AVX2"], id="torch"),
        pytest.param(OPENBLAS, ["Haswell"], id="OpenBLAS"),
        pytest.param(COMPILED, ["True", "False"] * 2, id="numba"),
    ],
)
def test_libraries_are_limited_to_avx2(program, expected, tmp_path):
    # What numba finds compiled it does not show.
    assert run(after=program, NUMBA_CACHE_DIR=str(tmp_path)).stdout.split() == ["avx2", *expected]


def test_what_the_caller_set_stays():
    assert run("os.environ['ATEN_CPU_CAPABILITY'] = 'default'", TORCH).stdout.split() == ["default", "DEFAULT"]


def test_another_kind_of_cpu_is_not_limited():
    assert run("platform.machine = lambda: 'aarch64'").stdout.split() == ["None"]


@pytest.mark.parametrize("library", ["numpy", "numba", "torch"])
def test_too_late_is_an_error(library):
    # numba and torch import numpy too.
    assert "must be called before num" in run(f"import {library}").stderr


# Names that end as those of variables do which decide how is computed, as they stand in a library: between zeros.
READ = re.compile(
    rb"\0([A-Z_]*(?:NUM_THREADS|CPU_CAPABILITY|CPU_ISA|FPMATH_MODE|CORETYPE|L2_SIZE|CBWR|CPU_FEATURES))(?=\0)"
)


def test_what_the_libraries_read_decides_a_bit_or_is_known_to_decide_none():
    """What numba, OpenBLAS, numpy and torch read, as their own code names it."""
    torch_folder, numpy_folder = (Path(importlib.util.find_spec(name).origin).parent for name in ("torch", "numpy"))
    files = [torch_folder / "lib" / "libtorch_cpu.so", *(numpy_folder.parent / "numpy.libs").glob("*openblas*")]
    found = set()
    for file in files:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found |= {match[1].decode() for match in READ.finditer(content)}
    numba_config = Path(importlib.util.find_spec("numba.core.config").origin).read_text()
    found |= set(re.findall(r'_readenv\(\s*"(\w+)"', numba_config))
    assert {"ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NUMBA_OPT"} <= found
    # OpenBLAS's older name, and OpenMP's; oneDNN puts ONEDNN_ or DNNL_ in front of its own.
    known = {"GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_SET_NUM_THREADS_LOCAL"} | numerics.CHANGES_NO_NUMBER
    own = {"MAX_CPU_ISA", "DEFAULT_FPMATH_MODE"}
    assert {name for name in found if not numerics.decides_a_bit(name)} <= known | own


def test_what_is_known_to_decide_no_bit_is_what_the_prefixes_would_take():
    assert all(name.startswith(numerics.PREFIXES) for name in numerics.CHANGES_NO_NUMBER)
