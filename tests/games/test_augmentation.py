"""The conditional augmentation game: valid triples, a gradient, and nothing of the test in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions, leave_last_out, synthetic
from tfadvrec.games.augmentation import AugmentationGame, classes_of
from tfadvrec.models.conditional_item_generator import ConditionalItemGenerator


def tastes(n_users=40, n_items=12):
    """Liked are items of the user's own parity, disliked the others."""
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    kept = np.random.default_rng(0).random(len(user)) < 0.6
    liked = (user + item) % 2 == 0
    return Interactions(
        user=user[kept].astype(np.int32),
        item=item[kept].astype(np.int32),
        rating=np.where(liked, 5.0, 2.0)[kept],
        user_ids=np.arange(n_users),
        item_ids=np.arange(n_items),
        real=False,
    )


@pytest.fixture(scope="module")
def game():
    made = AugmentationGame.for_log(tastes(), likelihood=0.0)
    made.compile("adam", "adam", jit_compile=False)
    return made


def batch_of(game, log, size=32):
    return next(iter(game.batches(log, batch_size=size)))


def test_samples_are_one_hot_rows_of_the_batchs_users_and_classes(game):
    batch = batch_of(game, tastes())
    made = game.fake(batch, tf.constant([0, 1]))
    np.testing.assert_allclose(made["item"].numpy().max(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(made["item"].numpy().sum(axis=1), 1.0, atol=1e-5)
    for key in ("user_id", "class"):
        np.testing.assert_array_equal(made[key], batch[key])
    other = game.fake(batch, tf.constant([0, 2]))["item"].numpy()
    assert (other.argmax(axis=1) != made["item"].numpy().argmax(axis=1)).mean() > 0.5


def test_the_generators_adversarial_gradient_is_not_zero(game):
    batch = batch_of(game, tastes())
    with tf.GradientTape() as tape:
        fake = game.fake(batch, tf.constant([0, 1]))
        loss = game.generator_loss(batch, fake, tf.constant([0, 3]))["adversarial"]
    variables = game.generator_variables
    gradients = tape.gradient(loss, [v.value for v in variables])
    norms = {
        v.path.split("/")[-2] + "/" + v.name: float(tf.norm(tf.convert_to_tensor(g)))
        for v, g in zip(variables, gradients, strict=True)
    }
    assert min(norms.values()) > 0, norms


def test_real_examples_are_the_interactions_themselves(game):
    log = tastes()
    batch = batch_of(game, log)
    real = game.real(batch, None)
    taken = log.csr().toarray()
    assert (taken[batch["user_id"].numpy(), real["item"].numpy().argmax(axis=1)] == 1).all()


def test_without_a_game_it_learns_who_likes_what():
    log = tastes()
    game = AugmentationGame.for_log(log, likelihood=1.0, dimension=8, generator={"hidden": [16]})
    game.compile(keras.optimizers.Adam(0.02), "adam", adversarial_weight=0.0, jit_compile=False)
    game.fit(game.batches(log, batch_size=64), epochs=40, verbose=0)
    generator = game.product
    users, none = np.arange(40), np.zeros((40, 8), np.float32)
    for kind, wanted in ((1, 0), (0, 1)):
        logits = generator.logits(users, np.full(40, kind), none).numpy()
        parity = (users + logits.argmax(axis=1)) % 2
        assert (parity == wanted).mean() > 0.9
    chosen = generator.log_weights(users).argmax(axis=1)
    assert ((users + chosen) % 2 == 0).mean() > 0.9


def test_the_game_teaches_the_classes_without_any_likelihood():
    log = tastes()
    game = AugmentationGame.for_log(log, dimension=8, generator={"hidden": [16]}, seed=1)
    rates = (keras.optimizers.Adam(0.01, beta_1=0.5), keras.optimizers.Adam(0.01, beta_1=0.5))
    game.compile(*rates, jit_compile=False)
    history = game.fit(game.batches(log, batch_size=128), epochs=120, verbose=0)
    assert {"generator_loss", "discriminator_loss", "accuracy_fake"} <= set(history.history)
    weight = np.exp(game.product.log_weights(np.arange(40)))
    own = np.add.outer(np.arange(40), np.arange(12)) % 2 == 0
    assert weight[own].sum() / 40 > 0.75  # 0.5 is chance


def test_the_game_is_given_training_rows_only():
    split = leave_last_out(synthetic(60, 40, n_interactions=900))
    game = AugmentationGame.for_log(split.train)
    seen = set()
    for batch in game.batches(split.train, batch_size=16):
        pairs = zip(batch["user_id"].numpy(), batch["item_id"].numpy(), strict=True)
        seen |= {(int(user), int(item)) for user, item in pairs}
    held = {
        (int(user), int(item))
        for part in (split.validation, split.test)
        for user, item in zip(part.user, part.item, strict=True)
    }
    assert seen
    assert not seen & held


def test_a_log_without_ratings_has_one_class():
    log = Interactions.from_arrays([1, 1, 2], [7, 8, 9])
    game = AugmentationGame.for_log(log)
    assert game.product.classes == 1
    assert set(next(iter(game.batches(log, batch_size=3)))["class"].numpy()) == {0}
    assert classes_of(tastes()).max() == 1


def test_the_generator_is_a_recommender_with_one_truth():
    generator = ConditionalItemGenerator(n_users=5, n_items=7, dimension=4, seed=2)
    generator.bias.assign(np.arange(7.0))
    users = np.array([0, 3])
    whole = generator.score_catalogue(users).numpy()
    picked = generator({"user_id": users, "item_id": np.array([[1, 6], [0, 2]])}).numpy()
    np.testing.assert_allclose(picked, [whole[0, [1, 6]], whole[1, [0, 2]]], rtol=1e-5)
    every = generator({"user_id": users, "item_id": np.arange(7)}).numpy()
    np.testing.assert_allclose(every, whole, rtol=1e-5)
    logits = generator.logits(users, np.ones(2, int), np.zeros((2, 8), np.float32))
    np.testing.assert_allclose(logits, whole, rtol=1e-5)
    again = ConditionalItemGenerator.from_config(generator.get_config())
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again.score_catalogue(users), whole)


def test_what_is_out_of_range_is_refused():
    generator = ConditionalItemGenerator(n_users=2, n_items=3)
    with pytest.raises(ValueError, match="likelihood is 0 or more"):
        AugmentationGame(generator, keras.Sequential(), likelihood=-1.0)
    with pytest.raises(ValueError, match="classes, dimension and hidden widths"):
        ConditionalItemGenerator(n_users=2, n_items=3, classes=0)


def test_the_health_monitor_sees_as_many_items_as_it_asks_for(game):
    seen = game.observe(300, seed=1)
    assert seen.counts.sum() == 300
