"""The cold-start game: its three terms, its twin without a game, and what it never sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions
from tfadvrec.games.cold_start import ColdStartGame
from tfadvrec.games.losses import Hinge, LeastSquares, NonSaturating, Wasserstein
from tfadvrec.models import PureSVD
from tfadvrec.models.attribute_recommender import AttributeRecommender

USERS, ITEMS, NEW = 12, 16, 4
SEED = tf.constant([3, 4])
KINDS = np.array(["war", "love"])


@pytest.fixture(scope="module")
def log():
    """Even users take even items, odd ones odd items; the last items are new."""
    user, item = np.nonzero(np.add.outer(np.arange(USERS), np.arange(ITEMS)) % 2 == 0)
    kept = (item < ITEMS - NEW) & (user != item)
    return Interactions(
        user=user[kept].astype(np.int32),
        item=item[kept].astype(np.int32),
        user_ids=np.arange(USERS),
        item_ids=np.arange(ITEMS),
        item_features={"kind": KINDS[np.arange(ITEMS) % 2]},
    )


@pytest.fixture(scope="module")
def known(log):
    return PureSVD(n_users=USERS, n_items=ITEMS, rank=2).fit(log)


def game(log, known, *, noise=2, loss=None, weight=1.0, **settings):
    model = AttributeRecommender.for_log(
        log, known, hidden=[8], code_dimension=4, noise_dimension=noise, seed=0
    )
    made = ColdStartGame.for_log(log, model, width=4, discriminator=[8], seed=2, **settings)
    made.compile(
        keras.optimizers.Adam(0.01),
        keras.optimizers.Adam(0.01),
        loss=loss,
        adversarial_weight=weight,
    )
    return made


def batch(rows):
    return {"item_id": tf.constant(rows, tf.int32)}


@pytest.mark.parametrize("real", ["own", "adopter"])
def test_training_never_sees_a_new_item(log, known, real):
    made = game(log, known, real=real)
    everything = np.concatenate([b["item_id"] for b in made.batches(log, batch_size=4).repeat(3)])
    assert set(everything.tolist()) == set(range(ITEMS - NEW))
    if real == "own":
        assert not np.any(made.generator.own_vectors.numpy()[-NEW:])


def test_own_vectors_are_real_and_those_of_other_rows_wrong(log, known):
    made = game(log, known)
    table = made.generator.item_vectors.numpy()
    table = (table + np.arange(ITEMS)[:, None]).astype(np.float32)  # told apart
    made.generator.item_vectors.assign(table)
    rows = np.arange(6)
    np.testing.assert_array_equal(made.real(batch(rows), SEED)["vector"], table[:6])
    for seed in range(20):
        wrong = np.asarray(made.wrong_pairs(batch(rows), tf.constant([seed, 1]))["vector"])
        shifts = [k for k in range(1, 6) if np.array_equal(wrong, np.roll(table[:6], k, axis=0))]
        assert len(shifts) == 1


def test_adopters_are_real_and_only_others_are_wrong(log, known):
    made = game(log, known, real="adopter")
    users = made.generator.user_vectors.numpy() + 1e-3 * np.arange(USERS)[:, None]
    made.generator.user_vectors.assign(users)  # told apart
    taken = log.csr().toarray() > 0
    rows, met = np.repeat(np.arange(ITEMS - NEW), 40), {True: set(), False: set()}
    for kind, found in ((True, made.real), (False, made.wrong_pairs)):
        vectors = np.asarray(found(batch(rows), SEED)["vector"])
        who = np.argmin(np.abs(vectors[:, None] - users[None]).sum(axis=-1), axis=1)
        assert (taken[who, rows] == kind).all()
        met[kind] = set(zip(who.tolist(), rows.tolist(), strict=True))
    assert met[True] == set(zip(*map(list, np.nonzero(taken)), strict=True))  # every adopter


@pytest.mark.parametrize("real", ["own", "adopter"])
@pytest.mark.parametrize("loss", [NonSaturating(), LeastSquares(), Hinge(), Wasserstein()])
def test_each_term_of_the_discriminator_has_a_gradient(log, known, real, loss):
    made = game(log, known, real=real, loss=loss)
    rows = batch(np.arange(8))
    variables = [v.value for v in made.discriminator_variables]
    with tf.GradientTape(persistent=True) as tape:
        pairs = [made.judge(f(rows, SEED)) for f in (made.real, made.fake, made.wrong_pairs)]
        none = tf.zeros_like(pairs[0])
        terms = [
            loss.discriminator(pairs[0], none),
            loss.discriminator(none, pairs[1]),
            sum(made.discriminator_penalty(rows, {}, {}, SEED).values()),
        ]
    for term in terms:
        gradients = [g for g in tape.gradient(term, variables) if g is not None]
        assert float(tf.linalg.global_norm(gradients)) > 1e-6


def test_the_third_term_is_that_of_lara(log, known):
    made = game(log, known, wrong=0.5)
    pairs = made.real(batch(np.arange(8)), SEED)
    made.wrong_pairs = lambda batch, seed: pairs
    logits = made.judge(pairs)
    by_hand = 0.5 * (-np.log(1 - tf.sigmoid(logits).numpy()).mean() - np.log(2))
    found = made.discriminator_penalty(batch(np.arange(8)), {}, {}, SEED)["wrong_pairs"]
    assert float(found) == pytest.approx(by_hand, rel=1e-4)


def test_the_generator_has_a_gradient_through_the_discriminator_alone(log, known):
    made = game(log, known, regression=0.0, ranking=0.0)
    rows = batch(np.arange(8))
    with tf.GradientTape() as tape:
        loss = made.generator_loss(rows, made.fake(rows, SEED), SEED)["adversarial"]
    gradients = tape.gradient(loss, [v.value for v in made.generator_variables])
    assert all(g is not None for g in gradients)
    assert float(tf.linalg.global_norm(gradients)) > 1e-6


def test_penalties_are_what_they_say(log, known):
    made = game(log, known, regression=2.0, ranking=3.0, temperature=0.5, askers=400)
    rows = np.arange(6)
    made_vectors = tf.random.stateless_normal([6, 2], SEED)
    found = made.generator_penalty(batch(rows), {"vector": made_vectors}, SEED)
    own = made.generator.item_vectors.numpy()[:6]
    assert float(found["regression"]) == pytest.approx(
        2 * np.mean(np.square(own - made_vectors)), rel=1e-5
    )
    # over so many askers each user counts about equally
    scores = made.generator.user_vectors.numpy() @ made_vectors.numpy().T / 0.5
    chance = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    taken = log.csr().toarray()[:, :6]
    by_hand = -3 * (taken * chance).sum() / taken.sum()
    assert float(found["ranking"]) == pytest.approx(by_hand, rel=0.15)


@pytest.mark.parametrize("penalty", [{"regression": 1.0}, {"regression": 0.0, "ranking": 1.0}])
def test_without_adversary_it_is_plain_training(log, known, penalty):
    made = game(log, known, noise=0, weight=0, **penalty)
    before = [v.numpy() for v in made.discriminator.variables]
    made.fit(made.batches(log, batch_size=6, seed=1), epochs=3, verbose=0)
    assert all(
        np.array_equal(a, b.numpy())
        for a, b in zip(before, made.discriminator.variables, strict=True)
    )
    if "ranking" in penalty:
        return
    plain = game(log, known, noise=0, weight=0, **penalty).generator
    optimizer = keras.optimizers.Adam(0.01)
    for _ in range(3):
        for rows in made_batches(log, plain):
            with tf.GradientTape() as tape:
                own = tf.gather(plain.item_vectors.value, rows)
                loss = tf.reduce_mean(tf.square(plain.generated(rows, training=True) - own))
            values = [v.value for v in plain.trainable_variables]
            gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, values)]
            optimizer.apply_gradients(zip(gradients, plain.trainable_variables, strict=True))
    rows = np.arange(ITEMS)
    np.testing.assert_allclose(made.product.generated(rows), plain.generated(rows), atol=1e-5)


def made_batches(log, model, seen={}):  # noqa: B006 - one dataset for all epochs, as in fit
    if "data" not in seen:
        seen["data"] = ColdStartGame.for_log(log, model).batches(log, batch_size=6, seed=1)
    return [b["item_id"] for b in seen["data"]]


@pytest.mark.parametrize("real", ["own", "adopter"])
def test_the_game_alone_finds_vectors_that_rank_new_items(log, known, real):
    made = game(log, known, real=real, regression=0.0, loss=NonSaturating(r1=1.0))
    made.fit(made.batches(log, batch_size=12).repeat(200), verbose=0)
    scores = np.asarray(made.product.score_catalogue(np.arange(USERS)))[:, -NEW:]
    own = np.add.outer(np.arange(USERS), np.arange(NEW)) % 2 == 0
    assert scores[own].min() > scores[~own].max()


def test_blocks_train_as_batches_do(log, known):
    vectors = []
    for block in (None, 2):
        made = game(log, known, ranking=0.5)
        made.run_eagerly = block is None
        made.fit(made.batches(log, batch_size=4, block=block), epochs=2, verbose=0)
        vectors.append(np.asarray(made.product.generated(np.arange(ITEMS))))
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"real": "fan"}, "real is one of"),
        ({"temperature": 0.0}, "temperature is above 0"),
        ({"regression": -1.0}, "0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(log, known, settings, words):
    with pytest.raises(ValueError, match=words):
        game(log, known, **settings)
