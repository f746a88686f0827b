"""How a member in training computes logits and gradients: in compiled code on a CPU, in torch on a GPU."""

from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from boomerang.base.errors import SettingsError
from boomerang.model import forward, head_kernels, kernels, lstm_kernels, prefix_trie
from boomerang.model.kernels import Float32Array
from boomerang.model.lstm import MemberLSTM
from boomerang.model.prefix_trie import PrefixTrie
from boomerang.model.window_inputs import WindowInputs
from boomerang.training.batches import Batch

AUTOCAST_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# A CPU computes a batch in chunks of windows. With more steps than this (windows times L), what the gradient needs of
# the chunk no longer fits the cache.
MAX_CHUNK_STEPS = 768
# With fewer windows than this, matrix products are slower than reading from memory what does not fit the cache.
MIN_CHUNK_WINDOWS = 32


class Backend(Protocol):
    """What training asks of either backend."""

    def zero_grad(self) -> None:
        """Forget the gradient."""

    def add_gradient(self, batch: Batch, n_group_samples: int) -> torch.Tensor:
        """Add the gradient of a batch to that of the batches before it.

        Parameters
        ----------
        batch : Batch
        n_group_samples : int
            Samples in all batches whose gradients are added up; the sum of the losses is divided by it.

        Returns
        -------
        Tensor of shape ()
            Sum of the losses over the batch, not divided.
        """

    def logits(self, windows: WindowInputs) -> torch.Tensor:
        """Compute logits as a prediction does: in float32, whatever precision the gradients are computed in.

        Parameters
        ----------
        windows : WindowInputs
            Of n windows.

        Returns
        -------
        Tensor of shape (n,), float32
            On the device of the model.
        """


class CpuBackend:
    """A member on a CPU, without autograd, whose bookkeeping takes longer than the arithmetic of a short window.

    Parameters
    ----------
    model : MemberLSTM
        Its parameters may change in place, but must stay where they are in memory.
    precision : {"fp32", "bf16"}
        What the factors of the LSTM's products are rounded to while it learns; weights, cells and sums are float32.
        Rounded factors are multiplied as float32, so bf16 needs no instructions of its own.
    """

    def __init__(self, model: MemberLSTM, precision: str) -> None:
        self.is_rounded = precision == "bf16"
        parameters = list(model.parameters())
        self.gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # For each layer w_ih, w_hh, b_ih and b_hh, then weight and bias of the linear layer.
        arrays, grad_arrays = ([tensor.detach().numpy() for tensor in kind] for kind in (parameters, self.gradients))
        self.layer_weights, self.head = forward.split_by_layer(arrays[:-2]), arrays[-2:]
        self.grad_layer_weights, self.grad_head = forward.split_by_layer(grad_arrays[:-2]), grad_arrays[-2:]

    def zero_grad(self) -> None:
        """As in `Backend`."""
        for gradient in self.gradients:
            gradient.zero_()

    def add_gradient(self, batch: Batch, n_group_samples: int) -> torch.Tensor:
        """As in `Backend`; large batches are computed in chunks."""
        tensors = (batch.inputs, batch.n_steps, batch.targets, batch.counts / n_group_samples)
        chunk_size = _chunk_size(batch.inputs)
        if len(batch.inputs) <= chunk_size:
            logits = self._add_chunk_gradient(*tensors)
        else:
            chunks = zip(*(torch.split(tensor, chunk_size) for tensor in tensors), strict=True)
            logits = torch.cat([self._add_chunk_gradient(*chunk) for chunk in chunks])
        return binary_cross_entropy_with_logits(logits, batch.targets, weight=batch.counts, reduction="sum")

    def logits(self, windows: WindowInputs) -> torch.Tensor:
        """As in `Backend`; many windows are computed in chunks."""
        chunks = zip(*(torch.split(tensor, _chunk_size(windows.inputs)) for tensor in windows), strict=True)
        runs = (self._run_forward(inputs, n_steps, False) for inputs, n_steps in chunks)
        return torch.cat([torch.from_numpy(logits) for _, _, logits in runs])

    def _run_forward(
        self, inputs: torch.Tensor, n_steps: torch.Tensor, is_rounded: bool
    ) -> tuple[PrefixTrie, list[lstm_kernels.Layer], Float32Array]:
        """The prefix trie of the windows, what each layer computed on it, and the logits."""
        windows = forward.round_factors(inputs.numpy()) if is_rounded else inputs.numpy()
        trie = prefix_trie.build(np.ascontiguousarray(windows), n_steps.numpy())
        return trie, *forward.run_layers(trie, self.layer_weights, self.head, is_rounded)

    def _add_chunk_gradient(
        self, inputs: torch.Tensor, n_steps: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        """Add the gradient of a chunk, in which each window counts as much as `shares` say; returns the logits."""
        trie, layers, logits = self._run_forward(inputs, n_steps, self.is_rounded)
        grad_hidden = head_kernels.run_backward(
            logits, targets.numpy(), shares.numpy(), layers[-1].hidden, trie.last_nodes, self.head[0], *self.grad_head
        )
        for layer, grad_weights in zip(reversed(layers), reversed(self.grad_layer_weights), strict=True):
            is_first = layer is layers[0]
            grad_hidden = lstm_kernels.run_backward(layer, trie, grad_hidden, self.is_rounded, is_first, *grad_weights)
        return torch.from_numpy(logits)


def _chunk_size(inputs: torch.Tensor) -> int:
    return max(MIN_CHUNK_WINDOWS, MAX_CHUNK_STEPS // inputs.shape[1])


class TorchBackend:
    """A member that torch computes: on a GPU, or on a CPU whose numpy lacks what the compiled kernels need.

    Parameters
    ----------
    model : MemberLSTM
        On the device that it trains on.
    precision : {"fp32", "fp16", "bf16"}
        What matrix products run in while it learns; weights and sums are float32.
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

    def add_gradient(self, batch: Batch, n_group_samples: int) -> torch.Tensor:
        """As in `Backend`; the gradient is that of the scaled loss, the sum that is returned is not scaled."""
        inputs, targets, counts = (tensor.to(self.device, non_blocking=True) for tensor in batch[:3])
        with self.autocast():
            logits: torch.Tensor = self.model(inputs, self._shorter(batch)).float()
        loss = binary_cross_entropy_with_logits(logits, targets, weight=counts, reduction="sum")
        torch.autograd.backward(self.scaler.scale(loss / n_group_samples))
        return loss.detach()

    def logits(self, windows: WindowInputs) -> torch.Tensor:
        """As in `Backend`."""
        with torch.inference_mode():
            logits: torch.Tensor = self.model(windows.inputs.to(self.device), self._shorter(windows))
            return logits

    def _shorter(self, windows: Batch | WindowInputs) -> torch.Tensor | None:
        """The steps of each window on the device; None where all windows are whole."""
        if bool((windows.n_steps == windows.inputs.shape[1]).all()):
            return None
        return windows.n_steps.to(self.device, non_blocking=True)

    def autocast(self) -> torch.autocast:
        """A context in which matrix products run in the precision that the member learns in."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def choose_backend(model: MemberLSTM, precision: str, scaler: torch.amp.GradScaler) -> Backend:
    """The fastest backend for the device of the model."""
    if model.fc.bias.device.type == "cpu" and kernels.IS_AVAILABLE:
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
        backend.add_gradient(Batch(inputs, torch.zeros(2), torch.ones(2), torch.full((2,), 3)), 2)
        if not isinstance(backend, TorchBackend):
            return
        with backend.autocast():
            computed_in = model.lstm(inputs.to(device))[0].dtype
    except RuntimeError as error:
        raise SettingsError(f"{refused}: {str(error).splitlines()[0]}") from None
    # Autocast may choose another type for an LSTM: a cuDNN is known whose LSTMs took float16 when asked for bf16, and
    # in float16 small gradients vanish without loss scaling.
    if computed_in != backend.dtype:
        raise SettingsError(f"{refused}: an LSTM takes {computed_in}")
