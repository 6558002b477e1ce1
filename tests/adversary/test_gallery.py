"""Every foreign model of the gallery trains against an adversary, and stays what it was."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.adversary.gallery import GALLERY
from tfadvrec import AdversarialTraining, FastGradient


def models(*names):
    chosen = {name: make for name, make in GALLERY.items() if name in names or not names}
    return pytest.mark.parametrize("make", chosen.values(), ids=chosen)


def with_xla(*answers):
    """The models of which XLA compiles, by what they say of it."""
    return models(*(name for name, make in GALLERY.items() if make().xla in answers))


def batches(foreign, size=24):
    return tf.data.Dataset.from_tensor_slices((foreign.x, foreign.y)).batch(size)


def fit(model, foreign, *, rate=0.1, size=24, epochs=2, steps=None, **options):
    optimizer = keras.optimizers.SGD(rate, gradient_accumulation_steps=steps)
    model.compile(optimizer, **foreign.compiled, **options)
    data = batches(foreign, size)
    return model.fit(data, epochs=epochs, shuffle=False, verbose=0).history


def wrapped(foreign, weight=1.0):
    return AdversarialTraining(
        foreign.model, FastGradient(0.5), weight=weight, target=foreign.target
    )


def assert_same(one, other, **close):
    for a, b in zip(*map(keras.tree.flatten, (one, other)), strict=True):
        np.testing.assert_allclose(a, b, **close)


def exported(foreign, robust, path):
    """What is served: Keras's own export, or a module where Keras cannot tell the inputs."""
    if foreign.spec is None:
        robust.export(path, verbose=False)
    else:
        module = tf.Module()
        module.held = [variable.value for variable in foreign.model.variables]
        module.serve = tf.function(foreign.model.call, input_signature=[foreign.spec])
        tf.saved_model.save(module, path)
    return tf.saved_model.load(path)


def fed(x):
    """Inputs as Keras's `export` takes them: dense, and ids of a subclass as any number."""

    def one(part):
        if isinstance(part, tf.RaggedTensor) or part.dtype == tf.string:
            return part
        return (tf.sparse.to_dense(part) if isinstance(part, tf.SparseTensor) else part).numpy()

    return keras.tree.map_structure(one, x)


@models()
def test_it_is_attacked_and_then_saved_and_exported_without_the_adversary(make, tmp_path):
    foreign = make()
    robust = wrapped(foreign)
    history = fit(robust, foreign)
    assert history["adversarial_loss"][0] > history["loss"][0]
    robust.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    servable = exported(foreign, robust, str(tmp_path / "servable"))
    assert type(again) is type(foreign.model)
    assert_same(again.get_weights(), foreign.model.get_weights(), rtol=0)
    for size in (24, 5):
        x, _ = next(iter(batches(foreign, size)))
        expected = foreign.model(x, training=False)
        assert {len(part) for part in keras.tree.flatten(expected)} == {size}
        assert_same(again(x, training=False), expected, rtol=1e-5, atol=1e-6)
        assert_same(servable.serve(fed(x)), expected, rtol=1e-5, atol=1e-6)


@models()
def test_without_weight_it_is_plain_training(make):
    foreign = make()
    plain = fit(foreign.model, foreign, run_eagerly=True)
    other = make()
    robust = fit(wrapped(other, weight=0.0), other, run_eagerly=True)
    assert set(robust) == {*plain, "adversarial_loss"}
    for name, values in plain.items():
        assert robust[name] == pytest.approx(values, rel=1e-6), name
    assert_same(foreign.model.get_weights(), other.model.get_weights(), atol=1e-6)


def fit_under(policy, foreign_of):
    """One step of a model that is made under a policy."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy)
        foreign = foreign_of()
        robust = wrapped(foreign)
        history = fit(robust, foreign, epochs=1, run_eagerly=True)
    finally:
        keras.config.set_dtype_policy(before)
    return robust, history["loss"][0], history["adversarial_loss"][0]


@models()
def test_in_mixed_precision_it_is_attacked_and_stays_finite(make):
    robust, clean, attacked = fit_under("mixed_float16", make)
    assert isinstance(robust.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(attacked)
    assert attacked > clean
    assert all(np.isfinite(weight).all() for weight in robust.model.get_weights())


@models("keras_rs_basic_retrieval", "several_outputs_and_losses", "pooled_embedding")
def test_half_precision_gives_the_losses_of_single(make):
    _, *expected = fit_under("float32", make)
    for policy, close in (("mixed_float16", 1e-3), ("mixed_bfloat16", 1e-2)):
        _, *found = fit_under(policy, make)
        assert found == pytest.approx(expected, rel=close), policy


@models("keras_rs_basic_retrieval", "pooled_embedding", "frozen_tower", "ragged_histories")
def test_accumulated_gradients_are_those_of_the_batches_at_the_same_weights(make):
    """Each batch's own step, from the first weights, at half the rate."""
    changes, first = [], None
    for part in (slice(0, 12), slice(12, 24)):
        foreign = make()
        x, y = next(iter(batches(foreign)))
        half = keras.tree.map_structure(lambda values, part=part: values[part], (x, y))
        robust = wrapped(foreign)
        robust.compile(keras.optimizers.SGD(0.05), run_eagerly=True, **foreign.compiled)
        foreign.model(half[0])
        first = foreign.model.get_weights()
        robust.fit(tf.data.Dataset.from_tensors(half), verbose=0)
        after = foreign.model.get_weights()
        changes.append([b - a for a, b in zip(first, after, strict=True)])
    foreign = make()
    foreign.model(next(iter(batches(foreign, 12)))[0])
    assert_same(foreign.model.get_weights(), first, rtol=0)
    fit(wrapped(foreign), foreign, size=12, steps=2, epochs=1, run_eagerly=True)
    expected = [a + b + c for a, b, c in zip(first, *changes, strict=True)]
    assert_same(foreign.model.get_weights(), expected, rtol=1e-5, atol=1e-6)
    assert any((a != b).any() for a, b in zip(foreign.model.get_weights(), first, strict=True))


@models("keras_rs_basic_retrieval", "pooled_embedding", "hidden_vectors")
def test_xla_changes_nothing(make):
    results = []
    for jit in (False, True):
        foreign = make()
        history = fit(wrapped(foreign), foreign, jit_compile=jit)
        results.append((history, foreign.model.get_weights()))
    assert_same(*results, rtol=1e-4, atol=1e-5)


@with_xla("no")
def test_keras_says_that_text_is_not_for_xla(make):
    foreign = make()
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`. Proceeding"):
        history = fit(wrapped(foreign), foreign, epochs=1, jit_compile=True)
    assert history["adversarial_loss"][0] > history["loss"][0]


@with_xla("error")
def test_what_xla_cannot_compile_is_its_error(make):
    foreign = make()
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"):
        fit(wrapped(foreign), foreign, epochs=1, jit_compile=True)
