"""How functions are compiled and kept on disk, and the arithmetic that all compiled code shares.

Before numba reuses code from its cache, it looks for changes in the function's own file and of the CPU, but neither in
the functions that are called nor in the environment variables that configure the compiler. It would run outdated code.
Therefore each state of all of these has a cache folder of its own.
"""

import ctypes
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

# The files are read before the slow imports, while they are sure to hold the code that is being imported.
_COMPILED_FILES = ("kernels.py", "prefix_trie.py", "lstm_kernels.py", "head_kernels.py")
_SOURCES = [Path(__file__).with_name(name).read_bytes() for name in _COMPILED_FILES]

import llvmlite.binding
import numba
import numpy as np
from numba import njit, types
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from boomerang.base.numerics import read_environment
from boomerang.base.paths import IS_INSTALLED, cache_dir

Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., object])

_COMPILER_STATE = [
    numba.__version__,
    llvmlite.__version__,
    *(f"{name}={value}" for name, value in read_environment().items() if "numba" in name.lower()),
]
_CACHE_KEY = hashlib.sha256(b"\0".join([*_SOURCES, *(text.encode() for text in _COMPILER_STATE)])).hexdigest()
_DEFAULT_CACHE_DIR = cache_dir() if IS_INSTALLED else Path(__file__).with_name("__pycache__")
# numba's types do not list the settings, which it sets at run time: hence `attr-defined`.
_CACHE_DIR = Path(numba.config.CACHE_DIR or _DEFAULT_CACHE_DIR)  # type: ignore[attr-defined]
numba.config.CACHE_DIR = str(_CACHE_DIR / f"compiled-{_CACHE_KEY[:16]}")  # type: ignore[attr-defined]
numba.config.CACHE_LOCATOR_CLASSES = "UserProvidedCacheLocator"  # type: ignore[attr-defined]

# OpenBLAS's product of float32 matrices, under the name that it has in PyPI's numpy for Linux.
_OPENBLAS_SGEMM = getattr(
    ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__), "scipy_cblas_sgemm64_", None
)
# Whether `add_product` works: other builds of numpy lack the function, and without the compiler the call of it only
# describes a call and computes nothing.
IS_AVAILABLE = _OPENBLAS_SGEMM is not None and not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
if _OPENBLAS_SGEMM is not None:
    # The address differs from process to process, and compiled code is kept for later ones: it finds the function by
    # this name.
    llvmlite.binding.add_symbol("boomerang_sgemm", ctypes.cast(_OPENBLAS_SGEMM, ctypes.c_void_p).value)
# `Any`, because numba's types describe an external function as a type, not as something that compiled code calls.
_SGEMM: Any = types.ExternalFunction(
    "boomerang_sgemm",
    types.void(
        *(types.int32,) * 3,  # row-major, is the first transposed, is the second
        *(types.int64,) * 3,  # rows, columns, and what is summed over
        *(types.float32, types.intp, types.int64, types.intp, types.int64),  # alpha, first, its stride, second, stride
        *(types.float32, types.intp, types.int64),  # beta, result, its stride
    ),
)
# The values of CBLAS's enumerations.
_ROW_MAJOR, _NOT_TRANSPOSED, _TRANSPOSED = 101, 111, 112
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
# tanh(x) is computed as x P(x^2) / Q(x^2) for x within the limit, beyond which it is 1 in float32: the approximation of
# Eigen and of XLA. Coefficients are in ascending order of their powers.
_TANH_LIMIT = np.float32(7.99881172180175781)
_TANH_P = (
    np.float32(4.89352455891786e-03),
    np.float32(6.37261928875436e-04),
    np.float32(1.48572235717979e-05),
    np.float32(5.12229709037114e-08),
    np.float32(-8.60467152213735e-11),
    np.float32(2.00018790482477e-13),
    np.float32(-2.76076847742355e-16),
)
_TANH_Q = (
    np.float32(4.89352518554385e-03),
    np.float32(2.26843463243900e-03),
    np.float32(1.18534705686654e-04),
    np.float32(1.19825839466702e-06),
)


def compiled(function: Function) -> "Dispatcher[Function]":
    """The function, compiled at its first call and kept on disk for later processes."""
    try:
        return _compile(function, is_kept=True)
    except RuntimeError:
        # There is nowhere to write to: each process compiles for itself, in five seconds.
        return _compile(function, is_kept=False)


def _compile(function: Function, is_kept: bool) -> "Dispatcher[Function]":
    # `contract` makes one instruction of a product and the sum it goes into, always the same one for the same CPU.
    return njit(cache=is_kept, error_model="numpy", fastmath={"contract"})(function)


@compiled
def tanh(x: np.float32) -> np.float32:
    """The hyperbolic tangent of a float32, to 3e-7."""
    # Written so that NaN stays NaN.
    x = -_TANH_LIMIT if x < -_TANH_LIMIT else (_TANH_LIMIT if x > _TANH_LIMIT else x)
    s = x * x
    high = (_TANH_P[6] * s + _TANH_P[5]) * s + _TANH_P[4]
    p = (((high * s + _TANH_P[3]) * s + _TANH_P[2]) * s + _TANH_P[1]) * s + _TANH_P[0]
    return x * p / (((_TANH_Q[3] * s + _TANH_Q[2]) * s + _TANH_Q[1]) * s + _TANH_Q[0])


@compiled
def sigmoid(x: np.float32) -> np.float32:
    """The logistic function of a float32, to 3e-7."""
    return HALF * tanh(HALF * x) + HALF


@compiled
def round_to_bf16(values: Float32Array) -> None:
    """Round float32 values to bfloat16 in place, ties to even."""
    bits = values.reshape(values.size).view(np.uint32)
    for index in range(bits.size):
        odd = (bits[index] >> np.uint32(16)) & np.uint32(1)
        bits[index] = (bits[index] + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)


@compiled
def add_product(
    first: Float32Array,
    is_first_transposed: bool,
    second: Float32Array,
    is_second_transposed: bool,
    beta: np.float32,
    result: Float32Array,
) -> None:
    """`result = beta * result + first @ second`, in place; either factor may be transposed, all lie in row-major order.

    Parameters
    ----------
    first, second : ndarray of 2 dimensions, float32
        The factors as they lie in memory, before they are transposed.
    is_first_transposed, is_second_transposed : bool
        Whether the product is that of the transposed factor.
    beta : float32
        0 overwrites `result`, 1 adds to it.
    result : ndarray of 2 dimensions, float32
    """
    n_rows, n_columns = result.shape
    _SGEMM(
        _ROW_MAJOR,
        _TRANSPOSED if is_first_transposed else _NOT_TRANSPOSED,
        _TRANSPOSED if is_second_transposed else _NOT_TRANSPOSED,
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
