"""Samplers: what they promise of each batch, on logs whose positives are known."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Block, DataError, Interactions, in_batch, pairs, points
from tfadvrec.data.negatives import Negatives, _alias_table


def log_of(seen):
    user, item = np.nonzero(seen)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=(1 + user % 5).astype(np.float32),
        user_ids=np.arange(seen.shape[0]),
        item_ids=np.arange(seen.shape[1]),
    )


@pytest.fixture(scope="module")
def seen():
    """Users with 1 to all-but-one of 23 items, among them the first and the last."""
    random = np.random.default_rng(0)
    table = random.random((40, 23)) < np.linspace(0.02, 0.97, 40)[:, None]
    table[np.arange(40), random.integers(0, 23, 40)] = True
    full = table.all(axis=1)
    table[full, 7] = False
    return table


@pytest.mark.parametrize("most_words", [2**24, 0], ids=["bits", "search"])
@pytest.mark.parametrize("strategy", ["uniform", "popularity"])
def test_negatives_are_never_positives(seen, strategy, monkeypatch, most_words):
    monkeypatch.setattr("tfadvrec.data.negatives.MOST_WORDS", most_words)
    drawn = Negatives.of(log_of(seen), count=50, strategy=strategy)
    users = tf.range(40)
    for seed in range(5):
        items = drawn.draw(users, tf.constant([seed, 1])).numpy()
        assert items.min() >= 0
        assert items.max() < 23
        assert not seen[np.arange(40)[:, None], items].any()


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 7, 8, 9])
def test_the_search_among_positives_ends_for_every_number_of_them(degree):
    """The last two items are free: only a search to the very end finds them."""
    seen = np.arange(degree + 2)[None, :] < degree
    drawn = Negatives.of(log_of(seen), count=64)
    items = drawn.draw(tf.constant([0]), tf.constant([1, 2])).numpy()
    assert set(items[0].tolist()) == {degree, degree + 1}
    marked = drawn.is_positive(tf.constant([0]), tf.range(degree + 2)).numpy()
    np.testing.assert_array_equal(marked, seen)


def test_uniform_negatives_reach_every_unseen_item_equally_often(seen):
    drawn = Negatives.of(log_of(seen), count=4000)
    items = drawn.draw(tf.range(40), tf.constant([1, 2])).numpy()
    for user in range(40):
        counts = np.bincount(items[user], minlength=23)
        free = ~seen[user]
        expected = 4000 / free.sum()
        # 5 standard deviations of a binomial count
        assert np.all(np.abs(counts[free] - expected) <= 5 * np.sqrt(expected) + 1)


def test_popularity_negatives_follow_the_training_counts():
    seen = np.zeros((60, 6), bool)
    random = np.random.default_rng(0)
    for item, users in enumerate((50, 30, 12, 6, 3, 1)):
        seen[random.choice(58, users, replace=False), item] = True
    seen[np.flatnonzero(seen.all(axis=1)), 0] = False
    log = log_of(seen)
    drawn = Negatives.of(log, count=20000, strategy="popularity")
    counts = np.bincount(drawn.draw(tf.constant([59]), tf.constant([5, 6])).numpy()[0])
    share = log.popularity() / len(log)
    np.testing.assert_allclose(counts / 20000, share, atol=0.012)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000])
def test_an_alias_table_is_its_distribution(n):
    """Slot i gives i with its share of `keep`, and its alias with the rest."""
    random = np.random.default_rng(n)
    for share in (random.random(n) ** 5, np.ones(n), np.arange(n) + 1.0, np.eye(n)[0]):
        keep, alias = _alias_table(share / share.sum())
        given = np.bincount(np.arange(n), keep, minlength=n)
        given += np.bincount(alias, 1 - keep, minlength=n)
        np.testing.assert_allclose(given / n, share / share.sum(), atol=1e-12)


def test_draws_are_the_same_compiled_and_not(seen):
    drawn = Negatives.of(log_of(seen), count=3, strategy="popularity")
    compiled = tf.function(drawn.draw, jit_compile=True)
    seed = tf.constant([9, 9])
    np.testing.assert_array_equal(compiled(tf.range(40), seed), drawn.draw(tf.range(40), seed))


@pytest.mark.parametrize("block", [None, 3, 1000])
def test_an_epoch_is_every_interaction_once(seen, block):
    log = log_of(seen)
    epochs = []
    data = pairs(log, batch_size=10, seed=3, block=block)
    for _ in range(2):
        met = []
        for element in data:
            parts = (
                [element.batch(i) for i in range(int(element.steps))]
                if isinstance(element, Block)
                else [element]
            )
            for x, y in parts:
                assert y.numpy().tolist() == [[1.0, 0.0]] * 10
                items = x["item_id"].numpy()
                assert not seen[x["user_id"].numpy(), items[:, 1]].any()
                met += list(zip(x["user_id"].numpy().tolist(), items[:, 0].tolist(), strict=True))
        assert len(met) == len(log) // 10 * 10
        assert len(set(met)) == len(met)
        assert set(met) <= set(zip(log.user.tolist(), log.item.tolist(), strict=True))
        epochs.append(met)
    assert epochs[0] != epochs[1]


def test_blocks_hold_the_batches(seen):
    log = log_of(seen)
    batches = [x["item_id"].numpy() for x, _ in pairs(log, batch_size=16, negatives=2, seed=1)]
    (block,) = pairs(log, batch_size=16, negatives=2, seed=1, block=10**6)
    held = [block.batch(i)[0]["item_id"].numpy() for i in range(int(block.steps))]
    np.testing.assert_array_equal(batches, held)


def test_a_look_at_the_first_batch_changes_nothing(seen):
    log = log_of(seen)
    fresh, peeked = (pairs(log, batch_size=16, seed=1) for _ in range(2))
    next(iter(peeked))
    for (a, _), (b, _) in zip(fresh, peeked, strict=True):
        np.testing.assert_array_equal(a["item_id"], b["item_id"])


@pytest.mark.parametrize("block", [None, 10**6])
def test_keras_is_given_fresh_negatives_each_epoch(seen, block):
    """`fit` asks for the known number of elements and no further: the epoch must advance."""
    import keras

    met = []

    class Watch(keras.Model):
        def train_step(self, data):
            x, _ = data.batch(0) if isinstance(data, Block) else data
            met.append(x["item_id"].numpy())
            return {"loss": 0.0}

    model = Watch()
    model.compile(run_eagerly=True)
    log = log_of(seen)
    data = pairs(log, batch_size=len(log), seed=1, block=block)
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    assert len(met) == 3
    assert not np.array_equal(met[0], met[1])
    assert not np.array_equal(met[1], met[2])


def test_seeds_reproduce_and_differ(seen):
    log = log_of(seen)

    def first(seed):
        return next(iter(pairs(log, batch_size=16, seed=seed)))[0]["item_id"].numpy()

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))


def test_the_draws_of_one_interaction_differ_by_epoch_and_by_seed():
    """Where there is no order to differ in, only the key of the draws can."""
    log = log_of(np.arange(500)[None, :] == 3)

    def epochs(seed):
        data = pairs(log, batch_size=1, negatives=20, seed=seed)
        return [x["item_id"].numpy() for _ in range(2) for x, _ in data]

    first, second = epochs(1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, epochs(2)[0])
    np.testing.assert_array_equal(first, epochs(1)[0])


def test_points_are_one_candidate_a_row(seen):
    log = log_of(seen)
    x, y = next(iter(points(log, batch_size=8, negatives=2, seed=0)))
    user, item = x["user_id"].numpy(), x["item_id"].numpy()[:, 0]
    assert item.shape == (24,)
    np.testing.assert_array_equal(seen[user, item], y.numpy()[:, 0] == 1)


def test_points_can_carry_ratings(seen):
    log = log_of(seen)
    x, y = next(iter(points(log, batch_size=8, negatives=0, target="rating")))
    np.testing.assert_array_equal(y.numpy()[:, 0], 1 + x["user_id"].numpy() % 5)


@pytest.mark.parametrize("most_words", [2**24, 0], ids=["bits", "search"])
def test_in_batch_marks_every_accidental_hit(seen, monkeypatch, most_words):
    monkeypatch.setattr("tfadvrec.data.negatives.MOST_WORDS", most_words)
    log = log_of(seen)
    x, y = next(iter(in_batch(log, batch_size=64, seed=0)))
    user, item, labels = x["user_id"].numpy(), x["item_id"].numpy(), y.numpy()
    hit = seen[user[:, None], item[None, :]]
    own = np.eye(64, dtype=bool)
    np.testing.assert_array_equal(labels == 1, own)
    np.testing.assert_array_equal(labels == -1, hit & ~own)
    share = log.popularity() / len(log)
    np.testing.assert_allclose(x["sampling_probability"], share[item], rtol=1e-6)


def test_a_user_who_has_everything_is_named():
    seen = np.ones((2, 4), bool)
    seen[1, 2] = False
    with pytest.raises(DataError, match=r"all 4 items.*first user ids: \[0\]"):
        pairs(log_of(seen), batch_size=2)


def test_bad_arguments_are_refused(seen):
    log = log_of(seen)
    with pytest.raises(DataError, match="batch_size must lie between"):
        pairs(log, batch_size=len(log) + 1)
    with pytest.raises(ValueError, match="strategy must be one of"):
        pairs(log, batch_size=2, strategy="hard")
    with pytest.raises(ValueError, match="block must be 1 or more"):
        pairs(log, batch_size=2, block=0)
    with pytest.raises(ValueError, match="target must be"):
        points(log, batch_size=2, target="clicks")
    without = Interactions.from_arrays(user=[1, 2], item=[1, 2])
    with pytest.raises(DataError, match="needs a log with ratings"):
        points(without, batch_size=2, target="rating")
