"""How a measured system and the benchmark talk: JSON lines, one request, one answer.

A worker runs as `PYTHON script.py --data log.npz --threads 2` in the environment of its system
and says first what it is and which variants it has. It then answers, until `quit`:

    {"do": "prepare", "variant": "bpr"}     a fresh model, compiled and warmed up; with
                                            `"restore": false` its values may be warmed up, too
    {"do": "epoch", "fraction": 1.0}        one pass over the interactions; training state is kept
    {"do": "evaluate"}                      its own full-ranking top-k evaluation
    {"do": "factors", "path": "x.npz"}      arrays `user` and `item`, biases folded in
    {"do": "quit"}

An answer has `seconds`, `cpu_seconds` and `peak_mb` (the largest resident size of the process so
far) and what the method returned, or `error`. What a system prints goes to stderr.

This file is run by other Pythons, too: it needs NumPy and nothing else.
"""

import argparse
import json
import os
import resource
import sys
import time
import traceback

import numpy as np


class System:
    """What each worker's class offers; `log` is a dictionary of arrays."""

    name = ""

    def __init__(self, log, threads):
        self.log, self.threads = log, threads
        self.n_users, self.n_items = int(log["n_users"]), int(log["n_items"])

    def version(self):
        """The version of what is measured."""
        raise NotImplementedError

    def variants(self):
        """Flat dictionaries with `name`, `batch`, `optimizer`, `loss`, `negatives`, `dimension`."""
        raise NotImplementedError

    def prepare(self, variant):
        """Makes a fresh model, warmed up; with its initial values if `variant["restore"]`."""
        raise NotImplementedError

    def epoch(self, fraction):
        """Trains one pass; may return its own `seconds`, and the `fraction` that was done."""
        raise NotImplementedError

    def evaluate(self):
        """Ranks the catalogue for all test users; returns `users` and what it computes."""
        raise NotImplementedError

    def factors(self):
        """User and item matrices whose inner products are the scores."""
        raise NotImplementedError

    def evaluated(self, started, computes):
        """What `evaluate` returns of an evaluation that began at `started`."""
        return {
            "seconds": time.perf_counter() - started,
            "users": len(np.unique(self.log["test_user"])),
            "computes": computes,
        }


def variant(name, optimizer, learning_rate, loss, batch=None, negatives=1):
    """One of a system's variants, of dimension 64."""
    return {
        "name": name,
        "batch": batch,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "loss": loss,
        "negatives": negatives,
        "dimension": 64,
    }


def serve(system_class):
    """Runs a worker until it is told to quit or its input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints, prints to stderr

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    with np.load(options.data) as file:
        log = {key: file[key] for key in file.files}
    system = system_class(log, options.threads)
    variants = {variant["name"]: variant for variant in system.variants()}
    answer(
        ready=True,
        system=system.name,
        version=system.version(),
        variants=list(variants.values()),
        peak_mb=peak_mb(),
    )
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            answer(**carry_out(system, variants, request))
        except Exception as error:
            traceback.print_exc()
            answer(error=f"{type(error).__name__}: {error}")


def carry_out(system, variants, request):
    """Does what is asked, and measures it."""
    do = request["do"]
    wall, cpu = time.perf_counter(), time.process_time()
    if do == "prepare":
        variant = dict(variants[request["variant"]], restore=request.get("restore", True))
        found = system.prepare(variant)
    elif do == "epoch":
        found = system.epoch(request.get("fraction", 1.0))
    elif do == "evaluate":
        found = system.evaluate()
    elif do == "factors":
        user, item = system.factors()
        np.savez(request["path"], user=user, item=item)
        found = None
    else:
        raise ValueError("cannot %r" % do)  # noqa: UP031
    measured = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    measured.update(found or {})
    return measured


def peak_mb():
    """The largest resident size of this process so far, in MB.

    Linux lets a child begin with its parent's `ru_maxrss`; what `/proc` says begins anew.
    """
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status") as status:
            return int(status.read().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def with_bias(user, item, item_bias):
    """Folds item biases into the factors."""
    ones = np.ones((len(user), 1), user.dtype)
    return np.hstack([user, ones]), np.hstack([item, np.reshape(item_bias, (-1, 1))])
