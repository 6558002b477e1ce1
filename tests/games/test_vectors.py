"""The game of plain vectors and the profiles of logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import DataError, Interactions
from tfadvrec.games.losses import NonSaturating
from tfadvrec.games.networks import dense
from tfadvrec.games.profiles import Profiles
from tfadvrec.games.vectors import VectorGame


def small_game(*, latent=4, width=2, seed=0):
    generator = dense([16], out=width, input_width=latent, seed=seed)
    return VectorGame(generator, dense([16], out=1, input_width=width), latent=latent, seed=seed)


def rated_log():
    return Interactions.from_arrays(
        ["ann", "ann", "bob", "cy"], ["jam", "tea", "tea", "jam"], rating=[1.0, 5.0, 3.0, 5.0]
    )


def test_a_generated_row_depends_on_seed_and_place_alone():
    game = small_game()
    whole, part = game.generate(7, seed=3), game.generate(3, seed=3)
    np.testing.assert_allclose(whole[:3], part, rtol=1e-6)
    np.testing.assert_allclose(game.generate(7, seed=3, chunk=2), whole, rtol=1e-5)
    assert np.abs(game.generate(7, seed=4) - whole).max() > 1e-3
    assert len(np.unique(whole, axis=0)) == 7
    assert game.generate(0).shape == (0, 2)


def test_the_game_moves_a_cloud_to_where_the_points_are():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(512, 2)) * 0.3 + [2.0, -1.0]).astype(np.float32)
    game = small_game()
    adam = {"beta_1": 0.5, "learning_rate": 5e-3}
    game.compile(keras.optimizers.Adam(**adam), keras.optimizers.Adam(**adam), NonSaturating(r1=1))
    before = np.linalg.norm(game.generate(256).mean(axis=0) - [2.0, -1.0])
    game.fit(game.batches(points, batch_size=64), epochs=25, verbose=0)
    after = np.linalg.norm(game.generate(256).mean(axis=0) - [2.0, -1.0])
    assert before > 1.5
    assert after < 0.5


def test_profiles_are_what_the_log_says_and_come_back():
    profiles = Profiles.of(rated_log())
    third = 2 / 3
    np.testing.assert_allclose(profiles.x, [[-third / 2, 1], [-1, third / 2], [1, -1]], atol=1e-6)
    np.testing.assert_array_equal(profiles.ratings(profiles.x), [[1, 5], [0, 3], [5, 0]])
    near = profiles.x + np.array([[0.3, -0.3]])
    np.testing.assert_array_equal(profiles.ratings(near), profiles.ratings(profiles.x))


def test_profiles_of_items_have_a_row_an_item_and_leave_the_rare_out():
    profiles = Profiles.of(rated_log(), side="item", minimum=2)
    np.testing.assert_array_equal(profiles.ratings(profiles.x), [[1, 0, 5], [5, 3, 0]])
    assert profiles.rows.tolist() == [0, 1]
    only = Profiles.of(rated_log(), side="user", minimum=2)
    assert only.rows.tolist() == [0]


def test_profiles_without_ratings_are_taken_or_not():
    log = Interactions.from_arrays([1, 1, 2], [7, 8, 8])
    profiles = Profiles.of(log)
    np.testing.assert_array_equal(profiles.x, [[1, 1], [-1, 1]])
    np.testing.assert_array_equal(profiles.ratings([[0.2, -0.2]]), [[1, 0]])


def test_what_is_no_profile_is_refused():
    many = Interactions.from_arrays(np.arange(30), np.arange(30) % 2, rating=np.linspace(1, 9, 30))
    with pytest.raises(DataError, match="30, from 1 to 9"):
        Profiles.of(many)
    zero = Interactions.from_arrays([1, 2], [7, 8], rating=[0.0, 1.0])
    with pytest.raises(DataError, match="above 0"):
        Profiles.of(zero)
    with pytest.raises(DataError, match="9 interactions"):
        Profiles.of(rated_log(), minimum=9)
    with pytest.raises(ValueError, match="side"):
        Profiles.of(rated_log(), side="film")


def test_for_log_makes_networks_of_the_profiles_width():
    log = rated_log()
    users = VectorGame.for_log(log, latent=3, generator=[4], discriminator=[4])
    items = VectorGame.for_log(log, side="item", latent=3, generator=[4], discriminator=[4])
    assert users.generate(5).shape == (5, 2)
    assert items.generate(5).shape == (5, 3)
    assert np.abs(items.generate(5)).max() <= 1
    batch = next(iter(users.batches(log, batch_size=3)))
    np.testing.assert_array_equal(np.sort(batch["x"], axis=0), np.sort(users.profiles.x, axis=0))


def test_the_monitor_sees_ratings_of_users_and_of_items():
    users = VectorGame.for_log(rated_log(), generator=[4], discriminator=[4])
    seen = users.observe(6, seed=1)
    assert seen.profiles.shape == (6, 2)
    assert seen.n_items == 2
    np.testing.assert_array_equal(
        seen.profiles.toarray(), users.profiles.ratings(users.generate(6, seed=1))
    )
    items = VectorGame.for_log(rated_log(), side="item", generator=[4], discriminator=[4])
    assert items.observe(4).side == "item"
    assert small_game().observe(5).profiles.shape == (5, 2)


def test_the_generators_step_has_a_gradient_and_leaves_the_discriminator_alone():
    game = small_game()
    game.compile("adam", "adam")
    points = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    game.build_on({"x": tf.constant(points)})
    before = [w.numpy().copy() for w in game.discriminator.weights]
    with tf.GradientTape() as tape:
        fake = game.fake({"x": tf.constant(points)}, tf.constant([0, 1]))
        loss = game.generator_loss({"x": points}, fake, tf.constant([0, 1]))["adversarial"]
    gradients = tape.gradient(loss, [v.value for v in game.generator.trainable_variables])
    assert all(float(tf.norm(g)) > 1e-6 for g in gradients)
    start = [w.numpy().copy() for w in game.generator.weights]
    game._train_generator({"x": tf.constant(points)}, tf.constant([0, 1]))
    for weight, value in zip(game.discriminator.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert any(
        np.abs(w.numpy() - v).max() > 1e-5
        for w, v in zip(game.generator.weights, start, strict=True)
    )
