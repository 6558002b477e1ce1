"""Rows one by one or the whole table: where a row-sparse step begins to pay.

A table of many sizes, width 64, is updated in a compiled loop from the gradient of n look-ups,
once with a slot for each look-up and once with the whole table swept. The ratio of rows to
look-ups at which the two cost the same is `tfadvrec.optimizers.row_slots.WHOLE_BELOW`.
"""

import time

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.optimizers import LazyAdam, RowWiseAdagrad, SparseAdagrad, row_slots

WIDTH = 64
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0, 16.0)
OPTIMIZERS = (SparseAdagrad, RowWiseAdagrad, LazyAdam)


def run(context) -> dict:
    """Microseconds of CPU time a step, slots and whole, for each ratio of rows to look-ups."""
    rows = []
    for look_ups in (1024,) if context.quick else (1024, 16384):
        for ratio in RATIOS:
            size = int(look_ups * ratio)
            for kind in OPTIMIZERS:
                cost = {whole: _cost(kind, size, look_ups, whole) for whole in (False, True)}
                rows.append(
                    {
                        "optimizer": kind.__name__,
                        "look-ups": look_ups,
                        "table rows": size,
                        "rows / look-ups": ratio,
                        "slots us": round(cost[False], 1),
                        "whole us": round(cost[True], 1),
                        "whole / slots": round(cost[True] / cost[False], 2),
                    }
                )
    note = (
        "CPU microseconds a step, median of 5 compiled loops; uniform rows. The table is swept "
        f"whole below {row_slots.WHOLE_BELOW} rows for each look-up."
    )
    return {"rows": rows, "note": note}


def _cost(kind: type, size: int, look_ups: int, whole: bool) -> float:
    before = row_slots.WHOLE_BELOW
    row_slots.WHOLE_BELOW = float("inf") if whole else 0.0
    try:
        return _timed(kind, size, look_ups)
    finally:
        row_slots.WHOLE_BELOW = before


def _timed(kind: type, size: int, look_ups: int) -> float:
    steps = max(8, 400_000 // look_ups)
    table = keras.Variable(np.zeros((size, WIDTH), np.float32), name="embeddings")
    optimizer = kind(0.01)
    optimizer.build([table])
    drawn = np.random.default_rng(0).integers(0, size, (steps, look_ups), dtype=np.int32)
    rows = tf.constant(drawn)
    values = tf.random.stateless_normal([look_ups, WIDTH], [0, 0])

    @tf.function(jit_compile=True, autograph=False)
    def loop() -> None:
        def body(step: tf.Tensor) -> list[tf.Tensor]:
            scale = tf.cast(step, tf.float32)
            slices = tf.IndexedSlices(values * scale, rows[step], tf.constant([size, WIDTH]))
            optimizer.apply([slices], [table])
            return [step + 1]

        tf.while_loop(lambda step: step < steps, body, [tf.constant(0)])

    loop()
    times = []
    for _ in range(5):
        start = time.process_time()
        loop()
        times.append((time.process_time() - start) / steps * 1e6)
    return float(np.median(times))
