from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from boomerang.base.errors import SettingsError
from boomerang.model.lstm import MemberLSTM
from boomerang.model.prefix_trie import build
from boomerang.model.window_inputs import WindowInputs
from boomerang.training import backends
from boomerang.training.backends import CpuBackend, TorchBackend, check_precision, choose_backend
from boomerang.training.batches import Batch

CPU = torch.device("cpu")
NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


def a_model(n_features, hidden_size=5, num_layers=2):
    torch.manual_seed(0)
    return MemberLSTM(n_features, hidden_size, num_layers)


def a_batch(n, seq_length, n_features):
    generator = torch.Generator().manual_seed(1)
    if n_features == 1:
        windows = (torch.rand(n, seq_length, generator=generator) < 0.3).float()
        inputs, counts = torch.unique(windows, dim=0, return_counts=True)
        inputs, counts = inputs[:, :, None], counts.float()
    else:
        inputs, counts = torch.randn(n, seq_length, n_features, generator=generator), torch.ones(n)
    return Batch(inputs, torch.rand(len(inputs), generator=generator), counts, WindowInputs.whole(inputs).n_steps)


def read(batch):
    return WindowInputs(batch.inputs, batch.n_steps)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def in_float64(model, batch, n_group):
    """Loss, logits and gradients by torch's LSTM and autograd, in float64."""
    model = model.double()
    inputs, targets, counts = (tensor.double() for tensor in batch[:3])
    model.zero_grad()
    logits = model(inputs)
    loss = binary_cross_entropy_with_logits(logits, targets, weight=counts, reduction="sum")
    (loss / n_group).backward()
    return loss.detach(), logits.detach(), gradients(model)


def assert_agree(found, expected, tolerance=1e-5):
    """Each tensor to a share of its largest value."""
    for name, value in expected.items():
        assert (found[name] - value).abs().max() <= tolerance * value.abs().max(), name


@pytest.mark.parametrize(
    ("n", "seq_length", "n_features", "hidden_size", "num_layers"),
    [
        (1, 1, 1, 1, 1),
        (7, 1, 6, 5, 2),
        (7, 2, 6, 5, 1),
        (32, 5, 7, 64, 2),
        (33, 24, 6, 8, 3),
        (64, 3, 1, 5, 2),
        (200, 12, 1, 16, 1),
        (300, 4, 6, 3, 2),
    ],
)
def test_the_gradient_is_that_of_autograd_in_float64(n, seq_length, n_features, hidden_size, num_layers):
    model, batch = a_model(n_features, hidden_size, num_layers), a_batch(n, seq_length, n_features)
    backend = CpuBackend(model, "fp32")
    backend.zero_grad()
    loss, logits, found = (
        backend.add_gradient(batch, 9),
        backend.logits(read(batch)),
        gradients(model),
    )
    expected_loss, expected_logits, expected = in_float64(a_model(n_features, hidden_size, num_layers), batch, 9)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    torch.testing.assert_close(logits.double(), expected_logits, rtol=1e-5, atol=1e-6)
    assert_agree(found, expected)


def test_gradients_add_up_until_they_are_forgotten():
    model, batch = a_model(6), a_batch(8, 3, 6)
    backend = CpuBackend(model, "fp32")
    first, second = (Batch(*(tensor[part] for tensor in batch)) for part in (slice(5), slice(5, None)))
    backend.zero_grad()
    loss = backend.add_gradient(first, 8) + backend.add_gradient(second, 8)
    added = gradients(model)
    backend.zero_grad()
    assert loss.item() == pytest.approx(backend.add_gradient(batch, 8).item())
    assert_agree(added, gradients(model))


@pytest.mark.parametrize("n_features", [1, 6])
def test_chunks_make_the_gradient_of_the_whole_batch(n_features, monkeypatch):
    model, batch = a_model(n_features), a_batch(50, 6, n_features)
    backend = CpuBackend(model, "fp32")
    backend.zero_grad()
    loss, logits, whole = (
        backend.add_gradient(batch, 50),
        backend.logits(read(batch)),
        gradients(model),
    )
    sizes = []

    def counting(windows, window_lengths):
        sizes.append(len(windows))
        return build(windows, window_lengths)

    monkeypatch.setattr(backends.prefix_trie, "build", counting)
    monkeypatch.setattr(backends, "MAX_CHUNK_STEPS", 6 * 7)
    monkeypatch.setattr(backends, "MIN_CHUNK_WINDOWS", 1)
    backend.zero_grad()
    assert backend.add_gradient(batch, 50).item() == pytest.approx(loss.item())
    torch.testing.assert_close(backend.logits(read(batch)), logits)
    assert_agree(gradients(model), whole)
    assert sizes[0] == 7
    assert sum(sizes) == 2 * len(batch.inputs)
    monkeypatch.setattr(backends, "MIN_CHUNK_WINDOWS", 9)
    backend.logits(read(batch))
    assert sizes[-1] <= 9 == max(sizes)


def test_windows_that_overlap_in_memory_are_read():
    model, stream = a_model(2), torch.randn(20, 2, generator=torch.Generator().manual_seed(2))
    inputs = stream.unfold(0, 4, 1).transpose(1, 2)
    torch.testing.assert_close(CpuBackend(model, "fp32").logits(WindowInputs.whole(inputs)), model(inputs).detach())


class RoundedOnTheWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.bfloat16().float()


def rounded(values):
    return values + (values.bfloat16().float() - values).detach()


def step_by_step(model, inputs):
    """Logits by the formula of the LSTM, factors of products rounded to bfloat16 both ways."""
    steps = rounded(inputs).unbind(1)
    for w_ih, w_hh, b_ih, b_hh in model.lstm.all_weights:
        hidden = cell = torch.zeros(len(inputs), w_hh.shape[1])
        found = []
        for step in steps:
            products = RoundedOnTheWayBack.apply(step @ rounded(w_ih).T + hidden @ rounded(w_hh).T + b_ih + b_hh)
            i, f, candidate, o = products.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(candidate)
            hidden = rounded(torch.sigmoid(o) * torch.tanh(cell))
            found.append(hidden)
        steps = found
    return model.fc(steps[-1]).squeeze(-1)


@pytest.mark.parametrize(("n", "seq_length", "n_features"), [(9, 1, 6), (16, 5, 6), (40, 6, 1)])
def test_bf16_rounds_the_factors_of_every_product(n, seq_length, n_features):
    model, batch = a_model(n_features), a_batch(n, seq_length, n_features)
    logits = step_by_step(model, batch.inputs)
    loss = binary_cross_entropy_with_logits(logits, batch.targets, weight=batch.counts, reduction="sum")
    (loss / n).backward()
    expected = gradients(model)
    backend = CpuBackend(model, "bf16")
    backend.zero_grad()
    assert backend.add_gradient(batch, n).item() == pytest.approx(loss.item(), rel=1e-5)
    # A last bit of float32 may tip one rounding: far less than leaving one out.
    assert_agree(gradients(model), expected, 1e-3)


def test_bf16_learns_by_another_gradient_than_fp32():
    model, batch, found = a_model(6), a_batch(9, 5, 6), []
    for precision in ("fp32", "bf16"):
        backend = CpuBackend(model, precision)
        backend.zero_grad()
        backend.add_gradient(batch, 9)
        found.append(gradients(model)["lstm.weight_hh_l0"])
    assert 1e-6 < (found[0] - found[1]).abs().max() < 1e-2


@pytest.mark.parametrize(
    "backend",
    [
        lambda model: CpuBackend(model, "bf16"),
        lambda model: TorchBackend(model, "bf16", NO_SCALER),
        lambda model: TorchBackend(model, "fp16", NO_SCALER),
    ],
)
@pytest.mark.parametrize("n_features", [1, 6])
def test_logits_are_those_of_a_prediction_whatever_the_precision_of_training(backend, n_features):
    model, inputs = a_model(n_features), a_batch(9, 5, n_features).inputs
    with torch.inference_mode():
        expected = model(inputs)
    torch.testing.assert_close(backend(model).logits(WindowInputs.whole(inputs)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nan_stays_nan(precision):
    model, batch = a_model(6), a_batch(9, 3, 6)
    with torch.no_grad():
        model.lstm.weight_hh_l0[0, 0] = torch.nan
    backend = CpuBackend(model, precision)
    backend.zero_grad()
    assert torch.isnan(backend.add_gradient(batch, 9))
    assert torch.isnan(backend.logits(read(batch))).all()


def test_torch_computes_if_the_matrix_product_is_not_found(monkeypatch):
    model, batch = a_model(6), a_batch(8, 3, 6)
    backend = choose_backend(model, "fp32", NO_SCALER)
    assert isinstance(backend, CpuBackend)
    backend.zero_grad()
    loss, logits, expected = (
        backend.add_gradient(batch, 8),
        backend.logits(read(batch)),
        gradients(model),
    )
    monkeypatch.setattr(backends.kernels, "IS_AVAILABLE", False)
    backend = choose_backend(model, "fp32", NO_SCALER)
    assert isinstance(backend, TorchBackend)
    backend.zero_grad()
    assert backend.add_gradient(batch, 8).item() == pytest.approx(loss.item())
    torch.testing.assert_close(backend.logits(read(batch)), logits)
    assert_agree(gradients(model), expected)
    check_precision("fp32", CPU)


def test_torch_scales_the_loss_of_fp16():
    model, batch = a_model(6), a_batch(8, 3, 6)
    plain, scaled = (
        TorchBackend(model, "fp32", torch.amp.GradScaler("cpu", init_scale=8.0, enabled=enabled))
        for enabled in (False, True)
    )
    found = []
    for backend in (plain, scaled):
        backend.zero_grad()
        backend.add_gradient(batch, 8)
        found.append(gradients(model))
    assert_agree({name: value / 8 for name, value in found[1].items()}, found[0])


def test_fp16_on_a_cpu_is_refused_with_the_reason():
    with pytest.raises(SettingsError, match="fp16 needs a GPU"):
        check_precision("fp16", CPU)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_cpu_trains_in_fp32_and_bf16(precision):
    check_precision(precision, CPU)


def test_a_precision_that_fails_at_the_first_step_is_refused_with_the_reason(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("could not create a primitive\nmore")

    monkeypatch.setattr(backends.kernels, "IS_AVAILABLE", False)
    monkeypatch.setattr("boomerang.training.backends.MemberLSTM.forward", fail)
    with pytest.raises(SettingsError, match=r"bf16 does not run on cpu here: could not create a primitive$"):
        check_precision("bf16", CPU)


def test_a_precision_that_an_lstm_takes_for_another_is_refused(monkeypatch):
    monkeypatch.setattr(backends.kernels, "IS_AVAILABLE", False)
    monkeypatch.setattr(TorchBackend, "autocast", lambda backend: nullcontext())
    with pytest.raises(SettingsError, match=r"bf16 does not run on cpu here: an LSTM takes torch\.float32$"):
        check_precision("bf16", CPU)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_windows_of_any_length_give_the_loss_and_gradient_of_torch_on_each_alone(seed, precision):
    draw = np.random.default_rng(seed)
    n_windows, length, n_features = (int(draw.integers(low, high)) for low, high in ((1, 90), (1, 7), (1, 4)))
    # The first seed has no step at all.
    n_steps = torch.from_numpy(draw.integers(0, length + 1, n_windows) * min(seed, 1))
    inputs = torch.from_numpy(draw.integers(0, 2, (n_windows, length, n_features)).astype(np.float32))
    targets, counts = torch.from_numpy(draw.random(n_windows).astype(np.float32)), torch.ones(n_windows)
    model = a_model(n_features, 6, 2)
    backend = CpuBackend(model, precision)
    backend.zero_grad()
    loss = backend.add_gradient(Batch(inputs, targets, counts, n_steps), n_windows)
    found, logits = gradients(model), backend.logits(WindowInputs(inputs, n_steps))
    model = a_model(n_features, 6, 2)
    alone = [model(window[None, :steps]) for window, steps in zip(inputs, n_steps.tolist(), strict=True)]
    expected = binary_cross_entropy_with_logits(torch.cat(alone), targets, reduction="sum")
    torch.autograd.backward(expected / n_windows)
    tolerance = {"fp32": 2e-6, "bf16": 2e-2}[precision]
    torch.testing.assert_close(loss, expected.detach(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(logits, torch.cat(alone).detach(), rtol=1e-5, atol=1e-6)
    for gradient, parameter in zip(found.values(), model.parameters(), strict=True):
        of_torch = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, of_torch, rtol=tolerance, atol=tolerance)


def test_what_follows_the_last_step_of_a_window_changes_nothing():
    inputs, n_steps = torch.rand(20, 5, 3), torch.arange(20) % 6
    model = a_model(3, 6, 2)
    for backend in (CpuBackend(model, "fp32"), TorchBackend(model, "fp32", NO_SCALER)):
        changed = inputs.clone()
        changed[torch.arange(5) >= n_steps[:, None]] = 7.0
        of_both = [backend.logits(WindowInputs(windows, n_steps)) for windows in (inputs, changed)]
        assert torch.equal(*of_both)
        assert of_both[0][n_steps == 0].unique().item() == model.fc.bias.item()
