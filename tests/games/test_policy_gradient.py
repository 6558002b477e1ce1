"""The game of IRGAN: what each side is given, what moves it, and what comes out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import MatrixFactorization
from tfadvrec.data import Interactions
from tfadvrec.evaluation import evaluate
from tfadvrec.games import policy
from tfadvrec.games.policy_gradient import PolicyGradientGame
from tfadvrec.serving import export

SEED = tf.constant([3, 4])


@pytest.fixture
def log():
    """Three users with 2, 1 and no interactions, one of them twice; four items."""
    return Interactions(
        user=np.array([0, 0, 1, 0], np.int32),
        item=np.array([2, 0, 3, 2], np.int32),
        user_ids=np.arange(3),
        item_ids=np.arange(4),
        name="three users",
    )


def game_for(
    log, *, generator_steps=1, adversarial_weight=1.0, rate=0.1, compiled=False, **options
):
    given = {"dimension": 4, "seed": 5, **options}
    game = PolicyGradientGame.for_log(log, **given)
    spread(game.generator, 1)
    spread(game.discriminator, 2)
    game.compile(
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(rate),
        adversarial_weight=adversarial_weight,
        run_eagerly=not compiled,
    )
    return game


def spread(model, seed):
    """Weights far from zero, so that nothing vanishes by smallness."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(random.normal(0, 0.7, weight.shape))


def batch_of(log, padding=0):
    game = PolicyGradientGame.for_log(log, dimension=1)
    whole = next(iter(game.batches(log, batch_size=2)))
    order = np.argsort(whole["user_id"])
    users, positives = whole["user_id"].numpy()[order], whole["positives"].numpy()[order]
    positives = np.pad(positives, ((0, 0), (0, padding)), constant_values=-1)
    return {"user_id": tf.constant(users), "positives": tf.constant(positives)}


def weights(model):
    return [weight.numpy() for weight in trained(model)]


def trained(model):
    """User vectors, item vectors, item biases."""
    tables = model.user_embedding.embeddings, model.item_embedding.embeddings
    return [weight.value for weight in (*tables, model.bias)]


def generator_gradient(game, batch, seed=SEED):
    with tf.GradientTape() as tape:
        loss = game.generator_loss(batch, game.fake(batch, seed), seed)["adversarial"]
    found = tape.gradient(loss, [*trained(game.generator), *trained(game.discriminator)])
    return [tf.convert_to_tensor(g) for g in found[:3]], found[3:]


def exact_scores_gradient(game, batch):
    """Gradient of minus the mean expected reward by NumPy, through the scores alone."""
    scores = game.generator.score_catalogue(batch["user_id"]).numpy().astype(np.float64)
    logits = game.discriminator.score_catalogue(batch["user_id"]).numpy().astype(np.float64)
    p = np.exp(scores / game.temperature)
    p /= p.sum(axis=1, keepdims=True)
    worth = p * (2 / (1 + np.exp(-logits)) - 1)
    return -(worth - p * worth.sum(axis=1, keepdims=True)) / game.temperature / len(scores)


# -- data -----------------------------------------------------------------------------------


def test_positives_are_padded_and_users_without_any_left_out(log):
    batch = batch_of(log)
    assert batch["user_id"].numpy().tolist() == [0, 1]
    assert batch["positives"].numpy().tolist() == [[0, 2], [3, -1]]


def test_batches_hold_every_user_once(blocks_log):
    game = PolicyGradientGame.for_log(blocks_log, dimension=2)
    seen = [batch["user_id"].numpy() for batch in game.batches(blocks_log, batch_size=4)]
    assert sorted(np.concatenate(seen)) == list(range(20))


# -- the generator --------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("reward_baseline", [True, False])
def test_with_enumeration_the_gradient_is_the_exact_policy_gradient(
    log, temperature, reward_baseline
):
    game = game_for(
        log, enumerate_items=True, temperature=temperature, reward_baseline=reward_baseline
    )
    batch = batch_of(log)
    users, items, bias = generator_gradient(game, batch)[0]
    exact = exact_scores_gradient(game, batch)
    p, q, _ = weights(game.generator)
    np.testing.assert_allclose(users.numpy()[:2], exact @ q, atol=1e-6)
    np.testing.assert_allclose(items.numpy(), exact.T @ p[:2], atol=1e-6)
    np.testing.assert_allclose(bias.numpy(), exact.sum(axis=0), atol=1e-6)
    assert np.abs(exact).max() > 1e-2


@pytest.mark.parametrize("reward_baseline", [True, False])
def test_draws_estimate_the_exact_policy_gradient(log, reward_baseline):
    """Many seeds, one step each: the mean bias gradient lies within what the draws explain."""
    game = game_for(log, temperature=0.7, reward_baseline=reward_baseline)
    batch = batch_of(log)
    many = 4_000
    copies = {key: tf.repeat(value, many, axis=0) for key, value in batch.items()}
    scores = tf.Variable(game.fake(copies, SEED))
    with tf.GradientTape() as tape:
        loss = game.generator_loss(copies, scores, SEED)["adversarial"]
    each = tape.gradient(loss, scores).numpy().astype(np.float64).reshape(2, many, 4) * many
    error = each.std(axis=1) / np.sqrt(many)
    gap = np.abs(each.mean(axis=1) - exact_scores_gradient(game, batch))
    assert (gap < 4 * error + 1e-7).all()


def test_the_generator_is_moved_and_the_reward_carries_no_gradient(log):
    of_generator, of_judge = generator_gradient(game_for(log), batch_of(log))
    assert all(np.abs(g.numpy()).max() > 1e-4 for g in of_generator)
    assert of_judge == [None, None, None]


def test_padding_contributes_nothing(log):
    """Without draws exactly; with draws the padded columns carry no weight."""
    game = game_for(log, enumerate_items=True)
    plain, padded = batch_of(log), batch_of(log, padding=3)
    found = [generator_gradient(game, batch)[0] for batch in (plain, padded)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    parts = [
        game.discriminator_loss(b, b["positives"], game.fake(b, SEED), SEED)["adversarial"]
        for b in (plain, padded)
    ]
    assert float(parts[0]) == pytest.approx(float(parts[1]), abs=1e-6)


def test_a_users_draws_are_as_many_as_twice_its_positives(log, monkeypatch):
    seen = {}
    original = policy.sampled_loss

    def spy(log_policy, proposed, reward, items, weight):
        seen["draws"] = weight.numpy().sum(axis=1).tolist()
        return original(log_policy, proposed, reward, items, weight)

    monkeypatch.setattr(policy, "sampled_loss", spy)
    generator_gradient(game_for(log), batch_of(log, padding=3))
    assert seen["draws"] == [4.0, 2.0]


# -- the discriminator ----------------------------------------------------------------------


def test_the_discriminators_loss_is_cross_entropy_of_positives_and_hard_negatives(log):
    game = game_for(log, enumerate_items=True, negative_temperature=0.3, uniform_negatives=0.25)
    batch = batch_of(log)
    found = game.discriminator_loss(batch, batch["positives"], game.fake(batch, SEED), SEED)
    scores = game.generator.score_catalogue([0, 1]).numpy()
    logits = game.discriminator.score_catalogue([0, 1]).numpy()
    q = 0.75 * tf.nn.softmax(scores / 0.3).numpy() + 0.25 / 4
    positives = [(0, 0), (0, 2), (1, 3)]
    expected = sum(np.log1p(np.exp(-logits[pair])) for pair in positives)
    expected += (np.array([[2.0], [1.0]]) * q * np.log1p(np.exp(logits))).sum()
    assert float(found["adversarial"]) == pytest.approx(expected / 3, abs=1e-5)


def test_drawn_negatives_give_the_enumerated_loss_on_average(log):
    batch = {key: tf.repeat(value, 100, axis=0) for key, value in batch_of(log).items()}
    exact = game_for(log, enumerate_items=True)
    drawn = game_for(log)
    fake = exact.fake(batch, SEED)
    wanted = float(exact.discriminator_loss(batch, batch["positives"], fake, SEED)["adversarial"])
    found = np.array(
        [
            float(drawn.discriminator_loss(batch, batch["positives"], fake, seed)["adversarial"])
            for seed in tf.unstack(tf.constant([[n, 1] for n in range(20)]))
        ]
    )
    assert abs(found.mean() - wanted) < 4 * found.std() / np.sqrt(20)


@pytest.mark.parametrize("enumerate_items", [True, False])
def test_a_step_of_one_side_leaves_the_other_alone(log, enumerate_items):
    game = game_for(log, enumerate_items=enumerate_items)
    game.build_on(batch_of(log))
    before = weights(game.generator), weights(game.discriminator)
    game._train_discriminator(batch_of(log), SEED)
    between = weights(game.discriminator)
    assert all((a == b).all() for a, b in zip(before[0], weights(game.generator), strict=True))
    assert all((a != b).any() for a, b in zip(before[1], between, strict=True))
    game._train_generator(batch_of(log), SEED)
    assert all((a == b).all() for a, b in zip(between, weights(game.discriminator), strict=True))
    assert all((a != b).any() for a, b in zip(before[0], weights(game.generator), strict=True))


# -- training -------------------------------------------------------------------------------


def test_the_game_learns_the_checkerboard(blocks_log):
    game = PolicyGradientGame.for_log(blocks_log, dimension=2, seed=0, regularization=0.01)
    rates = keras.optimizers.Adam(0.02), keras.optimizers.Adam(0.02)
    game.compile(*rates, discriminator_steps=2)
    data = game.batches(blocks_log, batch_size=5, seed=0, block=100)
    before = evaluate(game.product, blocks_log, held_out(blocks_log), k=(1,), metrics=["hr"])
    history = game.fit(data, epochs=40, verbose=0)
    after = evaluate(game.product, blocks_log, held_out(blocks_log), k=(1,), metrics=["hr"])
    assert before.means["hr@1"] < 0.5
    assert after.means["hr@1"] > 0.9
    assert np.isfinite(list(history.history.values())).all()


def held_out(log):
    """The one item of its own parity that each user of the checkerboard has not met."""
    everyone = np.arange(20, dtype=np.int32)
    return log.replace(user=everyone, item=everyone, time=None)


def test_blocks_and_plain_batches_give_the_same_weights(blocks_log):
    found = []
    for block in (None, 3):
        game = game_for(blocks_log, compiled=True, rate=0.02)
        game.run_eagerly = block is None
        data = game.batches(blocks_log, batch_size=5, seed=1, block=block)
        game.fit(data, epochs=2, verbose=0)
        found.append([*weights(game.generator), *weights(game.discriminator)])
    for plain, blocked in zip(*found, strict=True):
        np.testing.assert_allclose(plain, blocked, atol=1e-5)


def test_a_batch_of_one_user_works(log):
    game = game_for(log)
    before = weights(game.generator)
    history = game.fit(game.batches(log, batch_size=1), epochs=2, verbose=0)
    assert np.isfinite(list(history.history.values())).all()
    assert any((a != b).any() for a, b in zip(before, weights(game.generator), strict=True))


def test_without_the_adversary_it_is_softmax_training(log):
    """Weight 0: the discriminator stays, the generator takes the likelihood's own SGD step."""
    game = game_for(log, adversarial_weight=0.0, likelihood=1.0, temperature=0.5)
    twin = MatrixFactorization(n_users=3, n_items=4, dimension=4, item_bias=True)
    twin.set_weights(game.generator.get_weights())
    judge = weights(game.discriminator)
    game.fit(game.batches(log, batch_size=2), epochs=1, verbose=0)
    users, items = tf.constant([0, 0, 1]), tf.constant([0, 2, 3])
    with tf.GradientTape() as tape:
        every = tf.nn.log_softmax(twin.score_catalogue(users) / 0.5)
        loss = -tf.reduce_mean(tf.gather(every, items, batch_dims=1))
    slopes = tape.gradient(loss, trained(twin))
    for weight, slope, found in zip(weights(twin), slopes, weights(game.generator), strict=True):
        expected = weight - 0.1 * tf.convert_to_tensor(slope).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert all((a == b).all() for a, b in zip(judge, weights(game.discriminator), strict=True))


def test_the_adversary_makes_a_difference_to_the_same_training(log):
    found = []
    for weight in (0.0, 1.0):
        game = game_for(log, adversarial_weight=weight, likelihood=1.0)
        game.fit(game.batches(log, batch_size=2), epochs=1, verbose=0)
        found.append(weights(game.generator)[0])
    assert np.abs(found[0] - found[1]).max() > 1e-3


# -- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"negative_temperature": -1.0}, "negative_temperature"),
        ({"samples": 0}, "samples"),
        ({"positive_share": 1.5}, "positive_share"),
        ({"uniform_negatives": -0.1}, "uniform_negatives"),
        ({"likelihood": -1.0}, "likelihood"),
        ({"regularization": (0.1, -0.1)}, "regularization"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(log, settings, word):
    with pytest.raises(ValueError, match=word):
        PolicyGradientGame.for_log(log, dimension=2, **settings)


def test_sides_of_different_catalogues_are_refused(log):
    other = MatrixFactorization(n_users=3, n_items=5, dimension=2)
    with pytest.raises(ValueError, match=r"same users and items.*\(3, 5\)"):
        PolicyGradientGame.for_log(log, other)


def test_what_the_monitor_sees_are_items_that_the_policy_draws(log):
    game = game_for(log)
    game.generator.user_embedding.embeddings.assign(np.zeros((3, 4)))
    game.generator.bias.assign([0.0, 30.0, 0.0, 30.0])
    seen = game.observe(4_000, seed=1)
    assert seen.n_items == 4
    assert seen.counts[[0, 2]].tolist() == [0, 0]
    assert abs(seen.counts[1] - 2_000) < 4 * np.sqrt(1_000)


# -- the product ----------------------------------------------------------------------------


def test_the_product_is_a_plain_factorisation_that_is_saved_and_served(blocks_log, tmp_path):
    game = PolicyGradientGame.for_log(blocks_log, dimension=4, seed=0)
    assert type(game.product) is MatrixFactorization
    game.product.save_to_preset(tmp_path / "preset")
    again = MatrixFactorization.from_preset(str(tmp_path / "preset"))
    users = np.arange(20)
    wanted = game.product.score_catalogue(users).numpy()
    np.testing.assert_array_equal(again.score_catalogue(users).numpy(), wanted)
    assert again.user_ids.tolist() == blocks_log.user_ids.tolist()
    report = export(game.product, tmp_path / "served")
    assert report.verified
