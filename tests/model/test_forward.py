"""The forward pass by which predictions are made, against torch's."""

import numpy as np
import pytest
import torch

from boomerang.model import kernels
from boomerang.model.forward import MemberForward
from boomerang.model.lstm import MemberLSTM
from boomerang.model.window_inputs import WindowInputs

needs_kernels = pytest.mark.skipif(not kernels.IS_AVAILABLE, reason="this numpy has no OpenBLAS for compiled code")


@pytest.fixture(params=[1, 8, 50])
def model(request):
    torch.manual_seed(0)
    return MemberLSTM(3, request.param, 2).eval()


@pytest.fixture
def windows():
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn((300, 5, 3), generator=draw)
    n_steps = torch.randint(0, 6, (300,), generator=draw)
    inputs[torch.arange(5) >= n_steps[:, None]] = 0
    return WindowInputs(inputs, n_steps)


def expect(model, windows):
    with torch.inference_mode():
        return model(*windows).numpy()


@pytest.mark.parametrize("is_compiled", [pytest.param(True, marks=needs_kernels), False])
def test_logits_are_those_of_torch_whatever_the_windows_hold(model, windows, is_compiled, monkeypatch):
    monkeypatch.setattr(kernels, "IS_AVAILABLE", is_compiled)
    found = MemberForward(model)
    logits, expected = found.logits(windows), expect(model, windows)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=2e-6)
    one_by_one = [found.logit(inputs[:n]) for inputs, n in zip(*windows, strict=True)]
    np.testing.assert_allclose(one_by_one, expected, atol=2e-6)


def test_a_window_of_no_steps_is_the_bias(model):
    bias = model.fc.bias.item()
    assert MemberForward(model).logits(WindowInputs.whole(torch.zeros((2, 0, 3)))).tolist() == [bias, bias]
    assert MemberForward(model).logit(torch.zeros((0, 3))) == bias


def test_a_logit_is_the_same_whatever_is_computed_with_it(model, windows):
    member = MemberForward(model)
    every = member.logits(windows)
    for first, end in [(0, 1), (3, 290), (250, 300)]:
        part = WindowInputs(windows.inputs[first:end], windows.n_steps[first:end])
        assert member.logits(part).tobytes() == every[first:end].tobytes()
