"""Feature columns: what they learn, how they encode, and that they are strict."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfadvrec.models.feature_column import FeatureColumn
from tfadvrec.models.feature_values import as_texts, guess_kind

LEARNED = [
    FeatureColumn.learn("age", np.array([20.0, 40.0, np.nan], np.float32)),
    FeatureColumn.learn("job", np.array(["clerk", "cook", ""])),
    FeatureColumn.learn(
        "title", np.array(["The Sea", "A cook's Book, a"]), kind="text", buckets=64
    ),
    FeatureColumn.learn("genres", [("war", "drama"), (), ("drama",)], dimension=4),
]


@pytest.mark.parametrize("column", LEARNED, ids=lambda column: column.kind)
def test_goes_through_json(column):
    assert FeatureColumn.from_dict(json.loads(json.dumps(column.to_dict()))) == column


def test_numbers_are_standardised_by_what_was_learned_and_missing_ones_are_the_mean():
    age = LEARNED[0]
    assert (age.mean, age.scale) == (30.0, 10.0)
    encoded = age.encode([30.0, 50.0, np.nan])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[0.0], [2.0], [0.0]]
    assert age.known([30.0, 50.0, np.nan], encoded).tolist() == [True, True, False]
    assert FeatureColumn.learn("constant", [3.0, 3.0]).encode([3.0]).tolist() == [[0.0]]


def test_categories_share_one_unknown_row_after_the_vocabulary():
    job = LEARNED[1]
    assert job.vocabulary == ("clerk", "cook")
    assert job.cardinality == 3
    encoded = job.encode(["cook", "pilot", "", "clerk"])
    assert encoded.tolist() == [[1], [2], [2], [0]]
    assert job.known(["cook", "pilot", "", "clerk"], encoded).tolist() == [True, False, False, True]


def test_several_values_are_padded_with_minus_one_and_kept_once():
    genres = LEARNED[3]
    assert (genres.vocabulary, genres.length) == (("drama", "war"), 2)
    entries = [("war", "war", "drama"), (), ("opera",), ("opera", "ballet", "war")]
    encoded = genres.encode(entries)
    assert encoded.tolist() == [[1, 0], [-1, -1], [2, -1], [2, 1]]  # unknown ones are one
    assert genres.known(entries, encoded).tolist() == [True, False, False, True]


def test_new_items_with_more_values_than_any_known_one_get_room_and_no_new_words():
    learnt = FeatureColumn.learn("genre", [("war",), ("drama", "war")])
    wide = learnt.widened([("comedy", "war", "drama"), ("war",)])
    assert wide.vocabulary == learnt.vocabulary == ("drama", "war")
    assert learnt.encode([("comedy", "war", "drama")]).tolist() == [[2, 1]]
    assert wide.encode([("comedy", "war", "drama")]).tolist() == [[2, 1, 0]]
    assert learnt.widened([()]) == learnt
    number = FeatureColumn.learn("year", [1990.0, 1991.0])
    assert number.widened([1.0]) is number


def test_words_are_hashed_without_case_signs_and_repeats():
    title = LEARNED[2]
    assert title.length == 5  # a, cook, s, book, a
    encoded = title.encode(["The Sea", "sea THE!", "", "the the"])
    assert sorted(encoded[0]) == sorted(encoded[1])
    assert encoded[2].tolist() == [-1] * 5
    assert (encoded[3] >= 0).sum() == 1
    assert encoded.max() < 64


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from tfadvrec.models.feature_column import FeatureColumn as C;"
        "print(C(name='t', kind='text', buckets=997, length=3).encode(['Toy Story é']).tolist())"
    )
    here = FeatureColumn(name="t", kind="text", buckets=997, length=3).encode(["Toy Story é"])
    environment = {"PYTHONHASHSEED": "17", "PYTHONPATH": ":".join(sys.path)}
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert there.stdout.strip() == str(here.tolist())
    assert here[0, 0] == 662  # CRC-32 of b'toy', 1728423790, modulo 997


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([1.5, 2.0]), "numeric"),
        ([("a",), ()], "multi"),
        (np.array(["a b", "c d", "e f"]), "text"),
        (np.array(["new york", "new york", "new york", "new york", "san jose"]), "categorical"),
        (np.array(["12345", "54321", "33333"]), "categorical"),
    ],
)
def test_the_kind_is_guessed_from_the_values(values, kind):
    assert guess_kind(values) == kind


def test_whole_numbers_become_text_without_a_point():
    assert as_texts("zip", [7.0, 7, "7", np.nan, None, 7.5]) == ["7", "7", "7", "", "", "7.5"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"name": "a", "kind": "numeric", "mean": 0.0}, "keys .*'scale'"),
        ({"name": "a", "kind": "numeric", "mean": 0.0, "scale": 1.0, "x": 1}, "got .*'x'"),
        ({"name": "a", "kind": "lambda"}, "kind is one of"),
        ({"name": "a", "kind": "numeric", "mean": 0.0, "scale": 0.0}, "scale above 0"),
        ({"name": "a", "kind": "numeric", "mean": float("nan"), "scale": 1.0}, "mean is a finite"),
        ({"name": "", "kind": "numeric", "mean": 0.0, "scale": 1.0}, "name is a text"),
        ({"name": "a", "kind": "categorical", "dimension": 0, "vocabulary": []}, "dimension"),
        ({"name": "a", "kind": "categorical", "dimension": 2, "vocabulary": ["x", "x"]}, "twice"),
        ({"name": "a", "kind": "categorical", "dimension": 2, "vocabulary": "xy"}, "list of texts"),
        ({"name": "a", "kind": "text", "dimension": 2, "buckets": True, "length": 1}, "buckets"),
    ],
)
def test_a_record_that_is_not_right_is_refused(record, message):
    with pytest.raises(ValueError, match=message):
        FeatureColumn.from_dict(record)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([], None, "no value to learn"),
        ([1.0, np.inf], None, r"rows with an infinity: \[1\]"),
        ([np.nan, np.nan], None, "all 2 values are missing"),
        (["a", "b"], "numeric", "holds numbers"),
        (["a|b", "c"], "multi", "tuples of text, got 'a|b'"),
        ([("a",), ("b",)], "categorical", "one text a row"),
    ],
)
def test_values_that_do_not_suit_the_kind_are_refused(values, kind, message):
    with pytest.raises(ValueError, match=message):
        FeatureColumn.learn("f", values, **({"kind": kind} if kind else {}))
