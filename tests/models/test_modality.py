"""Modalities: raw values as vectors, and the tables that hold them."""

import json
import zlib

import keras
import numpy as np
import pytest

from tfadvrec.models.hashed_text import grams, hashed_counts
from tfadvrec.models.modality import Modality
from tfadvrec.models.modality_table import ModalityTable

TITLES = np.array(["The Piano", "The Red Piano", "Red Dawn", ""])


def test_grams_are_of_words_and_of_characters_inside_a_word():
    assert grams("Red red", words=2) == ["red", "red", "red red"]
    assert grams("ab", words=0, characters=[3]) == ["\t ab", "\tab "]


def test_counts_lie_in_the_buckets_of_the_hash_and_weigh_their_logarithm():
    counts = hashed_counts(["red Red red dawn"], 512).toarray()[0]
    red, dawn = (zlib.crc32(word) % 512 for word in (b"red", b"dawn"))
    assert counts[red] == pytest.approx(1 + np.log(3))
    assert counts[dawn] == 1
    assert np.count_nonzero(counts) == 2


def test_text_is_weighted_by_rarity_and_of_length_one():
    title = Modality.learn("title", TITLES, kind="text", width=1024)
    vectors, present = title.encode(TITLES)
    assert present.tolist() == [True, True, True, False]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], rtol=1e-6)
    the, piano, dawn = (zlib.crc32(word) % 1024 for word in (b"the", b"piano", b"dawn"))
    ratio = vectors[2, dawn] / vectors[2, zlib.crc32(b"red") % 1024]
    assert ratio == pytest.approx(np.log(5 / 1) / np.log(5 / 2), rel=1e-4)
    assert vectors[0, the] == pytest.approx(vectors[0, piano])


def test_unknown_words_and_tags_say_nothing_until_they_are_learned():
    title = Modality.learn("title", TITLES, kind="text", width=4096)
    new = np.array(["Piano Zebra", "Zebra"])
    vectors, present = title.encode(new)
    assert present.tolist() == [True, False]
    assert np.count_nonzero(vectors[0]) == 1
    extended = title.extended(new)
    vectors, present = extended.encode(new)
    assert present.all()
    assert np.count_nonzero(vectors[0]) == 2
    old = np.array(title.weights)
    np.testing.assert_array_equal(np.array(extended.weights)[old > 0], old[old > 0])


def test_categories_are_tags_and_numbers_lie_near_their_centres():
    kind = Modality.learn("kind", np.array(["a", "b", "a", ""]))
    assert (kind.kind, kind.vocabulary) == ("tags", ("a", "b"))
    vectors, present = kind.encode(["b", "c"])
    assert (vectors.tolist(), present.tolist()) == ([[0, 1], [0, 0]], [True, False])
    year = Modality.learn("year", np.arange(1950.0, 2001.0))
    vectors, present = year.encode([1950, 2000, np.nan, 2100])
    assert vectors.argmax(axis=1).tolist() == [0, 15, 0, 15]
    assert present.tolist() == [True, True, False, True]
    assert not vectors[2].any()


def test_given_vectors_are_measured_by_their_median_length():
    given = np.array([[3.0, 4.0], [30.0, 40.0], [0.6, 0.8], [np.nan, 0.0], [0.0, 0.0]])
    image = Modality.learn("image", given)
    assert (image.kind, image.width, image.scale) == ("vector", 2, 5.0)
    vectors, present = image.encode(given)
    assert present.tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 10, 0.2, 0, 0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(rows, 2\) are expected"):
        image.encode(np.ones((3, 5)))


@pytest.mark.parametrize("values", [TITLES, [("x", "y"), ()], np.arange(9.0), np.eye(3)])
def test_a_modality_survives_json(values):
    modality = Modality.learn("any", values)
    again = Modality.from_dict(json.loads(json.dumps(modality.to_dict())))
    assert again == modality
    for one, other in zip(modality.encode(values), again.encode(values), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "sound"}, "kinds"),
        ({"kind": "text", "words": 0}, "needs n-grams"),
        ({"kind": "text", "width": 3, "weights": [1.0]}, "3 weights are expected"),
        ({"kind": "tags"}, "need a vocabulary"),
        ({"kind": "number", "low": 2.0, "high": 2.0}, "low is below high"),
        ({"kind": "vector", "scale": 0.0}, "scale is above 0"),
    ],
)
def test_bad_modalities_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Modality(name="m", **fields)


def test_a_strange_key_is_refused():
    with pytest.raises(ValueError, match="has the keys"):
        Modality.from_dict({"name": "m", "kind": "tags", "vocabulary": ["a"], "low": 0.0})


def table():
    made = ModalityTable(rows=4, modality=Modality.learn("kind", ["a", "b"]), name="kind")
    assert made.encode(["a", "b", "a", ""]) == 0.75
    return made


@pytest.mark.parametrize(("impute", "stands_in"), [("zero", [0, 0]), ("mean", [2 / 3, 1 / 3])])
def test_hidden_rows_are_nothing_or_the_mean_and_come_back(impute, stands_in):
    made = table()
    before = [part.numpy() for part in (made.features, made.present)]
    with made.hidden([0, 3], impute=impute):
        vectors, present = made(np.arange(4))
        np.testing.assert_allclose(vectors[0], stands_in)
        assert present.numpy().tolist() == [float(impute == "mean"), 1, 1, 0]
        np.testing.assert_array_equal(vectors[3], [0, 0])  # it never had one
    for part, old in zip((made.features, made.present), before, strict=True):
        np.testing.assert_array_equal(part, old)
    with pytest.raises(ValueError, match="impute is one of"), made.hidden([0], impute="noise"):
        pass


def test_an_encoder_stands_in_until_it_is_detached():
    made = ModalityTable(rows=3, modality=Modality(name="text", kind="vector", width=2, scale=2.0))
    encoder = keras.layers.Dense(2, use_bias=False)
    inputs = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    made.attach(encoder, inputs)
    vectors, present = made(np.array([[2, 0]]))
    np.testing.assert_allclose(vectors[0, 0], inputs[2] @ encoder.kernel.numpy() / 2, rtol=1e-5)
    assert present.numpy().tolist() == [[1, 1]]
    assert len(made.trainable_weights) == 1
    made.detach(batch_size=2)
    assert made.trainable_weights == []
    np.testing.assert_allclose(made(np.array([[2, 0]]))[0], vectors, rtol=1e-5)
    with pytest.raises(ValueError, match="no encoder is attached"):
        made.detach()
    made.present.assign([1.0, 0.0, 1.0])
    made.attach(encoder, inputs)
    assert made.present.numpy().tolist() == [1, 0, 1]  # the second has no text to encode
    with pytest.raises(ValueError, match="detach"), made.hidden([0], impute="mean"):
        pass
    with made.hidden([0]):
        assert made.present.numpy().tolist() == [0, 0, 1]
    made.detach()
    with pytest.raises(ValueError, match="a row an item: 3"):
        made.attach(encoder, inputs[:2])
