import os
import subprocess
import sys

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
    environment = {name: value for name, value in os.environ.items() if name not in numerics.VARIABLES} | more
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
