"""The forward pass of a member that predicts: one window at a time by compiled code, many by torch.

A single window takes torch's LSTM a tenth of a millisecond of preparations, which compiled code spares. Many windows
at a time torch computes faster. Training computes the same layers by `run_layers`, over a prefix trie in which windows
share what they have in common.
"""

from functools import lru_cache

import numpy as np
import torch

from boomerang.model import head_kernels, kernels, lstm_kernels
from boomerang.model.kernels import Float32Array, Int64Array
from boomerang.model.lstm import MemberLSTM
from boomerang.model.prefix_trie import PrefixTrie
from boomerang.model.window_inputs import WindowInputs

# Windows always go through a member so many at a time, and the last batch is filled up: a matrix product of another
# height may take another path through the kernels and end in another last bit.
BATCH_SIZE = 256


def split_by_layer(arrays: list[Float32Array]) -> list[list[Float32Array]]:
    """`w_ih`, `w_hh`, `b_ih` and `b_hh` of each layer, out of the parameters of an LSTM in torch's order."""
    return [arrays[start : start + 4] for start in range(0, len(arrays), 4)]


def run_layers(
    trie: PrefixTrie, layer_weights: list[list[Float32Array]], head: list[Float32Array], is_rounded: bool
) -> tuple[list[lstm_kernels.Layer], Float32Array]:
    """What each LSTM layer computed at each node of the trie, and the logit of each window, of shape (n_windows,).

    Parameters
    ----------
    trie : PrefixTrie
        Of the windows.
    layer_weights : list of list of ndarray
        As `split_by_layer` gives them.
    head : list of ndarray
        Weight and bias of the linear layer.
    is_rounded : bool
        Whether the factors of products are rounded to bfloat16; the inputs of `trie` must be rounded then.
    """
    layers: list[lstm_kernels.Layer] = []
    layer_inputs = trie.inputs
    for w_ih, w_hh, b_ih, b_hh in layer_weights:
        if is_rounded:
            w_ih, w_hh = round_factors(w_ih), round_factors(w_hh)
        layers.append(lstm_kernels.run_forward(layer_inputs, trie, w_ih, w_hh, b_ih + b_hh, is_rounded))
        layer_inputs = layers[-1].hidden
    return layers, head_kernels.run_forward(layer_inputs, trie.last_nodes, *head)


def round_factors(values: Float32Array) -> Float32Array:
    """A copy of float32 values, rounded to bfloat16."""
    rounded: Float32Array = torch.from_numpy(values).bfloat16().float().numpy()
    return rounded


@lru_cache(maxsize=256)
def _chain(n_steps: int) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Parents, first nodes of the steps and last node of the prefix trie of one window."""
    return np.arange(-1, n_steps - 1), np.arange(n_steps + 1), np.array([n_steps - 1])


class MemberForward:
    """A member that predicts.

    Parameters
    ----------
    model : MemberLSTM
        Its parameters are not to change any more. On a GPU, and on a CPU whose numpy lacks what compiled code needs,
        torch computes single windows too.
    """

    def __init__(self, model: MemberLSTM) -> None:
        self.model = model
        self._device = model.fc.bias.device
        self._is_compiled = self._device.type == "cpu" and kernels.IS_AVAILABLE
        if self._is_compiled:
            arrays = [parameter.detach().numpy() for parameter in model.parameters()]
            self._layer_weights, self._head = split_by_layer(arrays[:-2]), arrays[-2:]

    def logit(self, window: torch.Tensor) -> float:
        """The logit of one window, of shape (n_steps, n_features), float32: that of `logits` but for rounding."""
        if not self._is_compiled:
            with torch.inference_mode():
                return float(self.model(window[None].to(self._device))[0])
        steps = np.ascontiguousarray(window.numpy())
        trie = PrefixTrie(steps, *_chain(len(steps)), has_branches=False)
        return float(run_layers(trie, self._layer_weights, self._head, False)[1][0])

    def logits(self, windows: WindowInputs) -> np.ndarray:
        """The logits of n windows, of shape (n,), float32: to the last bit, whatever windows are computed together."""
        found = np.empty(len(windows.inputs), dtype=np.float32)
        batch = WindowInputs.whole(torch.zeros((BATCH_SIZE, *windows.inputs.shape[1:])))
        with torch.inference_mode():
            for at in range(0, len(found), BATCH_SIZE):
                n_windows = min(BATCH_SIZE, len(found) - at)
                for filled, given in zip(batch, windows, strict=True):
                    filled[:n_windows] = given[at : at + n_windows]
                logits = self.model(*(of_batch.to(self._device) for of_batch in batch))
                found[at : at + n_windows] = logits[:n_windows].cpu()
        return found
