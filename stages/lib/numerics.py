"""The numeric environment: the same bytes from the same inputs, whatever x86-64 CPU computes them."""

import os
import sys

# Wider instructions sum in another order, which moves the last bit of a float.
INSTRUCTION_LIMITS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
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


def fix_environment(precisions: set[str]) -> None:
    """Limit torch to instructions that every x86-64 CPU of the last decade has; a value the caller set stays.

    Parameters
    ----------
    precisions : set of {"fp32", "fp16", "bf16"}
        What the process will compute in. `bf16` needs the wider instructions: with it the limits are left out.

    Raises
    ------
    RuntimeError
        If torch is imported already: it reads the limits at import.
    """
    wanted = GPU_SETTINGS if "bf16" in precisions else INSTRUCTION_LIMITS | GPU_SETTINGS
    if "torch" in sys.modules and not wanted.keys() <= os.environ.keys():
        raise RuntimeError("fix_environment must be called before torch is imported")
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
