"""What TFRS answers, from a process of its own: it refuses Keras 3 at import.

`python tfrs_child.py IN.npz OUT.npz` with TF_USE_LEGACY_KERAS=1 set. IN holds `queries`
(float32), `items` (float32), `item_ids` (text), `exclude` (text) and `k`; OUT gets ids and scores,
with and without the exclusions.
"""

import sys


def main(given: str, answered: str) -> None:
    """Builds `BruteForce` over the items and asks it for every query."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    task = np.load(given)
    index = tfrs.layers.factorized_top_k.BruteForce(k=int(task["k"]))
    index.index(tf.constant(task["items"]), tf.constant(task["item_ids"].astype(object)))
    queries = tf.constant(task["queries"])
    exclude = tf.constant(task["exclude"].astype(object))
    scores, ids = index(queries)
    left_scores, left_ids = index.query_with_exclusions(queries, exclude)
    np.savez(
        answered,
        version=np.array(tfrs.__version__),
        ids=np.char.decode(ids.numpy().astype(bytes), "utf-8"),
        scores=scores.numpy(),
        left_ids=np.char.decode(left_ids.numpy().astype(bytes), "utf-8"),
        left_scores=left_scores.numpy(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
