"""The numeric environment: the same bytes from the same inputs, whatever x86-64 CPU computes them."""

import os
import platform
import sys
from pathlib import Path

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
# How the variables begin that torch, oneDNN, MKL, OpenBLAS, numpy, numba, CUDA, glibc and the loader read: any of them
# may decide a last bit, a new one too. OpenMP's (OMP_, KMP_, GOMP_) are none: they tell how threads share work, and a
# member computes on one.
PREFIXES = (
    *("ATEN_", "TORCH_", "PYTORCH_", "ONEDNN_", "DNNL_", "MKL_", "OPENBLAS_", "NPY_", "NUMBA_"),
    *("CUBLAS_", "CUDNN_", "NVIDIA_TF32_OVERRIDE", "GLIBC_TUNABLES", "LD_PRELOAD"),
)
# Those among them that change no number. They say how many threads there are, of which a member uses one; where files
# and memory lie; and what is printed.
CHANGES_NO_NUMBER = {
    *("MKL_NUM_THREADS", "MKL_DOMAIN_NUM_THREADS", "MKL_DYNAMIC", "OPENBLAS_NUM_THREADS"),
    *("OPENBLAS_DEFAULT_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"),
    *("NUMBA_CACHE_DIR", "TORCH_HOME", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"),
    *("MKL_VERBOSE", "ONEDNN_VERBOSE", "DNNL_VERBOSE", "OPENBLAS_VERBOSE", "NUMBA_DEBUG_CACHE", "NUMBA_COLOR_SCHEME"),
    *("TORCH_CPP_LOG_LEVEL", "TORCH_LOGS", "TORCH_SHOW_CPP_STACKTRACES"),
}
# numba reads its variables from this file of the current folder too, without their prefix.
NUMBA_FILE = Path(".numba_config.yaml")


def decides_a_bit(variable: str) -> bool:
    """Whether a variable of the environment may change the last bit of a result."""
    return variable.startswith(PREFIXES) and variable not in CHANGES_NO_NUMBER


def read_environment() -> dict[str, str]:
    """The variables that are set and may change a last bit, and the content of `NUMBA_FILE` where there is one."""
    found = {name: value for name, value in os.environ.items() if decides_a_bit(name)}
    if NUMBA_FILE.is_file():
        found[NUMBA_FILE.name] = NUMBA_FILE.read_text(errors="replace")
    return dict(sorted(found.items()))


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
