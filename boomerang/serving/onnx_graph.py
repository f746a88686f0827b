"""An ensemble as an ONNX graph: the same numbers in any program that runs ONNX, without torch.

The graph is made of standard operators (https://onnx.ai/onnx/operators/onnx__LSTM.html), node by node: torch's own
exporter writes one batch size into an LSTM.
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from boomerang.model.lstm import MemberLSTM

# Versions old enough for the runtimes in use and new enough for all operators below.
OPSET, IR_VERSION = 17, 8


def build_graph(
    models: dict[int, MemberLSTM], n_steps: dict[int, int], weights: np.ndarray, temperature: float
) -> onnx.ModelProto:
    """The graph of all members of one ensemble.

    Its input `inputs` (n, steps of the longest window, features) float32 holds the purchases, the latest last; members
    of shorter windows read the last of them. Its outputs are `logits` (n, n_members) and `probability` (n,), both
    float32.

    Parameters
    ----------
    models : dict of int to MemberLSTM
        By ascending sequence length.
    n_steps : dict of int to int
        Purchases in the window of each.
    weights : ndarray of shape (n_members,), float64
        Summing to 1.
    temperature : float
        Divides the weighted mean of the logits.
    """
    graph = _Graph()
    input_size = next(iter(models.values())).lstm.input_size
    logits = [graph.add_member(f"seq{length}", model, n_steps[length]) for length, model in models.items()]
    graph.node("Concat", logits, "logits", axis=1)
    mixing = graph.constant("weights", (weights / temperature).astype(np.float32)[:, None])
    mixed = graph.node("MatMul", ["logits", mixing], "mixed")
    flat = graph.node("Squeeze", [mixed, graph.constant("axis_1", np.array([1]))], "combined")
    graph.node("Sigmoid", [flat], "probability")
    inputs = helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", max(n_steps.values()), input_size])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(models)]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"]),
    ]
    made = helper.make_graph(graph.nodes, "boomerang", [inputs], outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """The nodes and constants that were added so far."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def add_member(self, name: str, model: MemberLSTM, n_steps: int) -> str:
        """The nodes of one member; gives the name of its logits, of shape (n, 1)."""
        bounds = [self.constant(f"{name}_{key}", np.array([at])) for key, at in (("first", -n_steps), ("end", 2**31))]
        axes = self.constant(f"{name}_axes", np.array([1]))
        window = self.node("Slice", ["inputs", *bounds, axes], f"{name}_window")
        steps = self.node("Transpose", [window], f"{name}_steps", perm=[1, 0, 2])  # (steps, n, features)
        state = model.state_dict()
        for layer in range(model.lstm.num_layers):
            names = self._layer_constants(f"{name}_{layer}", state, layer)
            every, last = f"{name}_{layer}_every", f"{name}_{layer}_last"
            node = helper.make_node("LSTM", [steps, *names], [every, last], hidden_size=model.lstm.hidden_size)
            self.nodes.append(node)
            axis = self.constant(f"{name}_{layer}_axis", np.array([1]))
            steps = self.node("Squeeze", [every, axis], f"{name}_{layer}_out")  # (steps, n, hidden)
        hidden = self.node("Squeeze", [last, self.constant(f"{name}_axis", np.array([0]))], f"{name}_hidden")
        weight = self.constant(f"{name}_fc_weight", state["fc.weight"].numpy())
        bias = self.constant(f"{name}_fc_bias", state["fc.bias"].numpy())
        return self.node("Gemm", [hidden, weight, bias], f"{name}_logit", transB=1)

    def _layer_constants(self, name: str, state: dict[str, torch.Tensor], layer: int) -> list[str]:
        """Weights and biases of a layer, each with a first axis for the one direction there is."""
        inputs, hidden, *biases = (
            _reorder(state[f"lstm.{kind}_l{layer}"].numpy())
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return [
            self.constant(f"{name}_W", inputs[None]),
            self.constant(f"{name}_R", hidden[None]),
            self.constant(f"{name}_B", np.concatenate(biases)[None]),
        ]


def _reorder(rows: np.ndarray) -> np.ndarray:
    """Rows of the four gates from torch's order (input, forget, cell, output) to that of ONNX (i, o, f, c)."""
    in_gate, forget, cell, out_gate = np.split(rows, 4)
    return np.concatenate([in_gate, out_gate, forget, cell])
