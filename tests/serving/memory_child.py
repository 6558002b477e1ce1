"""Prints how far the memory in use rises while a table is searched, in chunks and cast whole."""

import ctypes
import json
import os
import re
from pathlib import Path

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # on some processors it keeps what it once cast

import numpy as np
import tensorflow as tf

from tfadvrec.serving import BruteForce

STATUS = Path("/proc/self/status")


def peak(call):
    """How far the memory in use rises while `call` runs, KiB; the most of five times.

    Where the system takes pages back at the same time, one time can miss the rise.
    """
    rises = []
    for _ in range(5):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is not in use
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = kibibytes("VmRSS")
        call()
        rises.append(kibibytes("VmHWM") - before)
    return max(rises)


def kibibytes(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())[1])


def main():
    items = np.ones((100_000, 64), np.float32)
    table = BruteForce(dtype="float16", chunk=8192).build(items)
    whole = tf.constant(items.astype(np.float16))
    query = tf.ones([1, 64])
    chunked = tf.function(lambda: table.top(query, 10)[1])
    cast = tf.function(lambda some: tf.matmul(query, tf.cast(some, tf.float32), transpose_b=True))
    chunked(), cast(whole)
    print(json.dumps({"chunked": peak(chunked), "cast": peak(lambda: cast(whole))}))


if __name__ == "__main__":
    main()
