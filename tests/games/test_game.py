"""What every game does: who learns when, from what, and what is kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import data
from tfadvrec.games import Hinge, NonSaturating, Wasserstein, noise


def flat(network):
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


def batches(points, block=None, size=32):
    return data.rows({"x": points}, batch_size=size, seed=0, block=block)


def test_blocks_and_plain_batches_give_the_same_weights(make_game, plane):
    ends = []
    for block in (None, 5):
        loss = Wasserstein(r1=0.1)
        game = make_game(loss, discriminator_steps=2, instance_noise=0.1, feature_matching=0.1)
        game.run_eagerly = block is None
        game.fit(batches(plane[:320], block), epochs=2, verbose=0)
        ends.append(np.concatenate([flat(game.generator), flat(game.discriminator)]))
        assert int(game.turn) == 20
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-4)


def test_each_optimizer_knows_its_own_side_alone(make_game, plane):
    for block in (None, 2):
        game = make_game()
        game.fit(batches(plane[:64], block), verbose=0)
        for optimizer, variables in (
            (game.optimizer, game.discriminator_variables),
            (game.generator_optimizer, game.generator_variables),
        ):
            assert [id(v) for v in optimizer._trainable_variables] == [id(v) for v in variables]


def test_a_step_of_one_side_leaves_the_other_as_it_was(make_game, plane):
    game = make_game(Hinge(), discriminator_steps=3, network={"batch_norm": True})
    game.build_on({"x": plane[:32]})
    sides = [game.generator, game.discriminator]
    for turn in range(6):
        before = [flat(side) for side in sides]
        game.train_on({"x": tf.constant(plane[:32])})
        moved = [not np.array_equal(flat(s), b) for s, b in zip(sides, before, strict=True)]
        # the generator, batch statistics included, moves on every third batch only
        assert moved == [turn % 3 == 2, True]
    assert [int(game.generator_optimizer.iterations), int(game.optimizer.iterations)] == [2, 6]


def test_the_generator_may_take_several_steps_at_once(make_game, plane):
    game = make_game(generator_steps=4)
    game.fit(batches(plane), epochs=1, verbose=0)
    assert [int(game.generator_optimizer.iterations), int(game.optimizer.iterations)] == [64, 16]


def test_the_adversarial_gradient_of_the_generator_is_that_of_finite_differences(make_game, plane):
    game = make_game(NonSaturating())
    batch, seed = {"x": tf.constant(plane[:64])}, tf.constant([3, 4])
    game.build_on(batch)
    kernel = game.generator.trainable_variables[0]

    def loss():
        return game.generator_loss(batch, game.fake(batch, seed), seed)["adversarial"]

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, kernel.value).numpy()
    assert np.abs(gradient).max() > 1e-3
    start = kernel.numpy()
    for place in [(0, 0), (1, 5)]:
        found = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * 1e-2
            kernel.assign(moved)
            found.append(float(loss()))
        assert gradient[place] == pytest.approx((found[0] - found[1]) / 2e-2, abs=1e-3)
        kernel.assign(start)


def test_without_adversarial_weight_the_generator_trains_plainly(make_game, kinds, plane):
    game = make_game(NonSaturating(), kind=kinds["pulling"], adversarial_weight=0.0)
    start = game.generator.get_weights()
    judge = flat(game.discriminator)
    game.fit(batches(plane), epochs=1, verbose=0)
    game_weights = flat(game.generator)
    np.testing.assert_array_equal(flat(game.discriminator), judge)

    plain = make_game(NonSaturating(), kind=kinds["pulling"])
    plain.generator.set_weights(start)
    optimizer = keras.optimizers.Adam(1e-2)
    for turn in range(16):
        seed = noise.fold(noise.fold(noise.fold(tf.constant([0, turn]), 0), 11), 10)
        with tf.GradientTape() as tape:
            made = plain.generator(noise.normal_batch(seed, [32, 2]), training=True)
            loss = tf.reduce_mean(tf.square(made))
        variables = plain.generator.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    np.testing.assert_allclose(game_weights, flat(plain.generator), atol=1e-5)


def test_a_game_that_leaves_nothing_to_learn_says_so(make_game, plane):
    game = make_game(adversarial_weight=0.0)
    with pytest.raises(ValueError, match="adversarial_weight=0 leaves"):
        game.fit(batches(plane), verbose=0)


def test_weights_on_disk_keep_both_optimizers_and_the_turn(make_game, plane, tmp_path):
    path = tmp_path / "game.weights.h5"
    callback = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    whole = make_game(Wasserstein(), discriminator_steps=2)
    source = batches(plane)
    whole.fit(source, epochs=1, verbose=0, callbacks=[callback])
    again = make_game(Wasserstein(), discriminator_steps=2)
    again.build_on({"x": plane[:32]})
    again.load_weights(path)
    assert int(again.turn) == 16
    for one, other in (
        (whole.optimizer, again.optimizer),
        (whole.generator_optimizer, again.generator_optimizer),
    ):
        assert len(one.variables) == len(other.variables) > 4
        for a, b in zip(one.variables, other.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    more = batches(plane[:256])
    whole.fit(more, epochs=1, verbose=0)
    again.fit(batches(plane[:256]), epochs=1, verbose=0)
    np.testing.assert_allclose(flat(whole.generator), flat(again.generator), atol=1e-6)


def test_averages_take_the_generators_place_at_the_end(make_game, plane):
    game = make_game()
    game.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), "sgd")
    ends = []
    at_end = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(flat(game.generator))
    )
    game.fit(batches(plane), epochs=1, verbose=0, callbacks=[at_end])
    averages = np.concatenate(
        [v.numpy().ravel() for v in game.generator_optimizer._model_variables_moving_average]
    )
    np.testing.assert_array_equal(flat(game.generator), averages)
    assert np.abs(averages - ends[0]).max() > 1e-3
    with pytest.raises(ValueError, match="generator's optimizer only"):
        game.compile("adam", keras.optimizers.Adam(use_ema=True))


def test_clipping_bounds_every_weight_of_the_critic(make_game, plane):
    game = make_game(Wasserstein(gradient_penalty=0.0, clip=0.05))
    game.fit(batches(plane), epochs=1, verbose=0)
    assert np.abs(flat(game.discriminator)).max() <= np.float32(0.05)
    assert np.abs(flat(game.generator)).max() > 0.05


def test_a_packed_discriminator_sees_its_examples_side_by_side(make_game, plane):
    game = make_game(packing=4)
    example = tf.constant(plane[:8])
    np.testing.assert_array_equal(game.packed(example), plane[:8].reshape(2, 8))
    assert game.judge(example).shape == (2,)
    with pytest.raises(ValueError, match=r"packing 4 examples needs a batch.* 6 examples"):
        game.packed(example[:6])


def test_given_parts_of_an_example_are_never_disturbed(make_game, plane):
    game = make_game(instance_noise=1.0)
    game.conditions = ("c",)
    example = {"c": tf.ones([4, 1]), "x": tf.constant(plane[:4])}
    changed = game._disturbed(example, tf.constant([1, 1]))
    np.testing.assert_array_equal(changed["c"], np.ones((4, 1)))
    assert np.abs(changed["x"] - plane[:4]).min() > 0
    between = game.between(example, {**example, "x": tf.zeros([4, 2])}, tf.constant([1, 2]))
    np.testing.assert_array_equal(between["c"], np.ones((4, 1)))
    share = between["x"].numpy() / plane[:4]
    np.testing.assert_allclose(share[:, 0], share[:, 1], rtol=1e-5)
    assert ((share > 0) & (share < 1)).all()


def test_evaluation_changes_nothing(make_game, plane):
    game = make_game(NonSaturating(), network={"batch_norm": True})
    game.fit(batches(plane), epochs=1, verbose=0)
    before = flat(game.generator), flat(game.discriminator), int(game.turn)
    logs = game.evaluate(batches(plane), verbose=0, return_dict=True)
    assert {"generator_loss", "discriminator_loss", "accuracy_real"} <= set(logs)
    np.testing.assert_array_equal(before[0], flat(game.generator))
    np.testing.assert_array_equal(before[1], flat(game.discriminator))
    assert before[2] == int(game.turn)


def test_mixed_precision_trains_and_its_losses_stay_numbers(make_game, plane):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        game = make_game(Wasserstein())
        history = game.fit(batches(plane), epochs=2, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(game.generator_optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(game.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(history["gradient_penalty"]).all()
    assert float(game.optimizer.dynamic_scale) >= 1024  # the scale has not collapsed
    assert np.isfinite(flat(game.generator)).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps must be 1 or more"),
        ({"adversarial_weight": -0.1}, "adversarial_weight must be 0 or more"),
        ({"instance_noise": -1.0}, "instance_noise must be 0 or more"),
        ({"feature_matching": float("nan")}, "feature_matching must be 0 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make_game, bad, message):
    with pytest.raises(ValueError, match=message):
        make_game(**bad)


def test_an_uncompiled_game_says_what_to_do(kinds, plane):
    game = kinds["plane"](keras.Sequential(), keras.Sequential())
    with pytest.raises(ValueError, match=r"call compile\(\)"):
        game.fit(plane)
