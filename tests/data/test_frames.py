import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfadvrec.data import DataError, DataWarning, Interactions

COLUMNS = {
    "user_id": ["ann", "bob", "ann"],
    "item_id": [3, 3, 1],
    "rating": [4.0, 2.5, 1.0],
    "timestamp": [100, 90, 120],
}


def frames():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    table = pa.table(COLUMNS)
    return {
        "dict": COLUMNS,
        "arrays": {key: np.array(values) for key, values in COLUMNS.items()},
        "arrow": table,
        "batch": table.to_batches()[0],
        "pandas": pandas.DataFrame(COLUMNS),
        "pandas objects": pandas.DataFrame(COLUMNS).astype({"user_id": object}),
        "pandas categories": pandas.DataFrame(COLUMNS).astype({"user_id": "category"}),
        "polars": polars.DataFrame(COLUMNS),
        "series": dict(pandas.DataFrame(COLUMNS)),
    }


@pytest.mark.parametrize("kind", sorted(frames()))
def test_every_kind_of_frame_gives_the_same_log(kind):
    log = Interactions.from_frame(frames()[kind])
    assert log.user_ids[log.user].tolist() == ["ann", "bob", "ann"]
    assert log.item_ids.tolist() == [1, 3]
    assert log.rating.tolist() == [4.0, 2.5, 1.0]
    assert log.time.tolist() == [100, 90, 120]
    assert log.fingerprint() == Interactions.from_frame(COLUMNS).fingerprint()


def test_the_dataframe_protocol_alone_is_enough():
    class Frame:
        def __dataframe__(self, nan_as_null=False, allow_copy=True):
            return pa.table(COLUMNS).__dataframe__()

    assert len(Interactions.from_frame(Frame())) == 3


def test_dates_of_a_pandas_frame_are_seconds():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    frame["timestamp"] = pandas.to_datetime(frame["timestamp"], unit="s")
    assert Interactions.from_frame(frame).time.tolist() == [100, 90, 120]


def test_mixed_types_in_a_pandas_column_follow_the_string_rule():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"user": ["1", 1, 1.0, "b"], "item": [1, 2, 3, 1]})
    assert Interactions.from_frame(frame).user_ids.tolist() == ["1", "b"]
    frame = pandas.DataFrame({"user": ["1", 1.0, "1.0", "b"], "item": [1, 2, 3, 1]})
    with pytest.warns(DataWarning, match=r"'1' = '1\.0'"):
        assert Interactions.from_frame(frame).user_ids.tolist() == ["1", "b"]


def test_nan_ids_of_a_frame_are_refused_by_row():
    frame = {"user": np.array([1.0, np.nan, 2.0]), "item": [1, 2, 3]}
    with pytest.raises(DataError, match="1 row with a user without id: row 1"):
        Interactions.from_frame(frame)
    log = Interactions.from_frame(frame, invalid="drop")
    assert log.user_ids.tolist() == [1, 2]
    assert log.item_ids.tolist() == [1, 3]


def test_what_is_no_frame_is_named():
    with pytest.raises(DataError, match=r"a mapping of names to arrays, got builtins\.list"):
        Interactions.from_frame([1, 2])
    with pytest.raises(DataError, match="item: 1 value for 2 rows"):
        Interactions.from_frame({"user": [1, 2], "item": [1]})


def test_parquet_files_and_folders(tmp_path):
    path = tmp_path / "part-0.parquet"
    pq.write_table(pa.table(COLUMNS), path)
    expected = Interactions.from_frame(COLUMNS).fingerprint()
    assert Interactions.from_parquet(path).fingerprint() == expected
    assert Interactions.from_parquet(tmp_path).fingerprint() == expected
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        Interactions.from_parquet(path)
    with pytest.raises(FileNotFoundError):
        Interactions.from_parquet(tmp_path / "none.parquet")
