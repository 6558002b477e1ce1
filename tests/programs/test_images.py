"""Images of digits, and what happens where the larger set cannot be had."""

import keras
import numpy as np
import pytest

from tfadvrec.programs import images as module
from tfadvrec.programs.images import load_images


def test_the_small_set_is_scaled_to_what_a_tanh_can_make(digits):
    both = np.concatenate([digits.train, digits.test])
    assert both.shape == (1797, 64)
    assert both.dtype == np.float32
    assert (both.min(), both.max()) == (-1.0, 1.0)
    assert sorted(set(digits.test_labels.tolist())) == list(range(10))


def test_no_held_out_image_is_learnt_from(digits):
    known = {row.tobytes() for row in digits.train}
    assert not any(row.tobytes() in known for row in digits.test)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="'digits' or 'mnist'"):
        load_images("faces")


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_without_the_larger_set_the_small_one_comes_and_says_so(no_cache, monkeypatch, capsys):
    def unreachable():
        raise OSError("its host cannot be reached: no network")

    monkeypatch.setattr(module, "_probe", unreachable)
    found = load_images("mnist")
    assert found.name == "digits"
    assert "MNIST could not be had" in found.origin
    assert "NOT MNIST" in capsys.readouterr().err


def test_a_download_that_breaks_off_is_said_too(no_cache, monkeypatch):
    def broken():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(module, "_probe", lambda: None)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", broken)
    assert "URL fetch failure" in load_images("mnist").origin


def test_the_larger_set_comes_as_vectors_in_the_same_range(no_cache, monkeypatch):
    pixels = np.arange(4 * 784, dtype=np.uint8).reshape(4, 28, 28)
    labels = np.arange(4, dtype=np.uint8)
    monkeypatch.setattr(module, "_probe", lambda: None)
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: ((pixels, labels), (pixels[:2], labels[:2]))
    )
    found = load_images("mnist")
    assert (found.name, found.side, found.train.shape) == ("mnist", 28, (4, 784))
    np.testing.assert_allclose((found.train + 1) * 127.5, pixels.reshape(4, 784), atol=1e-4)
    assert found.test_labels.dtype == np.int64
