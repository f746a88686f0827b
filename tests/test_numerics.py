import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from stages.lib.numerics import fix_environment
{before}
fix_environment({precisions})
print(os.environ.get("ATEN_CPU_CAPABILITY"))
import torch
print(torch.backends.cpu.get_cpu_capability())
"""


def run(before, precisions):
    program = PROGRAM.format(before=before, precisions=precisions)
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


def test_fp32_is_limited_to_avx2():
    assert run("", {"fp32"}).stdout.split() == ["avx2", "AVX2"]


@pytest.mark.parametrize("precisions", [{"bf16"}, {"fp32", "bf16"}])
def test_bf16_is_not_limited(precisions):
    assert run("", precisions).stdout.split()[0] == "None"


def test_what_the_caller_set_stays():
    assert run("os.environ['ATEN_CPU_CAPABILITY'] = 'default'", {"fp32"}).stdout.split() == ["default", "DEFAULT"]


def test_too_late_is_an_error():
    assert "before torch is imported" in run("import torch", {"fp32"}).stderr
