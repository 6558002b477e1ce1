"""What an attack on a trained model moves."""

import keras
import numpy as np
import pytest

from tfadvrec import MatrixFactorization
from tfadvrec.adversary import FastGradient, attack, served_tables
from tfadvrec.models import LightGCN


def test_trained_tables_unless_the_model_ranks_by_rows_that_it_keeps(blocks_log):
    factors = MatrixFactorization(n_users=20, n_items=20, dimension=4)
    assert [v.path for v in served_tables(factors)] == [v.path for v in factors.trainable_variables]
    graph = LightGCN(n_users=20, n_items=20, dimension=4, seed=0).bind(blocks_log)
    names = ["user_rows", "item_rows"]
    assert [v.path.split("/")[-2] for v in served_tables(graph)] == names
    x = {"user_id": np.array([0, 1]), "item_id": np.array([[0, 1], [3, 2]])}
    y = np.array([[1.0, 0.0], [1.0, 0.0]])
    deltas = attack(graph, [(x, y)], FastGradient(0.5))
    assert [path.split("/")[-2] for path in deltas] == names
    moved = [np.flatnonzero(np.abs(delta).sum(axis=1)).tolist() for delta in deltas.values()]
    assert moved == [[0, 1], [0, 1, 2, 3]]


def test_a_model_without_tables_is_refused():
    with pytest.raises(ValueError, match=r"needs a trainable keras\.layers\.Embedding"):
        served_tables(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
