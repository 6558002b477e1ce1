"""Holding out items (or users) with all that is known of them."""

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.data.checks import DataError
from tfadvrec.data.cold_split import cold_items


@pytest.fixture
def log():
    random = np.random.default_rng(0)
    pairs = np.unique(random.integers(0, [50, 40], (600, 2)), axis=0)
    return Interactions.from_arrays(pairs[:, 0], pairs[:, 1], time=np.arange(len(pairs)))


@pytest.mark.parametrize("side", ["item", "user"])
def test_held_out_rows_are_in_no_other_part(log, side):
    split = cold_items(log, validation=0.1, test=0.3, side=side, seed=3)
    parts = [set(getattr(part, side).tolist()) for part in split]
    assert parts[0].isdisjoint(parts[1] | parts[2])
    assert parts[1].isdisjoint(parts[2])
    size = len(set(getattr(log, side).tolist()))
    assert [len(p) for p in parts[1:]] == [round(size * 0.1), round(size * 0.3)]


def test_every_interaction_is_in_one_part_and_vocabularies_are_shared(log):
    split = cold_items(log)
    assert np.array_equal(np.sort(np.concatenate([part.time for part in split])), log.time)
    assert all(np.array_equal(part.item_ids, log.item_ids) for part in split)
    assert split.describe()["test"]["with_cold_item"] == len(split.test)


def test_the_seed_decides_which(log):
    held = [set(cold_items(log, seed=seed).test.item.tolist()) for seed in (1, 1, 2)]
    assert held[0] == held[1] != held[2]


def test_rare_items_stay_in_training_where_asked():
    log = Interactions.from_arrays([1, 2, 3, 1, 2, 3, 1], ["a", "a", "a", "b", "b", "b", "rare"])
    for seed in range(10):
        train, _, _ = cold_items(log, validation=0, test=0.4, least=2, seed=seed)
        assert "rare" in train.item_ids[train.item]


def test_without_validation_there_is_none(log):
    assert cold_items(log, validation=0).validation is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test": 0.01}, "Change the shares"),
        ({"least": 10**6}, "lower least"),
    ],
)
def test_a_part_that_would_be_empty_is_refused(log, options, words):
    with pytest.raises(DataError, match=words):
        cold_items(log, **options)


@pytest.mark.parametrize("options", [{"test": 0.0}, {"validation": 0.6, "test": 0.5}])
def test_shares_out_of_range_are_refused(log, options):
    with pytest.raises(ValueError, match="expected shares"):
        cold_items(log, **options)
    with pytest.raises(ValueError, match="side"):
        cold_items(log, side="film")
