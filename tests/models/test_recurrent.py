"""The recurrent network over histories: against NumPy, what it learns, in compiled blocks."""

import json

import keras
import numpy as np
import pytest

from tfadvrec import AdversarialTraining, FastGradient
from tfadvrec.adversary import outputs_of
from tfadvrec.data import Interactions, sequences
from tfadvrec.losses import InBatchSoftmax
from tfadvrec.models import Recurrent
from tfadvrec.serving import ExportSpec
from tfadvrec.serving.planning import make_plan

LENGTH = 6


@pytest.fixture(scope="module")
def log():
    """User u takes u, u + 2, ..., u + 16 (modulo 20)."""
    user, step = np.repeat(np.arange(20), 9), np.tile(np.arange(9), 20)
    return Interactions(
        user=user.astype(np.int32),
        item=((user + 2 * step) % 20).astype(np.int32),
        user_ids=np.array([f"u{i:02d}" for i in range(20)]),
        item_ids=np.array([f"i{i:02d}" for i in range(20)]),
    )


def make(log, **options):
    options = {"dimension": 8, "length": LENGTH, "units": 12, "dropout": 0.1, "seed": 0, **options}
    return Recurrent(n_users=20, n_items=20, **options).bind(log)


def numpy_vector(model, history):
    """The vector after a history: gated units as in Cho et al. with the reset after the product."""
    x = model.item_embedding.embeddings.numpy()[history] * np.sqrt(model.dimension)
    for layer in model.cells:
        kernel, recurrent, bias = (w.numpy() for w in layer.weights)
        state, states = np.zeros(model.units), []
        for row in x:
            z, r, h = np.split(row @ kernel + bias[0], 3)
            uz, ur, uh = np.split(state @ recurrent + bias[1], 3)
            z, r = (1 / (1 + np.exp(-part)) for part in (z + uz, r + ur))
            state = z * state + (1 - z) * np.tanh(h + r * uh)
            states.append(state)
        x = np.array(states)
    return x[-1] @ model.out.kernel.numpy() + model.out.bias.numpy()


@pytest.mark.parametrize("layers", [1, 2])
def test_its_scores_are_those_of_numpy_whatever_the_padding(log, layers):
    model = make(log, layers=layers, initial_scale=0.5)
    for cell in model.cells:  # a bias would move the state over padding
        kernel, recurrent, bias = cell.get_weights()
        cell.set_weights([kernel, recurrent, bias + 0.3])
    items = model.item_embedding.embeddings.numpy()
    for history in ([3, 5, 7], [1], [4, 9, 2, 2, 11, 0]):
        expected = items @ numpy_vector(model, history)
        for given in (history, [-1, -1, *history], [*history, -1]):
            got = model.score_history([given])[0]
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    row = log.item.reshape(20, 9)[5, -LENGTH:]
    np.testing.assert_allclose(model.score_catalogue([5])[0], items @ numpy_vector(model, row),
                               rtol=1e-4, atol=1e-5)  # fmt: skip


def test_blocks_against_the_adversary_learn_what_comes_next(log):
    model = make(log)
    target = outputs_of("history_vectors", per="example")
    robust = AdversarialTraining(model, FastGradient(0.2), target=target)
    robust.compile(keras.optimizers.Adam(0.02), loss=InBatchSoftmax(), jit_compile=False)
    options = {"candidates": "catalogue", "windows": None, "seed": 0, "block": 2}
    data = sequences(log, batch_size=40, length=LENGTH, **options)
    logs = robust.fit(data, epochs=80, verbose=0).history
    assert logs["adversarial_loss"][0] > logs["loss"][0]
    items, _ = model.recommend(log.user_ids, 1)
    assert items[:, 0].tolist() == [f"i{(u + 18) % 20:02d}" for u in range(20)]


def test_it_is_exported_with_a_history_of_fixed_width(log, tmp_path):
    plan = make_plan(make(log), ExportSpec(k=3, history=4))
    assert plan.signatures["recommend"]["inputs"] == {
        "history": {"dtype": "string", "shape": [-1, 4]}
    }
    asked = np.array([[2, 4, 6, -1]], np.int32)
    np.testing.assert_allclose(
        plan.ranker.vectors(asked), make(log).embed_history(asked), rtol=1e-5, atol=1e-6
    )


def test_config_survives_json_and_bad_arguments_are_errors(log):
    model = make(log, layers=2, time_aware=True)
    again = Recurrent(**json.loads(json.dumps(model.get_config())))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="units and layers must be 1 or more"):
        Recurrent(n_users=1, n_items=1, units=0)
