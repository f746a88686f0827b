"""An ensemble, or trees, as an ONNX graph: the same numbers in any program that runs ONNX, without torch.

The graph is made of standard operators (https://onnx.ai/onnx/operators/onnx__LSTM.html), node by node: torch's own
exporter writes one batch size into an LSTM.
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from boomerang.model.lstm import MemberLSTM
from boomerang.trees.forest import Forest, Tree

# Versions old enough for the runtimes in use and new enough for all operators below; trees are operators of their own.
OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
ML_DOMAIN = "ai.onnx.ml"


def build_graph(
    models: dict[int, MemberLSTM],
    n_steps: dict[int, int],
    weights: np.ndarray,
    temperature: float,
    any_past: bool = False,
) -> onnx.ModelProto:
    """The graph of all members of one ensemble.

    Its input `inputs` (n, steps of the longest window, features) float32 holds the purchases, the latest last; members
    of shorter windows read the last of them. Where members answer whatever the past, a second input `n_steps` (n,)
    int64, 0 to that many, says how many purchases of each row there are; what follows them is not read. Its outputs are
    `logits` (n, n_members) and `probability` (n,), both float32.

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
    any_past : bool
        Whether members answer whatever the past.
    """
    graph = _Graph()
    input_size = next(iter(models.values())).lstm.input_size
    read = graph.read_latest if any_past else graph.read_last
    logits = [
        graph.add_member(f"seq{length}", model, *read(f"seq{length}", n_steps[length]))
        for length, model in models.items()
    ]
    graph.node("Concat", logits, "logits", axis=1)
    mixing = graph.constant("weights", (weights / temperature).astype(np.float32)[:, None])
    mixed = graph.node("MatMul", ["logits", mixing], "mixed")
    flat = graph.node("Squeeze", [mixed, graph.constant("axis_1", np.array([1]))], "combined")
    graph.node("Sigmoid", [flat], "probability")
    inputs = [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", max(n_steps.values()), input_size])]
    if any_past:
        inputs.append(helper.make_tensor_value_info("n_steps", TensorProto.INT64, ["n"]))
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(models)]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"]),
    ]
    return graph.finish(inputs, outputs)


def build_trees_graph(forest: Forest) -> onnx.ModelProto:
    """The graph of the trees of one question.

    Its input `inputs` (n, n_features) float32 holds what the trees read, in the order of `Forest.features`, NaN for a
    number that is missing. Its outputs are `logits` (n, 1) and `probability` (n,), both float32.
    """
    # The operator wants a tree; one of a single leaf that says nothing is none.
    trees = forest.trees or [Tree(first_child=[-1], feature=[0], threshold=[0.0], missing_first=[False], value=[0.0])]
    graph, nodes = _Graph(), [(number, node) for number, tree in enumerate(trees) for node in range(len(tree.value))]

    def of_nodes(name: str) -> list[Any]:
        return [getattr(trees[number], name)[node] for number, node in nodes]

    children = of_nodes("first_child")
    is_leaf = [child == -1 for child in children]
    leaves = [place for place, leaf in zip(nodes, is_leaf, strict=True) if leaf]
    values = of_nodes("value")
    graph.node(
        "TreeEnsembleRegressor",
        ["inputs"],
        "logits",
        domain=ML_DOMAIN,
        n_targets=1,
        base_values=[forest.base_logit],
        nodes_treeids=[number for number, _ in nodes],
        nodes_nodeids=[node for _, node in nodes],
        nodes_featureids=of_nodes("feature"),
        nodes_values=of_nodes("threshold"),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_truenodeids=[max(child, 0) for child in children],
        nodes_falsenodeids=[max(child + 1, 0) for child in children],
        nodes_missing_value_tracks_true=[int(goes_first) for goes_first in of_nodes("missing_first")],
        target_treeids=[number for number, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[value for value, leaf in zip(values, is_leaf, strict=True) if leaf],
    )
    flat = graph.node("Squeeze", ["logits", graph.constant("axis_1", np.array([1]))], "combined")
    graph.node("Sigmoid", [flat], "probability")
    inputs = [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", len(forest.features)])]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"]),
    ]
    return graph.finish(inputs, outputs)


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

    def finish(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The model of all that was added, checked."""
        made = helper.make_graph(self.nodes, "boomerang", inputs, outputs, self.constants)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        model = helper.make_model(made, opset_imports=versions, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def read_last(self, name: str, n_steps: int) -> tuple[str, str, str]:
        """The last purchases of each row, of shape (n, n_steps, features); nothing says how many there are."""
        bounds = [self.constant(f"{name}_{key}", np.array([at])) for key, at in (("first", -n_steps), ("end", 2**31))]
        axes = self.constant(f"{name}_axes", np.array([1]))
        return self.node("Slice", ["inputs", *bounds, axes], f"{name}_window"), "", ""

    def read_latest(self, name: str, n_steps: int) -> tuple[str, str, str]:
        """The last purchases that there are of each row, how many they are (1 or more), and whether there is any."""
        numbers = {"most": n_steps, "one": 1, "zero": 0}
        most, one, zero = (self.constant(f"{name}_{key}", np.array([value])) for key, value in numbers.items())
        before = self.node("Sub", ["n_steps", most], f"{name}_before")
        start = self.node("Max", [before, zero], f"{name}_start")
        axis = self.constant(f"{name}_column", np.array([1]))
        column = self.node("Unsqueeze", [start, axis], f"{name}_starts")  # (n, 1)
        steps = self.constant(f"{name}_places", np.arange(n_steps)[None])
        places = self.node("Add", [column, steps], f"{name}_at")  # (n, n_steps)
        # Places after the last purchase of all are not read: any that exists will do.
        width = self.node("Shape", ["inputs"], f"{name}_width", start=1, end=2)
        last = self.node("Sub", [width, one], f"{name}_end")
        inside = self.node("Min", [places, last], f"{name}_inside")
        deep = self.node("Unsqueeze", [inside, self.constant(f"{name}_depth", np.array([2]))], f"{name}_deep")
        window = self.node("GatherND", ["inputs", deep], f"{name}_window", batch_dims=1)  # (n, n_steps, features)
        there = self.node("Min", ["n_steps", most], f"{name}_there")
        some = self.node("Max", [there, one], f"{name}_some")
        n_read = self.node("Cast", [some], f"{name}_read", to=TensorProto.INT32)
        has_any = self.node("Greater", ["n_steps", zero], f"{name}_any")
        return window, n_read, self.node("Unsqueeze", [has_any, axis], f"{name}_has")

    def add_member(self, name: str, model: MemberLSTM, window: str, n_read: str, has_any: str) -> str:
        """The nodes of one member; gives the name of its logits, of shape (n, 1).

        Parameters
        ----------
        name : str
            Begins the names of its nodes.
        model : MemberLSTM
            The member.
        window, n_read, has_any : str
            Names of its purchases, of how many of them it reads and of whether there are any; empty where all are.
        """
        steps = self.node("Transpose", [window], f"{name}_steps", perm=[1, 0, 2])  # (steps, n, features)
        state = model.state_dict()
        for layer in range(model.lstm.num_layers):
            names = self._layer_constants(f"{name}_{layer}", state, layer)
            every, last = f"{name}_{layer}_every", f"{name}_{layer}_last"
            node = helper.make_node("LSTM", [steps, *names, n_read], [every, last], hidden_size=model.lstm.hidden_size)
            self.nodes.append(node)
            axis = self.constant(f"{name}_{layer}_axis", np.array([1]))
            steps = self.node("Squeeze", [every, axis], f"{name}_{layer}_out")  # (steps, n, hidden)
        hidden = self.node("Squeeze", [last, self.constant(f"{name}_axis", np.array([0]))], f"{name}_hidden")
        weight = self.constant(f"{name}_fc_weight", state["fc.weight"].numpy())
        bias = self.constant(f"{name}_fc_bias", state["fc.bias"].numpy())
        logit = self.node("Gemm", [hidden, weight, bias], f"{name}_logit", transB=1)
        # A window of no steps is the bias.
        return self.node("Where", [has_any, logit, bias], f"{name}_answer") if has_any else logit

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
