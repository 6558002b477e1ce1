"""Batches of rows and of whole histories."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import data
from tfadvrec.data.multi_hot import multi_hot, padded


def test_an_epoch_has_each_row_once_and_blocks_have_the_same_batches():
    tables = {"x": np.arange(10), "y": np.arange(10) * 2.0}
    plain = list(data.rows(tables, batch_size=3, seed=4))
    seen = np.concatenate([batch["x"] for batch in plain])
    assert len(set(seen.tolist())) == len(seen) == 9
    np.testing.assert_array_equal(np.concatenate([b["y"] for b in plain]), 2.0 * seen)
    blocks = list(data.rows(tables, batch_size=3, seed=4, block=2))
    assert [int(block.steps) for block in blocks] == [2, 1]
    again = [block.batch(i)["x"] for block in blocks for i in range(int(block.steps))]
    np.testing.assert_array_equal(np.concatenate(again), seen)


def test_epochs_differ_and_seeds_repeat_them():
    first = data.rows({"x": np.arange(50)}, batch_size=50, seed=1)
    orders = [next(iter(first))["x"].numpy() for _ in range(2)]
    assert not np.array_equal(*orders)
    again = data.rows({"x": np.arange(50)}, batch_size=50, seed=1)
    np.testing.assert_array_equal(next(iter(again))["x"], orders[0])


@pytest.mark.parametrize("side", ["user", "item"])
def test_histories_are_rows_of_the_matrix(blocks_log, side):
    matrix = blocks_log.csr().toarray()
    matrix = matrix if side == "user" else matrix.T
    seen = []
    for inputs, taken in data.histories(blocks_log, batch_size=5, side=side):
        rows = inputs[f"{side}_id"].numpy()
        np.testing.assert_array_equal(taken, matrix[rows])
        seen.extend(rows.tolist())
    assert sorted(seen) == list(range(20))


def test_who_took_nothing_is_left_out(blocks_log):
    part = blocks_log.take(blocks_log.user != 3)
    rows = np.concatenate([i["user_id"] for i, _ in data.histories(part, batch_size=19)])
    assert 3 not in rows
    assert len(rows) == 19


def test_padded_tables_are_bounded(monkeypatch, blocks_log):
    monkeypatch.setattr("tfadvrec.data.multi_hot.LARGEST_PADDED", 100)
    with pytest.raises(ValueError, match="20 histories of up to 9 interactions"):
        padded(blocks_log.csr())


def test_xla_makes_multi_hot_rows():
    made = tf.function(lambda h: multi_hot(h, 4), jit_compile=True)(tf.constant([[3, 3, -1]]))
    assert made.numpy().tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.rows({"x": np.zeros(3), "y": np.zeros(4)}, batch_size=1), "same number"),
        (lambda: data.rows({"x": np.zeros(3)}, batch_size=4), "between 1 and the 3 rows"),
        (lambda: data.rows({"x": np.zeros(3)}, batch_size=1, block=0), "block must be 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_side_that_does_not_exist_is_refused(blocks_log):
    with pytest.raises(ValueError, match="side must be"):
        data.histories(blocks_log, batch_size=1, side="events")
