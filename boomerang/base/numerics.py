"""The numeric environment: the same bytes from the same inputs, whatever x86-64 CPU computes them."""

import os
import platform
import sys

# Wider instructions sum in another order, which moves the last bit of a float. Haswell, of 2013, first had AVX2.
INSTRUCTION_LIMITS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
}
# Without a fixed workspace cuBLAS may choose another algorithm from run to run (NVIDIA's cuBLAS reproducibility notes).
GPU_SETTINGS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Every variable that decides a last bit; those at the end are oneDNN's older names, and leave to shorten fp32.
VARIABLES = (
    *INSTRUCTION_LIMITS,
    *GPU_SETTINGS,
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
)


def fix_environment() -> None:
    """Limit libraries to instructions that every x86-64 CPU of the last decade has; a value the caller set stays.

    Raises
    ------
    RuntimeError
        If one of them is imported already: they read the limits at import.
    """
    wanted = dict(GPU_SETTINGS)
    if platform.machine().lower() in ("x86_64", "amd64"):
        wanted |= INSTRUCTION_LIMITS
    late = [library for library in ("numpy", "numba", "torch") if library in sys.modules]
    if late and not wanted.keys() <= os.environ.keys():
        raise RuntimeError(f"fix_environment must be called before {late[0]} is imported")
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
