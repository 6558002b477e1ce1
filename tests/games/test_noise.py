"""Noise that seeds determine."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfadvrec.games import noise


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_hash_is_that_of_the_paper(key, counter, words):
    # the known answers that the authors' library is tested with
    found = noise.threefry(tf.constant(key, tf.uint32), tf.constant(counter, tf.uint32))
    assert tuple(found.numpy().tolist()) == words


@pytest.mark.parametrize("draw", [noise.uniform, noise.normal])
def test_a_row_depends_on_its_seed_alone(draw):
    seeds = np.array([[3, 1], [9, 9], [3, 1], [-7, 2**40]])
    rows = draw(seeds, 5).numpy()
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_allclose(rows[3], draw(seeds[3:], 5).numpy()[0], rtol=1e-6)
    assert not np.array_equal(rows[0], rows[1])


def test_the_numbers_have_the_distributions_they_should():
    seeds = noise.row_seeds(4, 20_000)
    uniform, normal = noise.uniform(seeds, 3).numpy(), noise.normal(seeds, 3).numpy()
    batch = noise.normal_batch(tf.constant([1, 2]), [20_000, 3]).numpy()
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    for drawn in (normal, batch):
        assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
        assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.03


def test_a_compiled_step_draws_what_a_plain_one_draws():
    def draw(seed):
        more = noise.fold(seed, 3)
        return noise.normal_batch(seed, [7, 2]), noise.uniform_batch(more, [5])

    seed = tf.constant([1, -20])
    compiled = tf.function(draw, jit_compile=True, autograph=False)(seed)
    for one, other in zip(draw(seed), compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_uniform_numbers_are_never_0_or_1():
    words = tf.constant([0, 0xFFFFFFFF, 0x80000000], tf.uint32)
    numbers = noise._in_unit_interval(words).numpy()
    assert (numbers > 0).all()
    assert (numbers < 1).all()
    assert np.isfinite(-np.log(-np.log(numbers))).all()


def test_folded_seeds_are_all_different():
    folded = {
        tuple(noise.fold(tf.constant([seed, turn]), number).numpy().tolist())
        for seed in range(3)
        for turn in range(30)
        for number in range(12)
    }
    assert len(folded) == 3 * 30 * 12
