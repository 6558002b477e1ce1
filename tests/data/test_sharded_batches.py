"""Batches out of shards: those of the log in memory, of which only a shard is there at a time."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import MatrixFactorization
from tfadvrec.data import Block, DataError, Interactions, ShardedLog, in_batch, pairs, points
from tfadvrec.data.negatives import Negatives
from tfadvrec.data.sharded import prepare as preparing
from tfadvrec.data.sharded.streaming import ShardEpochs
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.optimizers import SparseAdagrad


class Here:
    """Carries the steps out without Beam."""

    def __init__(self, room, options=None):
        pass

    def __call__(self, work, numbers):
        from tfadvrec.data.sharded.tally import merged

        return merged(map(work, numbers))


def made(folder, shard_rows):
    """A prepared log of 40 users and 23 items, a few of each rare."""
    rng = np.random.default_rng(3)
    user, item = np.nonzero(rng.random((40, 23)) < np.linspace(0.05, 0.8, 40)[:, None])
    order = rng.permutation(len(user))
    rows = [
        f"u{u:02d},{i},{1 + (u + i) % 5}" for u, i in zip(user[order], item[order], strict=True)
    ]
    path = folder / "log.csv"
    path.write_text("\n".join(["user,item,rating", *rows, ""]))
    engine, preparing.BeamEngine = preparing.BeamEngine, Here
    try:
        return preparing.prepare(path, folder / "made", shard_rows=shard_rows)
    finally:
        preparing.BeamEngine = engine


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The log as one shard."""
    return made(tmp_path_factory.mktemp("one"), 10**6)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """The log as five shards."""
    log = made(tmp_path_factory.mktemp("several"), 100)
    assert log.shards == 5
    return log


SAMPLERS = {
    "pairs": lambda log, **more: pairs(log, batch_size=16, negatives=2, seed=5, **more),
    "popular": lambda log, **more: pairs(log, batch_size=16, strategy="popularity", seed=5, **more),
    "points": lambda log, **more: points(log, batch_size=16, target="rating", seed=5, **more),
    "in_batch": lambda log, **more: in_batch(log, batch_size=16, seed=5, **more),
}


def batches(data):
    """All batches of an epoch, out of blocks or not, as NumPy."""
    for element in data:
        inside = [element]
        if isinstance(element, Block):
            drawn = element.draw()
            inside = [element.batch(step, drawn) for step in range(int(element.steps))]
        for batch in inside:
            yield tf.nest.map_structure(lambda part: part.numpy(), batch)


@pytest.mark.parametrize(("kind", "block"), [("pairs", None), *((kind, 3) for kind in SAMPLERS)])
def test_one_shard_gives_the_batches_of_the_log_in_memory(one, kind, block):
    memory, disk = one.load(), one
    sampled = [SAMPLERS[kind](log, block=block) for log in (memory, disk)]
    for _ in range(2):
        first, second = (list(batches(data)) for data in sampled)
        assert len(first) == len(memory) // 16
        for a, b in zip(first, second, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_training_on_one_shard_gives_the_weights_of_training_in_memory(one):
    weights = []
    for log in (one.load(), one):
        model = MatrixFactorization(n_users=log.n_users, n_items=log.n_items, dimension=4, seed=0)
        model.compile(SparseAdagrad(0.1), loss=BayesianPersonalizedRanking())
        model.fit(pairs(log, batch_size=32, seed=1, block=3), epochs=2, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_several_shards_draw_what_the_whole_log_would(several, kind):
    """The tables of a shard leave out other users only: the draws are those of whole tables."""
    memory, met = several.load(), 0
    count = {"pairs": 2, "in_batch": 0}.get(kind, 1)
    strategy = "popularity" if kind == "popular" else "uniform"
    whole = Negatives.of(memory, count=count, strategy=strategy)
    for block in SAMPLERS[kind](several, block=2):
        fields = {name: getattr(block, name) for name in Block.__annotations__}
        again = Block(**{**fields, "negatives": whole})
        drawn = block.draw(), again.draw()
        for step in range(int(block.steps)):
            pair = (one.batch(step, own) for one, own in zip((block, again), drawn, strict=True))
            tf.nest.map_structure(np.testing.assert_array_equal, *pair)
            met += 1
    assert met == sum(rows // 16 for rows in several.rows)


@pytest.mark.parametrize("block", [None, 2, 1000])
def test_an_epoch_is_every_interaction_once(several, block):
    memory, epochs = several.load(), []
    known = set(zip(memory.user.tolist(), memory.item.tolist(), strict=True))
    data = pairs(several, batch_size=16, seed=2, block=block)
    for _ in range(2):
        met = []
        for x, _ in batches(data):
            user, item = x["user_id"], x["item_id"]
            assert len({*(user % several.shards).tolist()}) == 1
            met += list(zip(user.tolist(), item[:, 0].tolist(), strict=True))
            assert not known & set(zip(user.tolist(), item[:, 1].tolist(), strict=True))
        assert len(met) == len(set(met)) == 16 * sum(rows // 16 for rows in several.rows)
        assert set(met) <= known
        epochs.append(met)
    assert epochs[0] != epochs[1]


def test_blocks_of_any_size_and_plain_batches_are_the_same(several):
    plain, small, large = (
        list(batches(pairs(several, batch_size=16, seed=2, block=size))) for size in (None, 2, 99)
    )
    for a, b, c in zip(plain, small, large, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, a, b)
        tf.nest.map_structure(np.testing.assert_array_equal, a, c)


def test_compiled_blocks_train_as_plain_batches_do(several):
    weights = []
    for block in (None, 3):
        model = MatrixFactorization(
            n_users=several.n_users, n_items=several.n_items, dimension=4, seed=0
        )
        model.compile(SparseAdagrad(0.1), loss=BayesianPersonalizedRanking())
        data = pairs(several, batch_size=16, seed=1, block=block)
        losses = model.fit(data, epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_order_of_the_shards_changes_and_comes_back_with_the_seed():
    def orders(seed):
        epochs = ShardEpochs((40,) * 8, batch_size=10, most=8, seed=seed)
        return [[shard for shard, *_ in epochs()] for _ in range(3)]

    assert all(sorted(order) == list(range(8)) for order in orders(0))
    assert len({tuple(order) for order in orders(0)}) == 3
    assert orders(0) == orders(0) != orders(1)


def test_a_look_at_the_first_batch_changes_nothing(several):
    fresh, peeked = (pairs(several, batch_size=16, seed=1) for _ in range(2))
    next(iter(peeked))
    for (a, _), (b, _) in zip(fresh, peeked, strict=True):
        np.testing.assert_array_equal(a["item_id"], b["item_id"])


def test_what_cannot_be_streamed_is_refused(several, tmp_path):
    with pytest.raises(DataError, match="of the largest shard"):
        pairs(several, batch_size=max(several.rows) + 1)
    with pytest.raises(ValueError, match="takes no array of weights"):
        pairs(several, batch_size=16, weight=np.ones(len(several)))
    with pytest.raises(ValueError, match="strategy must be one of"):
        pairs(several, batch_size=16, strategy="hard")
    (tmp_path / "log.csv").write_text("user,item\nann,tea\nann,milk\nbob,tea\n")
    engine, preparing.BeamEngine = preparing.BeamEngine, Here
    try:
        full = preparing.prepare(tmp_path / "log.csv", tmp_path / "made")
    finally:
        preparing.BeamEngine = engine
    with pytest.raises(DataError, match="'ann' has interacted with all 2 items"):
        pairs(full, batch_size=1)
    with pytest.raises(DataError, match="needs a log with ratings"):
        points(full, batch_size=1, target="rating")
    assert isinstance(full, ShardedLog)
    assert isinstance(full.load(), Interactions)
