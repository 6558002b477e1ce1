"""Sequences: the order of events, targets, padding, negatives, and blocks of them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import data
from tfadvrec.data.event_windows import UserEvents, gap_buckets


@pytest.fixture(scope="module")
def log():
    """User 0: items 4, 2, 0, 1, 3 in time; user 1: 5, 6; user 2: 7 alone."""
    return data.Interactions(
        user=np.array([0, 1, 0, 0, 2, 0, 1, 0], np.int32),
        item=np.array([1, 6, 0, 2, 7, 4, 5, 3], np.int32),
        time=np.array([40, 9, 30, 20, 5, 10, 8, 104]),
        user_ids=np.arange(3),
        item_ids=np.arange(8),
    )


def one_batch(log, **options):
    inputs, labels = next(iter(data.sequences(log, **{"batch_size": 2, **options})))
    order = np.argsort((inputs["history"].numpy() >= 0).sum(axis=1))[::-1]
    per = labels.numpy().reshape(len(order), -1, labels.shape[-1])
    return {key: value.numpy() for key, value in inputs.items()}, per, order


def test_events_are_in_time_order_and_each_target_is_the_next_one(log):
    inputs, labels, (long, short) = one_batch(log, length=3, candidates="own")
    assert inputs["history"][long].tolist() == [2, 0, 1]
    assert inputs["item_id"][long, :, 0].tolist() == [0, 1, 3]
    assert inputs["history"][short].tolist() == [-1, -1, 5]
    assert inputs["item_id"][short, 2, 0] == 6
    assert labels[long].tolist() == [[1, 0]] * 3
    assert labels[short].tolist() == [[-1, -1], [-1, -1], [1, 0]]
    assert inputs["history_gap"][long].tolist() == gap_buckets([10, 10, 10]).tolist()
    assert inputs["history_gap"][short].tolist() == [0, 0, 0]


def test_without_times_the_rows_are_the_order_and_ties_keep_it(log):
    rows = log.replace(time=None)
    inputs, _, (long, _) = one_batch(rows, length=4)
    assert inputs["history"][long].tolist() == [1, 0, 2, 4]
    assert "history_gap" not in inputs
    inputs, _, (long, _) = one_batch(log.replace(time=np.zeros(8, np.int64)), length=4)
    assert inputs["history"][long].tolist() == [1, 0, 2, 4]
    assert inputs["history_gap"][long].tolist() == [0, 1, 1, 1]


def test_gaps_are_sorted_by_powers_of_two():
    seconds = np.array([-5, 0, 1, 2, 3, 6, 7, 2**20 - 2, 2**20 - 1, 2**62])
    assert gap_buckets(seconds).tolist() == [0, 1, 2, 2, 3, 3, 4, 20, 21, 31]


def test_windows_make_each_event_but_the_first_a_target_once(log):
    whole = data.synthetic(n_users=30, n_items=90, n_interactions=500, seed=1)
    counts = np.bincount(whole.user, minlength=30)
    expected = sorted(
        (u, i)
        for u in range(30)
        for i in UserEvents(whole).rows(np.array([u]), counts[[u]], counts[u])[0][0][1:].tolist()
    )
    found = []
    table = data.sequences(whole, batch_size=1, length=7, windows=None, block=10**6)
    block = next(iter(table))
    for chosen in block.chosen.numpy().ravel():
        events = block.events.numpy()[chosen]
        user = int(block.user.numpy()[chosen])
        found += [(user, int(t)) for h, t in itertools.pairwise(events) if h >= 0]
    assert sorted(found) == expected
    two = next(iter(data.sequences(whole, batch_size=1, length=7, windows=2, block=10**6)))
    assert len(two.user) == np.minimum(-(-(counts - 1) // 7), 2).sum()


def test_own_negatives_lie_outside_the_users_items(log):
    inputs, labels, (long, short) = one_batch(log, length=5, negatives=40)
    assert inputs["item_id"].shape == (2, 5, 41)
    assert set(inputs["item_id"][long, :, 1:].ravel().tolist()) == {5, 6, 7}
    assert set(inputs["item_id"][short, :, 1:].ravel().tolist()) == {0, 1, 2, 3, 4, 7}
    assert (labels[long][1:, 0] == 1).all()
    assert (labels[long][1:, 1:] == 0).all()


def test_shared_negatives_that_a_user_took_are_ignored(log):
    inputs, labels, (long, short) = one_batch(log, length=5, candidates="shared", negatives=60)
    shared = inputs["shared_id"]
    assert set(shared.tolist()) == set(range(8))
    assert inputs["item_id"][long].ravel().tolist()[1:] == [2, 0, 1, 3]
    np.testing.assert_array_equal(labels[long][-1, 1:], np.where(shared < 5, -1.0, 0.0))
    mine = (shared == 5) | (shared == 6)
    np.testing.assert_array_equal(labels[short][-1, 1:], np.where(mine, -1.0, 0.0))
    assert (labels[:, :, 0] == np.where(inputs["history"] >= 0, 1.0, -1.0)).all()
    assert "shared_probability" not in inputs


def test_popular_shared_negatives_come_as_often_as_their_probability_says():
    item = np.array([0] * 5 + [1] * 3 + [2, 3], np.int32)
    log = data.Interactions(
        user=np.repeat(np.arange(5), 2).astype(np.int32),
        item=item[[0, 5, 1, 6, 2, 7, 3, 8, 4, 9]],
        user_ids=np.arange(5),
        item_ids=np.arange(5),
    )
    inputs, *_ = one_batch(
        log, length=1, candidates="shared", strategy="popularity", negatives=20_000
    )
    share = np.bincount(inputs["shared_id"], minlength=5) / 20_000
    np.testing.assert_allclose(share, [0.5, 0.3, 0.1, 0.1, 0.0], atol=0.02)
    expected = np.array([0.5, 0.3, 0.1, 0.1, 0.0], np.float32)
    np.testing.assert_allclose(inputs["shared_probability"], expected[inputs["shared_id"]])
    np.testing.assert_allclose(inputs["sampling_probability"], expected[inputs["item_id"]])


def test_the_whole_catalogue_has_the_target_as_its_only_positive(log):
    inputs, labels, (long, short) = one_batch(log, length=5, candidates="catalogue")
    assert inputs["item_id"].tolist() == [[list(range(8))]]
    assert labels[long].argmax(axis=-1)[1:].tolist() == [2, 0, 1, 3]
    assert (labels[long][1:].sum(axis=-1) == 1).all()
    assert (labels[short][:4] == -1).all()


@pytest.mark.parametrize(("candidates", "jit"), [("own", True), ("shared", False)])
def test_blocks_have_the_batches_of_plain_epochs(candidates, jit):
    log = data.synthetic(n_users=30, n_items=40, n_interactions=400, seed=1)
    options = {"batch_size": 7, "length": 6, "negatives": 3, "candidates": candidates, "seed": 3}
    plain = list(data.sequences(log, **options))
    blocks = list(data.sequences(log, **options, block=3))
    assert len(plain) == 4
    assert [int(block.steps) for block in blocks] == [2, 2]

    @tf.function(jit_compile=jit)
    def compiled(block, step):
        return block.batch(step, block.draw())

    again = [compiled(b, step) for b in blocks for step in range(int(b.steps))]
    tf.nest.map_structure(np.testing.assert_array_equal, plain, again)
    first = {tuple(row) for inputs, _ in plain for row in inputs["history"].numpy()}
    assert len(first) == 28


def test_what_cannot_be_sampled_is_an_error(log):
    with pytest.raises(data.DataError, match="the 2 sequences of the log"):
        data.sequences(log, batch_size=3)
    with pytest.raises(ValueError, match="candidates must be one of"):
        data.sequences(log, batch_size=1, candidates="all")
    with pytest.raises(ValueError, match="own negatives are uniform"):
        data.sequences(log, batch_size=1, strategy="popularity")
    with pytest.raises(ValueError, match=r"1 or more. Received: \{'length': 0\}"):
        data.sequences(log, batch_size=1, length=0)
