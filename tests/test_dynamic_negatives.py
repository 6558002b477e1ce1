"""The loss of dynamic negative sampling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import MatrixFactorization
from tfadvrec.data import pairs
from tfadvrec.losses import DynamicNegatives


def test_only_the_hardest_negative_and_the_positive_get_a_gradient():
    scores = tf.Variable([[1.0, 0.2, 1.5, -3.0]])
    with tf.GradientTape() as tape:
        loss = DynamicNegatives()(tf.constant([[1.0, 0.0, 0.0, 0.0]]), scores)
    assert float(loss) == pytest.approx(np.log1p(np.exp(0.5)), abs=1e-6)
    slope = 1 / (1 + np.exp(-0.5))
    found = tape.gradient(loss, scores).numpy()
    np.testing.assert_allclose(found, [[-slope, 0.0, slope, 0.0]], atol=1e-6)


@pytest.mark.parametrize("labels", [[1.0, -1.0, -1.0], [0.0, 0.0, -1.0]])
def test_a_row_without_a_pair_costs_nothing(labels):
    scores = tf.Variable([[0.3, 9.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = DynamicNegatives()(tf.constant([labels]), scores)
    assert float(loss) == 0.0
    np.testing.assert_array_equal(tape.gradient(loss, scores).numpy(), np.zeros((1, 3)))


def test_ignored_candidates_are_no_negatives():
    loss = DynamicNegatives()(np.array([[1.0, 0.0, -1.0]]), np.array([[0.0, 0.0, 50.0]]))
    assert float(loss) == pytest.approx(np.log(2), abs=1e-6)


def test_config_round_trip():
    loss = DynamicNegatives(reduction="mean", name="hard")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert (again.reduction, again.name) == ("mean", "hard")


def test_it_trains_a_factorisation_on_the_checkerboard(blocks_log):
    model = MatrixFactorization(n_users=20, n_items=20, dimension=8, item_bias=True, seed=0).bind(
        blocks_log
    )
    model.compile(keras.optimizers.Adagrad(0.3), loss=DynamicNegatives())
    data = pairs(blocks_log, batch_size=30, negatives=3, seed=0, block=100)
    model.fit(data, epochs=8, verbose=0)
    items, _ = model.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]
