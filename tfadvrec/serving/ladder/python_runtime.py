"""Answers calls by `tf.saved_model.load`, in a process of its own (see `child.py`)."""

import base64
import importlib
import importlib.machinery
import sys
import types


def prepare(paths):
    """Imports TensorFlow's loader, from where the caller has it, and nothing that it does without.

    The package's own `__init__` imports all of TensorFlow, which takes three times as long; so a
    bare package stands in for it.
    """
    sys.path[:] = paths
    found = importlib.machinery.PathFinder.find_spec("tensorflow", paths)
    bare = types.ModuleType("tensorflow")
    bare.__path__ = list(found.submodule_search_locations)
    bare.__spec__ = found
    sys.modules["tensorflow"] = bare
    importlib.import_module("tensorflow.python.pywrap_tensorflow")  # the shared libraries first
    importlib.import_module("tensorflow.python.saved_model.load")


def answer(task):
    """Loads the servable and runs every call.

    Args:
        task: `folder` and `calls`, each with a `signature` and `inputs`
            `{name: {"dtype", "shape", "values"}}`.

    Returns:
        For each call the outputs in the same form as the inputs.
    """
    load = sys.modules["tensorflow.python.saved_model.load"].load
    constant = sys.modules["tensorflow.python.framework.constant_op"].constant
    signatures = load(task["folder"]).signatures
    return [run(constant, signatures[call["signature"]], call["inputs"]) for call in task["calls"]]


def run(constant, signature, inputs):
    """Runs one call; `constant` is TensorFlow's."""
    tensors = {
        name: constant(values(one), one["dtype"], shape=one["shape"])
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
