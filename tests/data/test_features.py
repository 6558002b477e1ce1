import numpy as np
import pyarrow as pa
import pytest

from tfadvrec.data import DataError, Interactions

LOG = Interactions.from_arrays(["u", "v", "v"], [10, 20, 30])


def test_features_follow_the_vocabulary_not_the_frame():
    items = {
        "id": [30, 10, 20, 99],
        "year": [1999, 1987, 2001, 1],
        "title": ["c", "a", "b", "z"],
        "genre": ["War| Drama", "", "War", "x"],
    }
    log = LOG.with_features(items=items, lists={"genre": "|"})
    assert log.item_features["year"].tolist() == [1987.0, 2001.0, 1999.0]
    assert log.item_features["year"].dtype == np.float32
    assert log.item_features["title"].tolist() == ["a", "b", "c"]
    assert log.item_features["genre"].tolist() == [(), ("War",), ("War", "Drama")]
    assert log.dropped == {"item features: ids that the log lacks": 1}
    assert LOG.item_features == {}


def test_both_sides_text_ids_and_a_named_key():
    users = pa.table({"age": [30, 40], "name": [b"v", b"u"]})
    log = LOG.with_features(users=users, user_id="name")
    assert log.user_features["age"].tolist() == [40.0, 30.0]
    log = log.with_features(items={"item": ["10", "20", "30"], "kind": ["a", "b", "a"]})
    assert set(log.user_features) == {"age"}
    assert log.item_features["kind"].tolist() == ["a", "b", "a"]


def test_lists_of_an_arrow_column_are_tuples():
    items = pa.table({"id": [10, 20, 30], "tags": [["x", "y"], [], None]})
    assert LOG.with_features(items=items, missing="fill").item_features["tags"].tolist() == [
        ("x", "y"),
        (),
        (),
    ]
    rows = {"id": [10, 20, 30], "tags": [("x",), (), ("y", "z")]}
    assert LOG.with_features(items=rows).item_features["tags"].tolist() == rows["tags"]


def test_rows_without_features_are_an_error_or_are_filled_and_counted():
    items = {"id": [10, 20], "year": [2000.0, 1990.0], "title": ["a", "b"]}
    with pytest.raises(DataError, match=r'no row for 1 item of the log: 30.*missing="fill"'):
        LOG.with_features(items=items)
    log = LOG.with_features(items=items, missing="fill")
    assert log.item_features["year"].tolist() == [2000.0, 1990.0, 1995.0]
    assert log.item_features["title"].tolist() == ["a", "b", ""]
    assert log.dropped == {"item features: year filled": 1, "item features: title filled": 1}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_missing_are_named_by_id(bad):
    items = {"id": [10, 20, 30], "year": [2000.0, bad, 1990.0]}
    with pytest.raises(DataError, match="column 'year' has no value for 1 item: 20"):
        LOG.with_features(items=items)


def test_a_constant_numeric_feature_is_refused():
    with pytest.raises(DataError, match=r"column 'year' is 2000\.0 in every row"):
        LOG.with_features(items={"id": [10, 20, 30], "year": [2000, 2000, 2000]})


def test_ids_with_several_rows_or_none_are_named():
    with pytest.raises(DataError, match="1 id with several rows: 10"):
        LOG.with_features(items={"id": [10, 10, 20, 30], "year": [1, 2, 3, 4]})
    with pytest.raises(DataError, match="row 1 has no id in column 'id'"):
        LOG.with_features(items={"id": [10.0, np.nan, 30.0], "year": [1, 2, 3]})


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no column 'genres'"):
        LOG.with_features(items={"id": [10], "genre": ["x"]}, lists={"genres": "|"})
    with pytest.raises(ValueError, match="missing: expected one of error, fill"):
        LOG.with_features(items={"id": [10]}, missing="zero")
