import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from boomerang.model import kernels


def test_tanh_and_sigmoid_are_right_to_float32():
    values = np.linspace(-12, 12, 2401, dtype=np.float32)
    tanh = np.array([kernels.tanh(value) for value in values])
    sigmoid = np.array([kernels.sigmoid(value) for value in values])
    np.testing.assert_allclose(tanh, np.tanh(values.astype(np.float64)), rtol=0, atol=3e-7)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-values.astype(np.float64))), rtol=0, atol=3e-7)
    assert kernels.tanh(np.float32(np.inf)) == pytest.approx(1, abs=3e-7)
    # A loss that is not finite stops the training: it must not become one that is.
    assert np.isnan(kernels.tanh(np.float32(np.nan)))


def test_rounding_is_that_of_bfloat16():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 1e3
    # Halfway between two neighbours, to the even one below and above; what overflows; what is no number.
    special = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 0.0, -0.0, 3.4e38, torch.inf, -torch.inf, torch.nan])
    values = torch.cat([values, special])
    rounded = values.numpy().copy()
    kernels.round_to_bf16(rounded)
    np.testing.assert_array_equal(rounded, values.bfloat16().float().numpy())


def cache_path(**variables):
    program = "from boomerang.model import prefix_trie; print(prefix_trie.build.stats.cache_path)"
    found = subprocess.run([sys.executable, "-c", program], env=os.environ | variables, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_each_configuration_of_the_compiler_has_its_own_cache():
    assert "compiled-" in cache_path()
    assert len({cache_path(), cache_path(), cache_path(NUMBA_OPT="1"), cache_path(NUMBA_CPU_NAME="skylake")}) == 3


def test_workers_that_are_told_how_many_threads_to_use_share_the_cache():
    assert cache_path(NUMBA_NUM_THREADS="1") == cache_path(NUMBA_NUM_THREADS="2")


def test_without_the_compiler_the_kernels_are_not_to_be_used():
    program = "from boomerang.model import kernels; print(kernels.IS_AVAILABLE)"
    command = [sys.executable, "-c", program]
    environments = [os.environ, os.environ | {"NUMBA_DISABLE_JIT": "1"}]
    found = [subprocess.run(command, env=env, capture_output=True, text=True).stdout for env in environments]
    assert found == [f"{kernels.IS_AVAILABLE}\n", "False\n"]


def test_without_a_writable_cache_each_process_compiles_for_itself():
    assert cache_path(NUMBA_CACHE_DIR=os.devnull) == "None"


def test_every_compiled_file_has_a_part_in_the_name_of_the_cache():
    folder = Path(kernels.__file__).parent
    files = {path.name for path in folder.glob("*.py") if "\n@compiled\n" in path.read_text()}
    assert files == set(kernels._COMPILED_FILES)
