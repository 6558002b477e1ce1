import numpy as np
import pyarrow as pa
import pytest

from tfadvrec.data import DataError, DataWarning, Interactions, checks, hash_ids
from tfadvrec.data.checks import check_memory
from tfadvrec.data.vocabulary import encode


def test_spellings_of_one_whole_number_are_one_id_and_are_reported():
    column = np.array(["1", 1, 1.0, "1.0", "2"], dtype=object)
    ids, rows, merged = encode(column)
    assert ids.tolist() == [1, 2]
    assert ids.dtype == np.int64
    assert rows.tolist() == [0, 0, 0, 0, 1]
    assert merged == [("1", "1.0")]


def test_a_log_with_several_spellings_warns_and_counts():
    with pytest.warns(DataWarning, match=r"'1' = '1\.0'"):
        log = Interactions.from_arrays(["1", "1.0", "b"], [5, 6, 5])
    assert log.n_users == 2
    assert log.dropped == {"user ids spelled in several ways, merged": 1}


def test_blanks_around_an_id_do_not_count():
    ids, rows, merged = encode(np.array([" ann", "ann", "bob"]))
    assert ids.tolist() == ["ann", "bob"]
    assert rows.tolist() == [0, 0, 1]
    assert merged == [(" ann", "ann")]


def test_leading_zeros_and_versions_stay_text():
    assert encode(np.array(["007", "7"])).ids.tolist() == ["007", "7"]
    assert encode(np.array(["1.0", "1.5", "x"])).ids.tolist() == ["1.0", "1.5", "x"]


@pytest.mark.parametrize("none", ["", "NaN", "null", "None", "NA", " "])
def test_texts_for_nothing_are_no_id(none):
    assert encode(np.array([none, "ann"])).rows.tolist() == [-1, 0]


def test_nan_is_no_id_and_whole_floats_are_integers():
    ids, rows, _ = encode(np.array([3.0, np.nan, 1.0]))
    assert ids.tolist() == [1, 3]
    assert rows.tolist() == [1, -1, 0]


def test_fractions_are_no_ids():
    with pytest.raises(DataError, match=r"integers or text, got the floats 1\.5"):
        encode(np.array([1.5, 2.0]), "item")


def test_infinite_ids_are_no_ids():
    assert encode(np.array([np.inf, 1.0])).rows.tolist() == [-1, 0]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([["b", "a"], ["b", None]]),
        pa.chunked_array(
            [pa.array(["b", "a"]).dictionary_encode(), pa.array(["b", None]).dictionary_encode()]
        ),
        pa.array([b"b", b"a", b"b", None]),
        pa.array(["b", "a", "b", None], pa.large_string()),
    ],
)
def test_every_arrow_kind_of_text_is_encoded(column):
    ids, rows, _ = encode(column)
    assert ids.tolist() == ["a", "b"]
    assert rows.tolist() == [1, 0, 1, -1]


def test_numbers_beyond_int64_are_text():
    assert encode(np.array(["99999999999999999999", "1"])).ids.tolist() == [
        "1",
        "99999999999999999999",
    ]


def test_unused_values_of_a_dictionary_get_no_row():
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0]), pa.array(["c", "b", "a"]))
    assert encode(column).ids.tolist() == ["a", "c"]


def test_hash_ids_are_the_same_everywhere_and_for_every_spelling():
    assert (
        hash_ids(["1", "ann"], buckets=100).tolist()
        == hash_ids([b"1", b"ann"], buckets=100).tolist()
    )
    assert hash_ids([1, 2], buckets=10).max() < 10
    assert hash_ids(["1"], buckets=1000)[0] == hash_ids([1], buckets=1000)[0]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        hash_ids([1], buckets=0)


def test_a_vocabulary_that_fits_no_memory_is_refused_with_its_size():
    with pytest.raises(DataError, match=r"about 1\.5 GiB.*hash_ids"):
        check_memory(1_000_000, 1_048_576, available=2**30)


def test_a_constructor_estimates_the_memory_first(monkeypatch):
    monkeypatch.setattr(checks, "physical_memory", lambda: 1000)
    with pytest.raises(DataError, match="1 users and 2 items need about"):
        Interactions.from_arrays([1, 1], [5, 6])
