"""Compiled code: how it is kept, and the arithmetic that all of it shares.

numba keeps what it compiled, and would take old code for new: it looks at a function's own file and the CPU, not at
the functions it calls, nor at the variables that set the compiler. So each state of all these has a folder of its own.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

# First, while the files are sure to be those that are imported.
_SOURCES = [Path(__file__).with_name(name).read_bytes() for name in ("compiling.py", "forest.py", "recurrence.py")]

import llvmlite.binding
import numba
import numpy as np
from numba import njit, types

_STATE = [
    numba.__version__,
    llvmlite.__version__,
    *sorted(f"{name}={os.environ[name]}" for name in os.environ if name.startswith("NUMBA_")),
]
_DIGEST = hashlib.sha256(b"\0".join([*_SOURCES, *(text.encode() for text in _STATE)])).hexdigest()
_CACHES = Path(numba.config.CACHE_DIR or Path(__file__).with_name("__pycache__"))
numba.config.CACHE_DIR = str(_CACHES / f"compiled-{_DIGEST[:16]}")
numba.config.CACHE_LOCATOR_CLASSES = "UserProvidedCacheLocator"

# OpenBLAS's product of float32 matrices, as the numpy of PyPI has it on Linux.
_FOUND = getattr(ctypes.CDLL(np._core._multiarray_umath.__file__), "scipy_cblas_sgemm64_", None)
# Whether products can be computed.
IS_AVAILABLE = _FOUND is not None
if IS_AVAILABLE:
    # Compiled code outlives the process in numba's cache: it finds by name what lies elsewhere in each process.
    llvmlite.binding.add_symbol("boomerang_sgemm", ctypes.cast(_FOUND, ctypes.c_void_p).value)
_SGEMM = types.ExternalFunction(
    "boomerang_sgemm",
    types.void(
        *(types.int32,) * 3,  # row-major, is the first transposed, is the second
        *(types.int64,) * 3,  # rows, columns, and what is summed over
        *(types.float32, types.intp, types.int64, types.intp, types.int64),  # alpha, first, its stride, second, stride
        *(types.float32, types.intp, types.int64),  # beta, result, its stride
    ),
)
_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = 101, 111, 112
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
# tanh(x) as x P(x^2) / Q(x^2) for x within 8, beyond which it is 1 in float32: the approximation of Eigen and of XLA.
_P = tuple(map(np.float32, (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08)))
_P_HIGH = tuple(map(np.float32, (-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16)))
_Q = tuple(map(np.float32, (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)))
_LIMIT = np.float32(7.99881172180175781)


def compiled(function: Callable) -> Callable:
    """The function compiled at its first call, and kept on disk for later processes."""
    # `contract`: a product and the sum it goes into are one instruction, always the same one for the same CPU.
    options = {"error_model": "numpy", "fastmath": {"contract"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        # There is nowhere to write to: each process compiles for itself, in five seconds.
        return njit(**options)(function)


@compiled
def tanh(x):
    """The hyperbolic tangent of a float32, to 3e-7."""
    # Written so that NaN stays NaN.
    x = -_LIMIT if x < -_LIMIT else (_LIMIT if x > _LIMIT else x)
    s = x * x
    high = (_P_HIGH[2] * s + _P_HIGH[1]) * s + _P_HIGH[0]
    p = (((high * s + _P[3]) * s + _P[2]) * s + _P[1]) * s + _P[0]
    return x * p / (((_Q[3] * s + _Q[2]) * s + _Q[1]) * s + _Q[0])


@compiled
def sigmoid(x):
    """The logistic function of a float32, to 3e-7."""
    return HALF * tanh(HALF * x) + HALF


@compiled
def round_to_bf16(values):
    """Round float32 values to bfloat16 in place, ties to even."""
    bits = values.reshape(values.size).view(np.uint32)
    for index in range(bits.size):
        odd = (bits[index] >> np.uint32(16)) & np.uint32(1)
        bits[index] = (bits[index] + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)


@compiled
def add_product(first, is_first_transposed, second, is_second_transposed, beta, result):
    """`result = beta * result + first @ second`, either of them transposed; all of them lie row by row."""
    n_rows, n_columns = result.shape
    _SGEMM(
        _ROW_MAJOR,
        _TRANSPOSED if is_first_transposed else _AS_IT_IS,
        _TRANSPOSED if is_second_transposed else _AS_IT_IS,
        n_rows,
        n_columns,
        first.shape[0] if is_first_transposed else first.shape[1],
        ONE,
        first.ctypes.data,
        first.shape[1],
        second.ctypes.data,
        second.shape[1],
        beta,
        result.ctypes.data,
        n_columns,
    )
