"""Answers calls by `tf.saved_model.load`, in a process of its own (see `child.py`)."""

import base64
import importlib
import sys


def prepare(paths):
    """Imports TensorFlow, from where the caller has it."""
    sys.path[:] = paths
    importlib.import_module("tensorflow")


def answer(task):
    """Loads the servable and runs every call.

    Args:
        task: `folder` and `calls`, each with a `signature` and `inputs`
            `{name: {"dtype", "shape", "values"}}`.

    Returns:
        For each call the outputs in the same form as the inputs.
    """
    tf = sys.modules["tensorflow"]
    loaded = tf.saved_model.load(task["folder"])
    return [run(tf, loaded.signatures[call["signature"]], call["inputs"]) for call in task["calls"]]


def run(tf, signature, inputs):
    """Runs one call."""
    tensors = {
        name: tf.reshape(tf.constant(values(one), one["dtype"]), one["shape"])
        for name, one in inputs.items()
    }
    return {name: plain(one.numpy()) for name, one in signature(**tensors).items()}


def values(one):
    """Reads the values of a plain tensor; bytes that need not be text come as base64."""
    if one.get("encoding") == "base64":
        return [base64.b64decode(text) for text in one["values"]]
    return one["values"]


def plain(array):
    """Turns an array into what JSON takes."""
    if array.dtype.kind == "O":
        values = [one.decode("utf-8") for one in array.ravel()]
        return {"dtype": "string", "shape": list(array.shape), "values": values}
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}
