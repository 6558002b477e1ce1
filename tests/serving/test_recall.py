import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving import BruteForce
from tfadvrec.serving.index.recall import mean_recall


class Answering:
    """A table that gives the rows it is told, whoever asks."""

    def __init__(self, rows):
        self.rows = rows

    def top(self, queries, count):
        return None, tf.tile(tf.constant([self.rows[:count]]), [tf.shape(queries)[0], 1])


LADDER = np.arange(10, dtype=np.float32)[:, None]  # item r scores r


@pytest.mark.parametrize(
    ("rows", "share"),
    [([9, 8, 7, 6], 1.0), ([6, 7, 8, 9], 1.0), ([9, 8, 0, 7], 0.75), ([0, 1, 2, 3], 0.0)],
)
def test_recall_is_the_share_of_the_best_that_is_served(rows, share):
    assert mean_recall(Answering(rows), LADDER, np.ones((40, 1), np.float32), 4) == share


def test_recall_is_the_mean_over_queries():
    queries = np.array([[1.0], [-1.0]], np.float32)  # the second wants the lowest
    assert mean_recall(Answering([9, 8]), LADDER, queries, 2) == 0.5


def test_items_of_equal_scores_stand_for_each_other():
    items = np.array([[1.0], [1.0], [1.0], [0.5]], np.float32)
    query = np.ones((1, 1), np.float32)
    assert mean_recall(Answering([2, 1]), items, query, 2) == 1.0
    assert mean_recall(Answering([2, 3]), items, query, 2) == 0.5


def test_lists_are_no_longer_than_the_catalogue():
    assert mean_recall(BruteForce().build(LADDER), LADDER, np.ones((1, 1), np.float32), 50) == 1.0


def test_every_index_finds_nearly_everything_and_bytes_alone_do_not():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(5000, 64)).astype(np.float32)
    queries = rng.normal(size=(256, 64)).astype(np.float32)
    recall = {
        name: mean_recall(BruteForce(**options).build(items), items, queries, 10)
        for name, options in {
            "float32": {},
            "float32 chunked": {"chunk": 1024},
            "float16": {"dtype": "float16", "chunk": 1024},
            "int8": {"dtype": "int8", "chunk": 1024},
            "hardly rescored": {"dtype": "int8", "chunk": 1024, "rescore": 1},
        }.items()
    }
    assert recall["float32"] == recall["float32 chunked"] == 1.0
    assert recall["float16"] >= 0.998
    assert recall["int8"] >= 0.998
    assert recall["hardly rescored"] < recall["int8"]


def test_nothing_to_compare_is_refused():
    table = BruteForce().build(LADDER)
    with pytest.raises(ValueError, match="got 0 queries and k=3"):
        mean_recall(table, LADDER, np.ones((0, 1), np.float32), 3)
    with pytest.raises(ValueError, match="k=0"):
        mean_recall(table, LADDER, np.ones((2, 1), np.float32), 0)
