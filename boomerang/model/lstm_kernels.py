"""The forward pass of an LSTM and its gradient, compiled for the CPU.

On a CPU, torch's own LSTM spends half a millisecond on preparations at every training step, and it computes a prefix
that many windows share as often as it occurs. The matrix products here are those of numpy's OpenBLAS, and numba
compiles the loops around them. Neither changes the order of a sum from run to run, and `boomerang.base.numerics` names
the CPU that both compute for.
"""

from typing import NamedTuple

import numpy as np

from boomerang.model.kernels import (
    ONE,
    ZERO,
    Float32Array,
    Int64Array,
    add_product,
    compiled,
    round_to_bf16,
    sigmoid,
    tanh,
)
from boomerang.model.prefix_trie import PrefixTrie


class Layer(NamedTuple):
    """What one layer computed at each node of a prefix trie, and what its gradient needs.

    Attributes
    ----------
    inputs : ndarray of shape (n_nodes, n_inputs), float32
        What the layer read.
    w_ih, w_hh : ndarray of shape (4 hidden_size, n_inputs) and (4 hidden_size, hidden_size), float32
        The weights that it was computed with.
    gates : ndarray of shape (n_nodes, 4 hidden_size), float32
        Input gate, forget gate, candidate and output gate.
    cells, tanh_cells, hidden : ndarray of shape (n_nodes, hidden_size), float32
        The cells, their tanh, and the output.
    """

    inputs: Float32Array
    w_ih: Float32Array
    w_hh: Float32Array
    gates: Float32Array
    cells: Float32Array
    tanh_cells: Float32Array
    hidden: Float32Array


@compiled
def _run_cells(
    gates: Float32Array, cells: Float32Array, tanh_cells: Float32Array, hidden: Float32Array, start: int, end: int
) -> None:
    """Compute the nodes from `start` to `end`, in place.

    Before, `gates` hold the sums of products and `cells` hold the cells of the parents.
    """
    size = cells.shape[1]
    for node in range(start, end):
        # A loop for each gate: several in one are too much for the compiler to take eight units at a time.
        for unit in range(2 * size):
            gates[node, unit] = sigmoid(gates[node, unit])
        for unit in range(size):
            gates[node, 2 * size + unit] = tanh(gates[node, 2 * size + unit])
        for unit in range(size):
            gates[node, 3 * size + unit] = sigmoid(gates[node, 3 * size + unit])
        for unit in range(size):
            new = gates[node, unit] * gates[node, 2 * size + unit]
            cells[node, unit] = gates[node, size + unit] * cells[node, unit] + new
        for unit in range(size):
            tanh_cells[node, unit] = tanh(cells[node, unit])
        for unit in range(size):
            hidden[node, unit] = gates[node, 3 * size + unit] * tanh_cells[node, unit]


@compiled
def _add_recurrent_products(
    gates: Float32Array, hidden: Float32Array, w_hh: Float32Array, trie: PrefixTrie, step: int, products: Float32Array
) -> None:
    """Add to the gates of a step the products of the parents' outputs with `w_hh`.

    `products` is memory for the products of one step; it is empty where the trie has no branches.
    """
    before, start, end = trie.step_starts[step - 1], trie.step_starts[step], trie.step_starts[step + 1]
    if len(products) == 0:
        add_product(hidden[before:start], False, w_hh, True, ONE, gates[start:end])
        return
    add_product(hidden[before:start], False, w_hh, True, ZERO, products[: start - before])
    for node in range(start, end):
        parent = trie.parents[node]
        for unit in range(gates.shape[1]):
            gates[node, unit] += products[parent - before, unit]


@compiled
def run_forward(
    inputs: Float32Array,
    trie: PrefixTrie,
    w_ih: Float32Array,
    w_hh: Float32Array,
    bias: Float32Array,
    is_rounded: bool,
) -> Layer:
    """Compute one `Layer` over a prefix trie (Hochreiter and Schmidhuber 1997, "Long short-term memory").

    The gates are in torch's order.

    Parameters
    ----------
    inputs, w_ih, w_hh : ndarray
        As in `Layer`.
    trie : PrefixTrie
        The trie of the windows. Its own inputs are those of the first layer.
    bias : ndarray of shape (4 hidden_size,), float32
        Sum of `b_ih` and `b_hh`.
    is_rounded : bool
        Whether to round `hidden`, which other products read, to bfloat16.
    """
    step_starts = trie.step_starts
    n_nodes, size = len(inputs), w_hh.shape[1]
    gates = np.empty((n_nodes, 4 * size), np.float32)
    cells, tanh_cells, hidden = [np.empty((n_nodes, size), np.float32) for _ in range(3)]
    n_products = 0
    if trie.has_branches:
        for step in range(len(step_starts) - 2):
            n_products = max(n_products, step_starts[step + 1] - step_starts[step])
    products = np.empty((n_products, 4 * size), np.float32)
    for node in range(n_nodes):
        for unit in range(4 * size):
            gates[node, unit] = bias[unit]
    add_product(inputs, False, w_ih, True, ONE, gates)
    for step in range(len(step_starts) - 1):
        start, end = step_starts[step], step_starts[step + 1]
        if step == 0:
            cells[start:end] = ZERO
        else:
            _add_recurrent_products(gates, hidden, w_hh, trie, step, products)
            for node in range(start, end):
                parent = trie.parents[node]
                for unit in range(size):
                    cells[node, unit] = cells[parent, unit]
        _run_cells(gates, cells, tanh_cells, hidden, start, end)
        if is_rounded:
            round_to_bf16(hidden[start:end])
    return Layer(inputs, w_ih, w_hh, gates, cells, tanh_cells, hidden)


@compiled
def _run_cells_backward(
    layer: Layer, grad_hidden: Float32Array, grad_cells: Float32Array, parents: Int64Array, start: int, end: int
) -> None:
    """Compute the gradient of `_run_cells`, in place.

    The gradient with respect to the sums of products overwrites `layer.gates`. Before, `grad_cells` holds what came
    from the children; what goes to the parents is added to theirs.
    """
    gates, cells, tanh_cells = layer.gates, layer.cells, layer.tanh_cells
    size = cells.shape[1]
    for node in range(start, end):
        for unit in range(size):
            slope = ONE - tanh_cells[node, unit] * tanh_cells[node, unit]
            grad_cells[node, unit] += grad_hidden[node, unit] * gates[node, 3 * size + unit] * slope
        for unit in range(size):
            o = gates[node, 3 * size + unit]
            gates[node, 3 * size + unit] = grad_hidden[node, unit] * tanh_cells[node, unit] * o * (ONE - o)
        for unit in range(size):
            i, candidate = gates[node, unit], gates[node, 2 * size + unit]
            gates[node, unit] = grad_cells[node, unit] * candidate * i * (ONE - i)
            gates[node, 2 * size + unit] = grad_cells[node, unit] * i * (ONE - candidate * candidate)
        if start == 0:
            for unit in range(size):
                gates[node, size + unit] = ZERO
            continue
        parent = parents[node]
        for unit in range(size):
            grad_cells[parent, unit] += grad_cells[node, unit] * gates[node, size + unit]
        for unit in range(size):
            f = gates[node, size + unit]
            gates[node, size + unit] = grad_cells[node, unit] * cells[parent, unit] * f * (ONE - f)


@compiled
def _add_bias_gradient(grad_gates: Float32Array, grad_b_ih: Float32Array, grad_b_hh: Float32Array) -> None:
    """Add the sum of `grad_gates` over all nodes to the gradients of both biases."""
    n_nodes, n_gates = grad_gates.shape
    grad_bias = np.zeros(n_gates, np.float32)
    for node in range(n_nodes):
        for unit in range(n_gates):
            grad_bias[unit] += grad_gates[node, unit]
    for unit in range(n_gates):
        grad_b_ih[unit] += grad_bias[unit]
        grad_b_hh[unit] += grad_bias[unit]


@compiled
def run_backward(
    layer: Layer,
    trie: PrefixTrie,
    grad_hidden: Float32Array,
    is_rounded: bool,
    is_first: bool,
    grad_w_ih: Float32Array,
    grad_w_hh: Float32Array,
    grad_b_ih: Float32Array,
    grad_b_hh: Float32Array,
) -> Float32Array:
    """Compute the gradient of `run_forward`, through time (Werbos 1990, "Backpropagation through time").

    `layer.gates` and `grad_hidden` are overwritten.

    Parameters
    ----------
    grad_hidden : ndarray of shape (n_nodes, hidden_size), float32
        Gradient with respect to `layer.hidden`, without what comes from the children of a node.
    is_rounded : bool
        Whether to round the gradient with respect to the sums of products to bfloat16.
    is_first : bool
        Whether this is the first layer.
    grad_w_ih, grad_w_hh, grad_b_ih, grad_b_hh : ndarray, float32
        The gradients with respect to the weights and biases are added to them.

    Returns
    -------
    grad_inputs : ndarray of shape (n_nodes, n_inputs), float32
        Gradient with respect to the layer's inputs; empty for the first layer, whose inputs need none.
    """
    parents, step_starts = trie.parents, trie.step_starts
    inputs, w_ih, w_hh, grad_gates, _, _, hidden = layer
    (n_nodes, size), has_branches, n_parents = hidden.shape, trie.has_branches, step_starts[-2]
    grad_cells = np.zeros((n_nodes, size), np.float32)
    # Gradient with respect to the product of a node's output with `w_hh`: the sum over the node's children.
    grad_products = np.zeros((n_parents, 4 * size), np.float32) if has_branches else grad_gates[step_starts[1] :]
    for step in range(len(step_starts) - 2, -1, -1):
        start, end = step_starts[step], step_starts[step + 1]
        _run_cells_backward(layer, grad_hidden, grad_cells, parents, start, end)
        if is_rounded:
            round_to_bf16(grad_gates[start:end])
        if step > 0:
            before = step_starts[step - 1]
            if has_branches:
                for node in range(start, end):
                    parent = parents[node]
                    for unit in range(4 * size):
                        grad_products[parent, unit] += grad_gates[node, unit]
            add_product(grad_products[before:start], False, w_hh, False, ONE, grad_hidden[before:start])
    add_product(grad_gates, True, inputs, False, ONE, grad_w_ih)
    add_product(grad_products, True, hidden[:n_parents], False, ONE, grad_w_hh)
    _add_bias_gradient(grad_gates, grad_b_ih, grad_b_hh)
    grad_inputs = np.empty((0 if is_first else n_nodes, inputs.shape[1]), np.float32)
    if not is_first:
        add_product(grad_gates, False, w_ih, False, ZERO, grad_inputs)
    return grad_inputs
