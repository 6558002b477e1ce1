import numpy as np
import pytest

from tfadvrec.data import (
    DataError,
    Interactions,
    by_ratio,
    by_time,
    cold_rows,
    k_core,
    leave_last_out,
    synthetic,
)


def pairs(log):
    return list(zip(log.user_ids[log.user].tolist(), log.item_ids[log.item].tolist(), strict=True))


def assert_partition(log, split):
    parts = [part for part in split if part is not None]
    assert sorted(pair for part in parts for pair in pairs(part)) == sorted(pairs(log))
    for part in parts:
        assert part.user_ids.tolist() == log.user_ids.tolist()
        assert part.item_ids.tolist() == log.item_ids.tolist()


def test_leave_last_out_takes_the_latest_and_the_one_before():
    log = Interactions.from_arrays(
        ["a"] * 4 + ["b"] * 3, [1, 2, 3, 4, 1, 2, 3], time=[40, 10, 30, 20, 5, 7, 6]
    )
    split = leave_last_out(log)
    assert pairs(split.test) == [("a", 1), ("b", 2)]
    assert pairs(split.validation) == [("a", 3), ("b", 3)]
    assert_partition(log, split)
    two = leave_last_out(log, validation=False)
    assert two.validation is None
    assert pairs(two.test) == [("a", 1), ("b", 2)]
    assert_partition(log, two)


def test_users_with_too_few_interactions_stay_in_train():
    log = Interactions.from_arrays(["a", "b", "b", "c", "c", "c"], [1, 1, 2, 1, 2, 3])
    split = leave_last_out(log)
    assert {user for user, _ in pairs(split.test)} == {"c"}
    assert len(split.train) == 4
    assert {user for user, _ in pairs(leave_last_out(log, validation=False).test)} == {"b", "c"}


def test_ties_in_time_are_broken_by_row():
    log = Interactions.from_arrays(["a"] * 4, [4, 3, 2, 1], time=[7, 7, 7, 7])
    split = leave_last_out(log)
    assert pairs(split.test) == [("a", 1)]
    assert pairs(split.validation) == [("a", 2)]


def test_by_time_is_one_moment_for_all_users():
    log = Interactions.from_arrays(
        np.arange(100) % 7, np.arange(100) % 11, time=np.arange(100)[::-1], duplicates="keep"
    )
    split = by_time(log, validation=0.1, test=0.2)
    assert [len(part) for part in split] == [70, 10, 20]
    assert split.train.time.max() < split.validation.time.min()
    assert split.validation.time.max() < split.test.time.min()
    assert_partition(log, split)
    assert by_time(log, validation=0, test=0.2).validation is None


def test_by_time_never_tears_a_moment_apart():
    log = Interactions.from_arrays(np.arange(10), [0, 1] * 5, time=[1, 1, 1, 1, 1, 1, 2, 2, 3, 3])
    split = by_time(log, validation=0.2, test=0.15)
    assert split.test.time.tolist() == [3, 3]
    assert split.validation.time.tolist() == [2, 2]


def test_by_time_says_why_it_cannot():
    with pytest.raises(DataError, match="needs times"):
        by_time(Interactions.from_arrays([1, 2], [1, 2]))
    with pytest.raises(DataError, match="every interaction has the time 5"):
        by_time(Interactions.from_arrays([1, 2], [1, 2], time=[5, 5]))
    with pytest.raises(DataError, match="by_time leaves train and validation empty"):
        by_time(
            Interactions.from_arrays([1, 2, 3], [1, 2, 3], time=[5, 5, 6]),
            test=0.9,
            validation=0.05,
        )
    with pytest.raises(ValueError, match="leave some for train"):
        by_time(synthetic(20, 20, n_interactions=40), validation=0.5, test=0.5)


def test_by_ratio_holds_out_a_share_of_each_user():
    log = synthetic(60, 80, n_interactions=900)
    split = by_ratio(log, validation=0.2, test=0.3, seed=4)
    counts = np.bincount(log.user, minlength=60)
    held = np.bincount(split.test.user, minlength=60)
    assert np.array_equal(held, np.minimum(np.floor(counts * 0.3 + 0.5), counts - 1))
    assert np.bincount(split.train.user, minlength=60).min() >= 1
    assert_partition(log, split)


def test_splits_repeat_and_seeds_differ():
    log = synthetic(60, 80, n_interactions=900)
    assert by_ratio(log, seed=1).test.fingerprint() == by_ratio(log, seed=1).test.fingerprint()
    assert by_ratio(log, seed=1).test.fingerprint() != by_ratio(log, seed=2).test.fingerprint()
    assert leave_last_out(log).test.fingerprint() == leave_last_out(log).test.fingerprint()


def test_a_user_with_one_interaction_is_never_in_the_test():
    log = Interactions.from_arrays(["a", "b", "b"], [1, 1, 2])
    for split in (by_ratio(log, test=0.9, validation=0.05), leave_last_out(log)):
        assert "a" not in {user for user, _ in pairs(split.test)}


def test_cold_rows_are_counted_apart():
    log = Interactions.from_arrays([1, 1, 2, 3], [7, 8, 9, 7], time=[1, 2, 3, 4])
    split = by_time(log, validation=0, test=0.5)
    assert pairs(split.test) == [(2, 9), (3, 7)]
    cold = cold_rows(split.train, split.test)
    assert cold["user"].tolist() == [True, True]
    assert cold["item"].tolist() == [True, False]
    assert split.describe()["test"] == {
        "interactions": 2,
        "with_cold_user": 2,
        "with_cold_item": 1,
        "warm": 0,
        "also_in_train": 0,
    }


def test_k_core_needs_rounds_and_shrinks_the_vocabularies():
    # without item 9 user 3 has one interaction left, and leaves too
    log = Interactions.from_arrays(
        [1, 1, 2, 2, 3, 3], [7, 8, 7, 8, 8, 9], rating=[1, 2, 3, 4, 5, 6]
    )
    log = log.with_features(items={"id": [7, 8, 9], "year": [1, 2, 3]})
    core = k_core(log, 2)
    assert pairs(core) == [(1, 7), (1, 8), (2, 7), (2, 8)]
    assert core.rating.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert core.item_features["year"].tolist() == [1.0, 2.0]
    assert core.dropped == {"outside the 2-core": 2}
    with pytest.raises(DataError, match="not reached after 1 rounds"):
        k_core(log, 2, rounds=1)
    with pytest.raises(DataError, match="nothing is left of 6 interactions with k=9"):
        k_core(log, 9)


def test_an_empty_log_is_refused():
    log = synthetic(10, 10, n_interactions=20)
    with pytest.raises(DataError, match="no interaction to split"):
        leave_last_out(log.take(np.zeros(len(log), bool)))
