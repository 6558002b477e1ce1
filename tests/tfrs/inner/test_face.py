"""The bridge's public face, in a process that can load it."""

import importlib
import os
import pathlib
import sys

import keras
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.tfrs import loading
from tfadvrec.tfrs.loading import tf_keras


def test_every_public_name_loads_and_stays_what_it_is():
    names = tar.tfrs.__all__
    first = {public: getattr(tar.tfrs, public) for public in names}
    for module in sorted(pathlib.Path(tar.tfrs.__file__).parent.glob("[a-z]*.py")):
        importlib.import_module(f"tfadvrec.tfrs.{module.stem}")
    assert {public: getattr(tar.tfrs, public) for public in names} == first
    assert len(names) == 4


def test_keras_is_still_keras_3_here():
    assert keras.__version__.startswith("3.")
    assert not issubclass(tar.tfrs.AdversarialTraining, keras.Model)
    assert issubclass(tar.tfrs.AdversarialTraining, tf_keras.Model)
    assert issubclass(tar.AdversarialTraining, keras.Model)


def test_it_loads_beside_a_scann_that_cannot(monkeypatch):
    """The process that runs these tests has been given such a scann where it has no other."""
    if os.environ.get("TFADVREC_BROKEN_SCANN") is None:
        pytest.skip("NOT TESTED: scann is installed here, so no broken one is put in its place")
    with pytest.raises(tf.errors.NotFoundError):
        importlib.import_module("scann")
    assert "NotFoundError" in loading.scann_trouble()
    assert "scann" not in sys.modules
    assert loading.load() is loading.tfrs
