"""Triples laid out user by user: the same triples, the same attack."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import data
from tfadvrec.adversary import ProjectedGradient
from tfadvrec.audit.attacker import Attacker
from tfadvrec.audit.by_user import by_user
from tfadvrec.audit.triples import training_triples
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import SelfAttentive


@pytest.fixture(scope="module")
def log():
    return data.synthetic(n_users=40, n_items=30, n_interactions=500, seed=2)


def triples(batches):
    pairs = [
        (user, *pair)
        for inputs, labels in batches
        for user, items, marks in zip(inputs["user_id"], inputs["item_id"], labels, strict=True)
        for pair, mark in zip(items.reshape(-1, 2), marks.reshape(-1, 2), strict=True)
        if mark[0] > 0
    ]
    return sorted(tuple(int(part) for part in pair) for pair in pairs)


def test_no_triple_is_lost_or_added(log):
    batches = training_triples(log, batch_size=70)
    laid_out = by_user(batches)
    assert triples(laid_out) == triples(batches)
    assert len(triples(batches)) == len(log)
    assert len({inputs["item_id"].shape for inputs, _ in laid_out}) == 1
    width = laid_out[0][1].shape[1] // 2
    assert width == -(-len(log) // 40)
    assert sum(len(labels) for _, labels in laid_out) < 2 * 40


def test_a_model_that_reads_histories_is_attacked_as_by_single_triples(log):
    model = SelfAttentive(
        n_users=40, n_items=30, dimension=8, length=5, blocks=1, initial_scale=0.5, seed=0
    ).bind(log)
    model.supports_jit = False
    batches, loss = training_triples(log, batch_size=250), BayesianPersonalizedRanking()
    found = {}
    for layout in (True, False):
        model.reads_histories = layout
        attacker = Attacker(model, batches, loss, variables=[model.item_embedding.embeddings])
        deltas, losses = attacker.attack(ProjectedGradient(0.3, steps=3), scale=attacker.scale)
        found[layout] = [attacker.scale, *losses, *deltas.values()]
    assert losses[-1] > losses[0]
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), *found.values()
    )
