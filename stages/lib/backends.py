"""How a member in training computes logits and gradients: compiled on a CPU, by torch on a GPU."""

from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from stages.lib import compiling, recurrence
from stages.lib.batches import Batch
from stages.lib.errors import SettingsError
from stages.lib.forest import Forest, grow
from stages.lib.lstm import MemberLSTM

AUTOCAST_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Steps of windows that a CPU computes together: what the gradient needs of more of them leaves the cache. And the
# fewest windows: products of fewer rows are slower than memory.
CHUNK_STEPS, CHUNK_WINDOWS = 768, 32


class Backend(Protocol):
    """What training asks of either."""

    def zero_grad(self) -> None:
        """Forget the gradient."""

    def add_gradient(self, batch: Batch, n_group: int) -> torch.Tensor:
        """Add the gradient of the losses' sum over `batch`, divided by `n_group`, and give the sum, of shape ()."""

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n,), float32, where the model lies, of inputs of shape (n, L, n_features)."""


class CpuBackend:
    """A member on a CPU, without autograd, whose bookkeeping takes longer than a short window.

    Parameters
    ----------
    model : MemberLSTM
        Its parameters may change, but not where they lie.
    precision : {"fp32", "bf16"}
        What the factors of the LSTM's products are rounded to; weights, cells and sums are float32. Rounded, they are
        multiplied as float32, so bf16 needs no instructions of its own.
    """

    def __init__(self, model: MemberLSTM, precision: str) -> None:
        self.is_rounded = precision == "bf16"
        parameters = list(model.parameters())
        self.gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # Of each layer w_ih, w_hh, b_ih and b_hh, then weight and bias of the last, linear one.
        arrays, d_arrays = ([tensor.detach().numpy() for tensor in kind] for kind in (parameters, self.gradients))
        self.layers, self.head = _by_fours(arrays[:-2]), arrays[-2:]
        self.d_layers, self.d_head = _by_fours(d_arrays[:-2]), d_arrays[-2:]

    def zero_grad(self) -> None:
        """As in `Backend`."""
        for gradient in self.gradients:
            gradient.zero_()

    def add_gradient(self, batch: Batch, n_group: int) -> torch.Tensor:
        """As in `Backend`; large batches piece by piece."""
        whole, n = (batch.inputs, batch.targets, batch.counts / n_group), _chunk_size(batch.inputs)
        if len(batch.inputs) <= n:
            logits = self._add_gradient(*whole)
        else:
            chunks = zip(*(tensor.split(n) for tensor in whole), strict=True)
            logits = torch.cat([self._add_gradient(*chunk) for chunk in chunks])
        return binary_cross_entropy_with_logits(logits, batch.targets, weight=batch.counts, reduction="sum")

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """As in `Backend`; many windows piece by piece."""
        runs = (self._run(chunk) for chunk in inputs.split(_chunk_size(inputs)))
        return torch.cat([torch.from_numpy(logits) for _, _, logits in runs])

    def _run(self, inputs: torch.Tensor) -> tuple[Forest, list[recurrence.Layer], np.ndarray]:
        forest = grow(np.ascontiguousarray(self._rounded(inputs.numpy())))
        layers, read = [], forest.values
        for w_ih, w_hh, b_ih, b_hh in self.layers:
            w_ih, w_hh = self._rounded(w_ih), self._rounded(w_hh)
            layers.append(recurrence.run_forward(read, forest, w_ih, w_hh, b_ih + b_hh, self.is_rounded))
            read = layers[-1].hidden
        return forest, layers, recurrence.run_head(read, forest.ends, *self.head)

    def _add_gradient(self, inputs: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        forest, layers, logits = self._run(inputs)
        d_hidden = recurrence.run_head_backward(
            logits, targets.numpy(), shares.numpy(), layers[-1].hidden, forest.ends, self.head[0], *self.d_head
        )
        for layer, d_weights in zip(reversed(layers), reversed(self.d_layers), strict=True):
            d_hidden = recurrence.run_backward(layer, forest, d_hidden, self.is_rounded, layer is layers[0], *d_weights)
        return torch.from_numpy(logits)

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        return torch.from_numpy(values).bfloat16().float().numpy() if self.is_rounded else values


def _chunk_size(inputs: torch.Tensor) -> int:
    return max(CHUNK_WINDOWS, CHUNK_STEPS // inputs.shape[1])


def _by_fours(arrays: list[np.ndarray]) -> list[list[np.ndarray]]:
    return [arrays[start : start + 4] for start in range(0, len(arrays), 4)]


class TorchBackend:
    """A member where torch computes it: on a GPU, and on a CPU whose numpy lacks what `compiling` takes from it.

    Parameters
    ----------
    model : MemberLSTM
        On the device it trains on.
    precision : {"fp32", "fp16", "bf16"}
        What matrix products run in; weights and sums are float32.
    scaler : GradScaler
        Scales losses, so that small float16 gradients do not vanish.
    """

    def __init__(self, model: MemberLSTM, precision: str, scaler: torch.amp.GradScaler) -> None:
        self.model, self.scaler = model, scaler
        self.device = model.fc.bias.device
        self.dtype = AUTOCAST_DTYPES[precision]

    def zero_grad(self) -> None:
        """As in `Backend`."""
        for parameter in self.model.parameters():
            parameter.grad = None

    def add_gradient(self, batch: Batch, n_group: int) -> torch.Tensor:
        """As in `Backend`, of the loss that the scaler scales; the sum that is given is not scaled."""
        inputs, targets, counts = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        loss = binary_cross_entropy_with_logits(self._logits(inputs), targets, weight=counts, reduction="sum")
        self.scaler.scale(loss / n_group).backward()
        return loss.detach()

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """As in `Backend`."""
        with torch.inference_mode():
            return self._logits(inputs.to(self.device))

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        with self.autocast():
            return self.model(inputs).float()

    def autocast(self) -> torch.autocast:
        """A context in which matrix products run in the precision asked for."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def choose_backend(model: MemberLSTM, precision: str, scaler: torch.amp.GradScaler) -> Backend:
    """The fastest that there is for where the model lies."""
    if model.fc.bias.device.type == "cpu" and compiling.IS_AVAILABLE:
        return CpuBackend(model, precision)
    return TorchBackend(model, precision, scaler)


def check_precision(precision: str, device: torch.device) -> None:
    """Run one forward and backward step of a tiny model in `precision`.

    Raises
    ------
    SettingsError
        If this machine cannot train in `precision` on `device`, with the reason.
    """
    if precision == "fp16" and device.type == "cpu":
        raise SettingsError("precision fp16 needs a GPU (found none in use): choose fp32 or bf16, or use_gpu on one")
    refused = f"precision {precision} does not run on {device.type} here"
    try:
        model, inputs = MemberLSTM(1, 4, 1).to(device), torch.zeros(2, 3, 1)
        backend = choose_backend(model, precision, torch.amp.GradScaler(device.type, enabled=False))
        backend.add_gradient(Batch(inputs, torch.zeros(2), torch.ones(2)), 2)
        if isinstance(backend, CpuBackend):
            return
        with backend.autocast():
            computed_in = model.lstm(inputs.to(device))[0].dtype
    except RuntimeError as error:
        raise SettingsError(f"{refused}: {str(error).splitlines()[0]}") from None
    # Autocast has its own idea of what an LSTM computes in: torch has known a cuDNN whose LSTMs took float16 for bf16,
    # where small gradients vanish without loss scaling.
    if computed_in != backend.dtype:
        raise SettingsError(f"{refused}: an LSTM takes {computed_in}")
