"""Reads a saved model's protobuf and says what a model server would choke on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tfadvrec.serving.graph.signatures import METHOD
from tfadvrec.serving.ladder.core_ops import CORE_OPS
from tfadvrec.serving.ladder.python_runtime import plain

INITIALISER = "__saved_model_init_op"
STATEFUL_RANDOM = ("Random", "Multinomial", "TruncatedNormal", "ParameterizedTruncated", "Stateful")


def read_meta_graph(folder: Path) -> meta_graph_pb2.MetaGraphDef:
    """Reads the graph and the signatures of a saved model, without building anything."""
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return model.meta_graphs[0]


def operations(graph: graph_pb2.GraphDef) -> list[str]:
    """Lists the operations of a graph and of its functions, each once, sorted."""
    functions = {function.signature.name for function in graph.library.function}
    return sorted({node.op for _, node in nodes(graph)} - functions)


def audit_graph(graph: graph_pb2.GraphDef) -> list[str]:
    """Finds operations, compilation marks and devices that do not belong in a servable.

    Args:
        graph: The graph with its function library.

    Returns:
        One sentence a problem; empty for a good graph.
    """
    problems: dict[str, None] = {}
    functions = {function.signature.name for function in graph.library.function}
    for function in graph.library.function:
        if function.attr["_XlaMustCompile"].b:
            problems[compiled(f"function {function.signature.name}")] = None
    for where, node in nodes(graph):
        if node.op not in CORE_OPS and node.op not in functions:
            problems[f"{where} uses {node.op}, {reason(node.op)}."] = None
        if node.attr["_XlaMustCompile"].b:
            problems[compiled(f"{where}, node {node.name}")] = None
        if node.device and "CPU" not in node.device.upper():
            problems[f"{where}, node {node.name} is tied to the device {node.device}."] = None
    return list(problems)


def audit_signatures(
    found: dict[str, meta_graph_pb2.SignatureDef], expected: dict[str, Any]
) -> list[str]:
    """Compares a saved model's signatures with those of the contract.

    Args:
        found: `SignatureDef`s by name.
        expected: What `signatures.interface` gives for the same names.

    Returns:
        One sentence a problem.
    """
    problems = []
    names = set(found) - {INITIALISER}
    for name in sorted(names ^ set(expected)):
        state = "missing" if name in expected else "not in the contract"
        problems.append(f"signature {name} is {state}.")
    for name in sorted(names & set(expected)):
        got = describe(found[name])
        problems += unservable(name, got)
        if got != expected[name]:
            problems.append(f"signature {name} must be {expected[name]}, it is {got}.")
        if found[name].method_name != METHOD:
            problems.append(f"signature {name} must have the method {METHOD}.")
    return problems


def unservable(name: str, described: dict[str, Any]) -> list[str]:
    """Finds inputs and outputs that a server cannot merge into batches, or cannot send."""
    problems = []
    for side in ("inputs", "outputs"):
        for key, one in described[side].items():
            if one["shape"][:1] != [-1]:
                problems.append(
                    f"signature {name}: the first dimension of {key} must be the batch."
                )
            if side == "outputs" and key.endswith("_bytes"):
                problems.append(f"signature {name}: REST would send {key} as base64; rename it.")
    return problems


def describe(signature: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    """Describes a `SignatureDef` as `signatures.interface` does."""

    def side(tensors: Any, defaults: Any) -> dict[str, Any]:
        return {
            name: {
                "dtype": tf.dtypes.as_dtype(one.dtype).name,
                "shape": [dim.size for dim in one.tensor_shape.dim],
                **({"default": plain(tf.make_ndarray(defaults[name]))} if name in defaults else {}),
            }
            for name, one in tensors.items()
        }

    return {
        "inputs": side(signature.inputs, signature.defaults),
        "outputs": side(signature.outputs, {}),
    }


def nodes(graph: graph_pb2.GraphDef) -> Iterator[tuple[str, node_def_pb2.NodeDef]]:
    """Goes through all nodes with the place where they are."""
    yield from (("the graph", node) for node in graph.node)
    for function in graph.library.function:
        for node in function.node_def:
            yield f"function {function.signature.name}", node


def reason(op: str) -> str:
    """Says why an operation is refused."""
    if "PyFunc" in op:
        return "a call back into this Python process, which a server does not have"
    if op.startswith(STATEFUL_RANDOM):
        return "stateful randomness: answers would not be reproducible and not safe in batches"
    return "which is not on the list of core operations that every server has"


def compiled(where: str) -> str:
    """Says why a compilation mark is refused."""
    return (
        f"{where} demands XLA (jit_compile=True), which a stock server has turned off: trace the "
        "model without it."
    )
