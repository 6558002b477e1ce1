"""CFGAN's terms one by one against what they must be, and the game on a checkerboard."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.games import Wasserstein
from tfadvrec.games.collaborative import CollaborativeGame
from tfadvrec.models.collaborative_generator import CollaborativeGenerator

SEED = tf.constant([3, 4], tf.int32)
ALONE = {"alpha": 0.0, "generator_l2": 0.0}  # the adversary's term and nothing else


def random_log(n_users=12, n_items=10, share=0.35):
    matrix = np.random.default_rng(0).random((n_users, n_items)) < share
    matrix[0] = matrix[:, 0] = True  # nobody and nothing is without interactions
    user, item = np.nonzero(matrix)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        user_ids=np.arange(n_users),
        item_ids=np.arange(n_items),
    )


def tiny(optimizers=("sgd", "sgd"), *, compiled=None, **settings):
    log = random_log()
    settings = {"hidden": [5], "discriminator": [4], "seed": 1, **settings}
    game = CollaborativeGame.for_log(log, **settings)
    game.compile(*optimizers, **(compiled or {}))
    batch = next(iter(game.batches(log, batch_size=8)))
    game.build_on(batch)
    return game, log, batch


def values(variables):
    return [variable.numpy() for variable in variables]


# -- the adversary's gradient -------------------------------------------------------------


@pytest.mark.parametrize("method", ["zr", "pm", "zp"])
@pytest.mark.parametrize("side", ["item", "user"])
def test_adversary_alone_moves_every_weight_of_the_generator(side, method):
    game, _, batch = tiny(side=side, method=method, **ALONE)
    with tf.GradientTape() as tape:
        loss = game._generator_parts(batch, SEED)
    weights = [variable.value for variable in game.generator_variables]
    for gradient in tape.gradient(loss, weights):
        assert np.abs(gradient.numpy()).max() > 1e-7


@pytest.mark.parametrize("method", ["zr", "zp"])
def test_nothing_passes_the_mask_where_it_is_closed(method):
    game, _, batch = tiny(method=method, open_share=0.5, **ALONE)
    with tf.GradientTape() as tape:
        fake = game.fake(batch, SEED)
        loss = game.generator_loss(batch, fake, SEED)["adversarial"]
    reached = tape.gradient(loss, fake["whole"]).numpy() != 0
    observed = batch[1].numpy() == 1
    shown = fake["profile"].numpy() != 0
    np.testing.assert_array_equal(reached, shown)
    assert reached[observed].all()
    share = reached[~observed].mean()
    assert share == 0 if method == "zr" else 0.25 < share < 0.75


def test_discriminator_sees_the_row_twice_or_the_row_and_its_rebuild():
    game, _, batch = tiny(method="zr", packing=2)
    real, fake = game.real(batch, SEED), game.fake(batch, SEED)
    width = 12
    seen = game.packed(real).numpy().reshape(4, 2, 2, width)
    np.testing.assert_array_equal(seen[:, 0], batch[1].numpy().reshape(4, 2, width))
    np.testing.assert_array_equal(seen[:, 1], batch[1].numpy().reshape(4, 2, width))
    seen = game.packed(fake).numpy().reshape(4, 2, 2, width)
    np.testing.assert_array_equal(seen[:, 0], batch[1].numpy().reshape(4, 2, width))
    rebuilt = game.generator.rebuild(batch[1]).numpy() * batch[1].numpy()
    np.testing.assert_allclose(seen[:, 1].reshape(8, width), rebuilt, rtol=1e-6)


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_gradients_are_those_of_finite_differences(side):
    game, _, batch = tiny(
        reconstruction=0.3, alpha=0.2, corruption=0.2, generator_l2=0.1, discriminator_l2=0.1
    )
    parts = getattr(game, f"_{side}_parts")
    variables = getattr(game, f"{side}_variables")
    with tf.GradientTape() as tape:
        loss = parts(batch, SEED)
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    step, random = 1e-2, np.random.default_rng(5)
    for variable, gradient in zip(variables, gradients, strict=True):
        at, direction = variable.numpy(), random.normal(size=variable.shape).astype(np.float32)
        ends = []
        for sign in (1, -1):
            variable.assign(at + sign * step * direction)
            ends.append(float(parts(batch, SEED)))
        variable.assign(at)
        slope = (ends[0] - ends[1]) / (2 * step)
        expected = float(np.sum(gradient.numpy() * direction))
        assert slope == pytest.approx(expected, rel=1e-2, abs=1e-3)


# -- draws --------------------------------------------------------------------------------


def test_shares_hold_on_average_and_spare_what_was_observed():
    profile = tf.constant(np.random.default_rng(0).random((200, 300)) < 0.1, tf.float32)
    free = profile.numpy() == 0
    for share in (0.0, 0.3, 0.7, 1.0):
        drawn = CollaborativeGame.drawn_unobserved(profile, share, SEED).numpy()
        assert drawn[~free].sum() == 0
        spread = np.sqrt(share * (1 - share) / free.sum())
        assert abs(drawn[free].mean() - share) <= 4 * spread


def test_what_is_pulled_and_what_is_opened_are_drawn_independently():
    log = random_log(60, 50)
    game = CollaborativeGame.for_log(log, zero_share=0.5, open_share=0.5, alpha=1.0, hidden=[3])
    game.compile()
    batch = next(iter(game.batches(log, batch_size=50)))
    seeds = [tf.constant([7, step], tf.int32) for step in range(2)]
    pulled, opened = [], []
    for seed in seeds:
        with tf.GradientTape() as tape:
            fake = game.fake(batch, seed)
            zeros = game.generator_penalty(batch, fake, seed)["zero_reconstruction"]
        pulled.append(tape.gradient(zeros, fake["whole"]).numpy() != 0)
        opened.append((fake["profile"].numpy() != 0) & (batch[1].numpy() == 0))
    free = batch[1].numpy() == 0
    bound = 4 / np.sqrt(free.sum())
    draws = [pulled[0], opened[0], pulled[1], opened[1]]
    for first in range(4):
        for second in range(first):
            pair = np.corrcoef(draws[first][free], draws[second][free])
            assert abs(pair[0, 1]) < bound


def test_zero_reconstruction_is_the_squares_of_a_share_of_the_unobserved():
    game, _, batch = tiny(zero_share=1.0, alpha=0.5)
    fake = game.fake(batch, SEED)
    term = game.generator_penalty(batch, fake, SEED)["zero_reconstruction"]
    free, whole = batch[1].numpy() == 0, fake["whole"].numpy()
    assert float(term) == pytest.approx(0.5 * (whole**2 * free).sum(axis=1).mean(), rel=1e-5)


def test_zero_reconstruction_pulls_the_unobserved_to_zero():
    game, log, _ = tiny(
        (keras.optimizers.Adam(0.05), "adam"), compiled={"jit_compile": False}, alpha=1.0
    )
    game.generator.network.out.bias.assign(np.ones(12, np.float32))
    free = log.csr().toarray() == 0
    before = np.abs(catalogue_of(game)[free]).mean()
    game.fit(game.batches(log, batch_size=10).repeat(60), verbose=0)
    assert np.abs(catalogue_of(game)[free]).mean() < 0.1 < 0.5 < before


@pytest.mark.parametrize(("method", "terms"), [("zr", True), ("pm", False), ("zp", True)])
def test_partial_masking_alone_has_no_zero_reconstruction(method, terms):
    game, _, batch = tiny(method=method, generator_l2=0.0)
    found = game.generator_penalty(batch, game.fake(batch, SEED), SEED)
    assert ("zero_reconstruction" in found) == terms


# -- reductions ---------------------------------------------------------------------------


def test_without_the_adversary_it_is_a_plain_autoencoder():
    settings = {"zero_share": 1.0, "alpha": 0.2, "reconstruction": 1.0, "generator_l2": 0.01}
    game, log, _ = tiny(
        (keras.optimizers.Adam(0.01), "adam"), compiled={"adversarial_weight": 0.0}, **settings
    )
    twin = CollaborativeGenerator(n_users=12, n_items=10, hidden=[5], seed=0)
    for mine, theirs in zip(twin.weights, game.generator.weights, strict=True):
        mine.assign(theirs)
    judge, optimizer = values(game.discriminator_variables), keras.optimizers.Adam(0.01)
    optimizer.build(twin.trainable_variables)
    for _, rows in [next(iter(game.batches(log, batch_size=10)))] * 3:
        with tf.GradientTape() as tape:
            weight = tf.where(rows > 0, 1.0, 0.2)
            rebuilt = twin({"profile": rows})
            loss = tf.reduce_mean(tf.reduce_sum(weight * tf.square(rebuilt - rows), axis=1))
            kernels = [twin.network.kernels["profile"].value, twin.network.out.kernel.value]
            loss += 0.005 * tf.add_n([tf.reduce_sum(tf.square(k)) for k in kernels])
        gradients = tape.gradient(loss, [v.value for v in twin.trainable_variables])
        optimizer.apply_gradients(zip(gradients, twin.trainable_variables, strict=True))
    game.fit(game.batches(log, batch_size=10), epochs=3, verbose=0)  # all ten items a batch
    for mine, theirs in zip(twin.weights, game.generator.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    for before, after in zip(judge, values(game.discriminator_variables), strict=True):
        np.testing.assert_array_equal(before, after)


def test_blocks_train_as_plain_batches_do():
    found = []
    for block in (None, 2):
        game, log, _ = tiny(
            (keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)),
            compiled={"generator_steps": 2},
            corruption=0.2,
            noise=2,
        )
        game.run_eagerly = block is None
        game.fit(game.batches(log, batch_size=3, seed=2, block=block), epochs=2, verbose=0)
        found.append(values(game.generator_variables + game.discriminator_variables))
    for plain, blocked in zip(*found, strict=True):
        np.testing.assert_allclose(plain, blocked, rtol=1e-4, atol=1e-5)


def test_corruption_hides_inputs_and_no_targets():
    game, _, batch = tiny(corruption=0.5, method="zr")
    fake, profile = game.fake(batch, SEED), batch[1].numpy()
    np.testing.assert_array_equal(fake["condition"], profile)
    assert (fake["profile"].numpy() != 0).sum() == profile.sum()
    seen = game._corrupted(batch[1], SEED).numpy()
    assert set(np.unique(seen)) == {0.0, 2.0}
    assert not seen[profile == 0].any()
    assert 0.2 < (seen > 0).sum() / profile.sum() < 0.8


# -- variants -----------------------------------------------------------------------------


def test_gradient_penalty_interpolates_rows_and_leaves_conditions_alone():
    game, _, batch = tiny(compiled={"loss": Wasserstein()}, condition="both")
    real, fake = game.real(batch, SEED), game.fake(batch, SEED)
    between = game.between(real, fake, SEED)
    np.testing.assert_array_equal(between["condition"], real["condition"])
    assert between["condition"].shape == (8, 12 + 10)
    low = np.minimum(real["profile"], fake["profile"]) - 1e-6
    high = np.maximum(real["profile"], fake["profile"]) + 1e-6
    inside = between["profile"].numpy()
    assert ((low <= inside) & (inside <= high)).all()
    assert np.abs(inside - real["profile"]).max() > 1e-2


def test_wasserstein_with_noise_and_row_numbers_trains():
    game, log, _ = tiny(
        ("adam", "adam"), compiled={"loss": Wasserstein()}, condition="row", noise=3
    )
    before = catalogue_of(game)
    history = game.fit(game.batches(log, batch_size=5), epochs=2, verbose=0).history
    assert np.isfinite([history["critic_gap"], history["gradient_penalty"]]).all()
    assert np.abs(catalogue_of(game) - before).max() > 1e-5


def catalogue_of(game):
    return game.product.score_catalogue(np.arange(12)).numpy()


@pytest.mark.parametrize("side", ["item", "user"])
def test_checkerboard_gives_the_one_item_of_the_own_parity_that_is_left(blocks_log, side):
    game = CollaborativeGame.for_log(
        blocks_log, side=side, hidden=[16], discriminator=[16], generator_l2=1e-3
    )
    rates = (keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2))
    game.compile(*rates, generator_steps=2, jit_compile=False)
    game.fit(game.batches(blocks_log, batch_size=20).repeat(250), verbose=0)
    ids, _ = game.product.recommend(blocks_log.user_ids, k=1, exclude=blocks_log)
    assert ids[:, 0].tolist() == blocks_log.item_ids.tolist()  # item u for user u


def test_observation_has_users_with_their_real_lengths(blocks_log):
    game = CollaborativeGame.for_log(blocks_log, hidden=[4])
    seen = game.observe(7, seed=1)
    assert seen.profiles.shape == (7, 20)
    np.testing.assert_array_equal(np.asarray(seen.profiles.sum(axis=1)).ravel(), np.full(7, 9))
    assert game.observe(1_000).profiles.shape == (20, 20)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "pz"}, "method must be one of"),
        ({"zero_share": 1.2}, "shares must be in"),
        ({"corruption": 1.0}, "corruption in"),
        ({"alpha": -0.1}, "must be 0 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        CollaborativeGame.for_log(random_log(), **settings)
