"""The game over codes: who gets which gradient, what the codes become, what is left without it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import histories
from tfadvrec.games import noise
from tfadvrec.games.latent import LatentGame
from tfadvrec.losses import Multinomial
from tfadvrec.models import VariationalAutoencoder

SEED = tf.constant([0, 1])


def make(log, **options):
    return LatentGame.for_log(log, **{"latent": 4, "discriminator": [16], **options})


def play(game, log, *, steps, generator=0.01, discriminator=0.01, block=None, **options):
    game.compile(keras.optimizers.Adam(generator), keras.optimizers.Adam(discriminator), **options)
    data = game.batches(log, batch_size=20, seed=0, block=block)
    return game.fit(data.repeat(), steps_per_epoch=steps, verbose=0).history


def batch_of(log):
    return next(iter(histories(log, batch_size=20, seed=0)))


def gradients(game, log, part):
    with tf.GradientTape() as tape:
        fake = game.fake(batch_of(log), SEED)
        loss = part(game, fake)
    model = game.generator
    kernels = [model.mean.kernel, model.log_variance.kernel, model.out.kernel]
    found = tape.gradient(loss, [kernel.value for kernel in kernels])
    return [0.0 if g is None else float(tf.norm(g)) for g in found]


@pytest.mark.parametrize("form", ["aggregate", "variational"])
def test_the_encoder_and_not_the_decoder_learns_from_the_discriminator(blocks_log, form):
    game = make(blocks_log, form=form)
    game.compile()
    batch = batch_of(blocks_log)
    mean, log_variance, out = gradients(
        game,
        blocks_log,
        lambda game, fake: game.generator_loss(batch, fake, SEED)["adversarial"],
    )
    assert min(mean, log_variance) > 1e-4
    assert out == 0.0


def test_the_decoder_learns_from_the_likelihood(blocks_log):
    game = make(blocks_log)
    batch = batch_of(blocks_log)
    found = gradients(
        game,
        blocks_log,
        lambda game, fake: game.generator_penalty(batch, fake, SEED)["reconstruction"],
    )
    assert min(found) > 1e-4


def test_its_own_divergence_is_added_where_it_weighs(blocks_log):
    game = make(blocks_log, beta=0.5, beta_per_item=0.1)
    batch = batch_of(blocks_log)
    fake = game.fake(batch, SEED)
    parts = game.generator_penalty(batch, fake, SEED)
    mean, log_variance = fake["mean"].numpy(), fake["log_variance"].numpy()
    each = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1)
    expected = np.mean((0.5 + 0.1 * batch[1].numpy().sum(axis=1)) * each)
    assert float(parts["divergence"]) == pytest.approx(expected, rel=1e-5)
    assert set(make(blocks_log).generator_penalty(batch, fake, SEED)) == {"reconstruction"}


def test_without_weight_it_is_the_plain_autoencoder(blocks_log):
    settings = {"latent": 4, "dropout": 0.0, "stochastic": False}
    game = make(blocks_log, **settings)
    play(game, blocks_log, steps=10, adversarial_weight=0.0)
    plain = VariationalAutoencoder(n_users=20, n_items=20, seed=0, **settings).bind(blocks_log)
    plain.compile(keras.optimizers.Adam(0.01), loss=Multinomial())
    data = histories(blocks_log, batch_size=20, seed=0)
    plain.fit(data.repeat(), steps_per_epoch=10, verbose=0)
    for ours, theirs in zip(game.product.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_codes_together_become_standard_normal(blocks_log):
    game = make(blocks_log, latent=2, discriminator=[32], dropout=0.0)
    game.generator.mean.bias.assign([1.5, -1.5])  # they start elsewhere
    play(game, blocks_log, steps=400, discriminator=0.02, adversarial_weight=10.0)
    batch = batch_of(blocks_log)
    drawn = [game.fake(batch, noise.fold(SEED, n))["code"] for n in range(50)]
    codes = np.concatenate([code.numpy() for code in drawn])
    np.testing.assert_allclose(codes.mean(axis=0), 0.0, atol=0.4)
    np.testing.assert_allclose(codes.var(axis=0), 1.0, atol=0.4)


def test_the_variational_form_estimates_the_divergence(blocks_log):
    """The encoder stands still, so the best discriminator's answer is known in closed form."""
    game = make(blocks_log, latent=2, discriminator=[32, 32], dropout=0.0, form="variational")
    game.generator.mean.bias.assign([1.0, 0.0])
    play(game, blocks_log, steps=400, generator=0.0, discriminator=0.01)
    batch = batch_of(blocks_log)
    fake = game.fake(batch, SEED)
    truth = tf.reduce_mean(game.generator.divergence(fake["mean"], fake["log_variance"]))
    draws = [game.fake(batch, noise.fold(SEED, n)) for n in range(20)]
    estimates = [float(game.generator_loss(batch, fake, SEED)["adversarial"]) for fake in draws]
    assert np.mean(estimates) == pytest.approx(float(truth), rel=0.25)


def test_in_blocks_it_recommends_the_one_item_left_and_logs_the_game(blocks_log):
    game = make(blocks_log, beta=0.1)
    game.compile(keras.optimizers.Adam(0.02), jit_compile=True, adversarial_weight=0.5)
    data = game.batches(blocks_log, batch_size=5, block=4).repeat()
    logs = game.fit(data, steps_per_epoch=50, verbose=0).history
    assert {"reconstruction", "divergence", "accuracy_real", "accuracy_fake"} <= set(logs)
    items, _ = game.product.recommend(blocks_log.user_ids, 1, exclude=blocks_log)
    assert items[:, 0].tolist() == [f"i{u:02d}" for u in range(20)]
    made = game.observe(30, seed=1)
    profiles = made.profiles.toarray()
    assert set(profiles.sum(axis=1)) <= set(np.bincount(blocks_log.user))
    # made users keep to one parity, as real ones do
    own = np.maximum(profiles[:, ::2].sum(axis=1), profiles[:, 1::2].sum(axis=1))
    assert (own / profiles.sum(axis=1)).mean() > 0.85


def test_wrong_forms_are_refused(blocks_log):
    with pytest.raises(ValueError, match="form must be one of"):
        make(blocks_log, form="other")
    with pytest.raises(ValueError, match="stochastic=True"):
        make(blocks_log, form="variational", stochastic=False)
