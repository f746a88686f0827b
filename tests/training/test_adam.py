import subprocess
import sys

import pytest
import torch

from boomerang.training.adam import Adam
from tests.support import ROOT


def parameters():
    torch.manual_seed(0)
    return {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in (("a", (3, 4)), ("b", (5,)))}


def set_gradients(values, step):
    generator = torch.Generator().manual_seed(step)
    for value in values:
        value.grad = torch.randn(value.shape, generator=generator)


def test_every_step_is_that_of_torch_to_the_bit():
    ours, theirs = parameters(), parameters()
    optimizer, expected = Adam(ours, 0.01), torch.optim.Adam(theirs.values(), lr=0.01, fused=True)
    for step in range(5):
        if step == 3:
            optimizer.lr = expected.param_groups[0]["lr"] = 0.002
        for values in (ours, theirs):
            set_gradients(values.values(), step)
        optimizer.step()
        expected.step()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("finite", [True, False])
def test_a_loss_scaler_divides_gradients_and_leaves_out_steps_that_overflowed(finite):
    ours, theirs = parameters(), parameters()
    optimizer, expected = Adam(ours, 0.01), Adam(theirs, 0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.zeros(()))
    set_gradients(ours.values(), 0)
    set_gradients(theirs.values(), 0)
    for value in ours.values():
        value.grad *= 8 if finite else float("inf")
    scaler.step(optimizer)
    scaler.update()
    if finite:
        expected.step()
    assert optimizer.state["step"] == expected.state["step"]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert scaler.get_scale() == (8 if finite else 4)


def test_training_does_not_load_the_compiler():
    script = """
import sys
import torch
from boomerang.training.adam import Adam
model = torch.nn.Linear(1, 1)
optimizer = Adam(dict(model.named_parameters()), 0.1)
model(torch.ones(1, 1)).sum().backward()
optimizer.step()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
