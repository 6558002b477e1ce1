import json

import numpy as np
import pytest

from tfadvrec import data
from tfadvrec.data import DataError, Interactions


def small(**changes):
    fields = {
        "user": np.array([0, 0, 1]),
        "item": np.array([0, 1, 1]),
        "user_ids": np.array(["ann", "bob"]),
        "item_ids": np.array([7, 9]),
    }
    return Interactions(**{**fields, **changes})


def test_rows_are_int32_ids_are_the_callers():
    log = Interactions.from_arrays(
        ["bob", "ann", "bob"], [9, 7, 7], rating=[1, 2, 3], time=[3, 2, 1]
    )
    assert (log.user.dtype, log.item.dtype) == (np.int32, np.int32)
    assert (log.rating.dtype, log.time.dtype) == (np.float32, np.int64)
    assert log.user_ids.tolist() == ["ann", "bob"]
    assert log.item_ids.tolist() == [7, 9]
    assert log.user_ids[log.user].tolist() == ["bob", "ann", "bob"]
    assert log.item_ids[log.item].tolist() == [9, 7, 7]


def test_given_vocabularies_keep_their_order_and_their_unused_rows():
    log = Interactions.from_arrays(
        np.array([2, 0]), np.array([1, 0]), user_ids=["z", "y", "x"], item_ids=["b", "a"]
    )
    assert log.user.tolist() == [2, 0]
    assert log.user_ids.tolist() == ["z", "y", "x"]
    assert log.n_users == 3


@pytest.mark.parametrize("rows", [[0, 5, 1], [0, -1, 1]])
def test_rows_outside_the_vocabulary_are_named(rows):
    with pytest.raises(DataError, match=rf"row number outside 0\.\.1 \(row 1: {rows[1]}\)"):
        small(user=np.array(rows))
    with pytest.raises(DataError, match="row 1"):
        Interactions.from_arrays(np.array(rows), [1, 2, 3], user_ids=["a", "b"])


def test_only_the_first_five_bad_rows_are_named():
    with pytest.raises(DataError) as error:
        small(item=np.full(100, 2), user=np.zeros(100, int))
    assert "100 row numbers" in str(error.value)
    assert "row 4: 2" in str(error.value)
    assert "row 5: 2" not in str(error.value)


def test_float_rows_are_refused():
    with pytest.raises(DataError, match="must be integers, got float64"):
        small(user=np.array([0.0, np.nan, 1.0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_ratings_that_are_not_finite_are_refused(bad):
    with pytest.raises(DataError, match=r"rating: 1 value NaN or infinite \(row 1"):
        small(rating=np.array([1.0, bad, 2.0]))


def test_a_vocabulary_names_each_id_once():
    with pytest.raises(DataError, match="have several: 'ann'"):
        small(user_ids=np.array(["ann", "ann"]))
    with pytest.raises(DataError, match="integers or text, got float64"):
        small(item_ids=np.array([1.0, 2.0]))


def test_every_column_has_one_value_a_row():
    with pytest.raises(DataError, match="rating: 2 values for 3 interactions"):
        small(rating=np.ones(2))
    with pytest.raises(DataError, match="1 value for 2 rows of its vocabulary"):
        small(item_features={"year": np.array([1999.0])})
    with pytest.raises(DataError, match="expected whole seconds since the epoch, got float64"):
        small(time=np.ones(3))


def test_features_are_numbers_text_or_tuples_of_text():
    genre = np.empty(2, object)
    genre[:] = [("War",), ()]
    log = small(item_features={"year": np.array([1, 2]), "title": ["a", "b"], "genre": genre})
    assert [v.dtype.kind for v in log.item_features.values()] == ["f", "U", "O"]
    assert log.describe()["item_features"]["genre"] == "several values"
    genre[1] = ["Drama"]
    with pytest.raises(DataError, match=r"tuple of texts in every row \(row 1"):
        small(item_features={"genre": genre})
    with pytest.raises(DataError, match="NaN or infinite"):
        small(item_features={"year": np.array([1.0, np.nan])})


def test_arrays_are_read_only_and_the_callers_arrays_are_not_touched():
    user = np.array([0, 0, 1], np.int32)
    log = small(user=user)
    with pytest.raises(ValueError, match="read-only"):
        log.user[0] = 1
    user[0] = 1
    with pytest.raises(AttributeError):
        log.name = "other"


def test_take_keeps_vocabularies_and_features():
    log = small(rating=np.array([1.0, 2.0, 3.0]), columns={"device": np.array(["a", "b", "c"])})
    part = log.take(np.array([2, 0]))
    assert part.rating.tolist() == [3.0, 1.0]
    assert part.columns["device"].tolist() == ["c", "a"]
    assert part.user_ids is log.user_ids or part.user_ids.tolist() == log.user_ids.tolist()
    assert len(log.take(np.zeros(3, bool))) == 0
    with pytest.raises(TypeError, match="positions or a mask"):
        log.take(np.array([0.5]))


def test_csr_merges_repeated_pairs():
    log = Interactions.from_arrays([1, 1, 2], [5, 5, 6], duplicates="keep")
    assert log.csr().toarray().tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert log.csr().dtype == np.float32
    assert log.popularity().tolist() == [2, 1]


def test_lookup_finds_rows_by_the_same_rule_as_the_log():
    log = small()
    assert log.lookup_users(["bob", "eve", b"ann"]).tolist() == [1, -1, 0]
    assert log.lookup_items([9, 8, 7]).tolist() == [1, -1, 0]
    assert log.lookup_items(["9", "x", "7.0"]).tolist() == [1, -1, 0]
    assert log.lookup_items([9.0, 9.5]).tolist() == [1, -1]
    unsorted = small(user_ids=np.array(["bob", "ann"]))
    assert unsorted.lookup_users(["ann", "bob"]).tolist() == [1, 0]


def test_fingerprint_is_of_the_data_only():
    log = small(rating=np.array([1.0, 2.0, 3.0]))
    assert log.fingerprint() == log.replace(name="other", origin="elsewhere").fingerprint()
    assert log.fingerprint() != log.replace(rating=None).fingerprint()
    assert log.fingerprint() != log.take(np.array([1, 0, 2])).fingerprint()
    wide = log.replace(user_ids=log.user_ids.astype("<U99"))
    assert log.fingerprint() == wide.fingerprint()
    assert log.fingerprint() != log.replace(user_ids=np.array(["annb", "ob"])).fingerprint()


def test_describe_goes_through_json_and_counts_thin_users():
    log = data.k_core(Interactions.from_arrays([1, 1, 2], [5, 6, 5], rating=[1, 2, 3]), 1)
    facts = json.loads(json.dumps(log.describe()))
    assert facts["interactions"] == 3
    assert facts["users_with_one_interaction"] == 1
    assert facts["rating"] == [1.0, 3.0]


def test_a_log_needs_interactions_and_two_items():
    with pytest.raises(DataError, match="no interactions"):
        Interactions.from_arrays([], [])
    with pytest.raises(DataError, match="all 2 interactions are with one item"):
        Interactions.from_arrays([1, 2], [5, 5])
    with pytest.raises(DataError, match="item: 1 value for 2 users"):
        Interactions.from_arrays([1, 2], [5])


def test_a_constant_rating_is_an_error_that_says_what_to_do():
    with pytest.raises(DataError, match=r"is 1\.0 in every row.*leave it out .rating=False"):
        Interactions.from_arrays([1, 2], [5, 6], rating=[1.0, 1.0])
