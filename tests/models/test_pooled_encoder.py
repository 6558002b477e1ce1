"""Encoders of keras-hub as the source of a modality, with a small random backbone."""

import keras
import numpy as np
import pytest

from tfadvrec import losses
from tfadvrec.adversary import AdversarialTraining, FastGradient, outputs_of
from tfadvrec.data import pairs
from tfadvrec.models import Multimodal
from tfadvrec.models.pooled_encoder import PooledEncoder

WORDS = ["story", "of", "one", "two", "number"]


@pytest.fixture(scope="module")
def backbone():
    hub = pytest.importorskip("keras_hub", reason="NOT TESTED: keras-hub is not installed")
    keras.utils.set_random_seed(0)
    return hub.models.BertBackbone(
        vocabulary_size=len(WORDS) + 5,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=6,
        dropout=0.0,
    )


def tokens(texts):
    """What a tokenizer of words gives: rows of BERT's inputs, padded to 6."""
    rows = [[5 + WORDS.index(word) for word in text.split()] for text in texts]
    ids = np.array([row + [0] * (6 - len(row)) for row in rows])
    return {"token_ids": ids, "padding_mask": ids > 0, "segment_ids": np.zeros_like(ids)}


@pytest.fixture
def titles(blocks_log):
    return [f"story of {'two' if item % 2 == 0 else 'one'}" for item in range(blocks_log.n_items)]


def test_a_texts_vector_is_the_mean_of_its_tokens_and_padding_has_no_part(backbone):
    encoder = PooledEncoder(backbone)
    inputs = tokens(["story of two", "one"])
    every = np.asarray(backbone(inputs)["sequence_output"])
    expected = np.stack([every[0, :3].mean(axis=0), every[1, :1].mean(axis=0)])
    np.testing.assert_allclose(
        encoder.vectors(inputs, batch_size=1), expected, rtol=1e-4, atol=1e-6
    )
    again = PooledEncoder.from_config(encoder.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in encoder.weights]


def test_a_frozen_encoder_gives_vectors_as_an_image_would(backbone, blocks_log, titles):
    vectors = PooledEncoder(backbone).vectors(tokens(titles))
    model = Multimodal.for_log(blocks_log, vectors={"title": vectors}, dimension=4, seed=0)
    encoded = model.modality_tables[0].features.numpy()
    scale = np.median(np.linalg.norm(vectors, axis=1))
    np.testing.assert_allclose(encoded, vectors / scale, rtol=1e-4)


def test_a_tuned_encoder_learns_against_the_adversary_and_then_stays_out_of_the_preset(
    backbone, blocks_log, titles, tmp_path
):
    backbone.get_layer("pooled_dense").trainable = False  # the mean of the tokens does not pass it
    encoder, inputs = PooledEncoder(backbone), tokens(titles)
    model = Multimodal.for_log(
        blocks_log,
        vectors={"title": encoder.vectors(inputs)},
        dimension=4,
        item_ids=False,
        modality_dropout=0.0,
        seed=0,
    )
    model.attach_encoder("title", encoder, inputs)
    with pytest.raises(ValueError, match="detach_encoder"):
        model.save_to_preset(tmp_path / "early")
    before = encoder.vectors(inputs)
    robust = AdversarialTraining(model, FastGradient(0.1), target=outputs_of("modality_"))
    robust.compile(
        keras.optimizers.Adam(0.01), loss=losses.BayesianPersonalizedRanking(), jit_compile=False
    )
    found = robust.fit(pairs(blocks_log, batch_size=90, seed=0), epochs=8, verbose=0).history
    assert found["adversarial_loss"][0] > found["loss"][0]
    assert found["loss"][-1] < 0.8 * found["loss"][0]
    assert not np.allclose(encoder.vectors(inputs), before, atol=1e-3)  # it was tuned
    tuned = model.score_catalogue([0, 1]).numpy()
    model.detach_encoder("title")
    np.testing.assert_allclose(model.score_catalogue([0, 1]), tuned, rtol=1e-4, atol=1e-5)
    even = np.arange(20) % 2 == 0
    assert (
        tuned[0, even].min() > tuned[0, ~even].max() or tuned[0, ~even].min() > tuned[0, even].max()
    )
    model.save_to_preset(tmp_path / "preset")
    again = Multimodal.from_preset(str(tmp_path / "preset"))
    assert len(again.weights) == len(model.weights)  # no weight of the encoder is among them
