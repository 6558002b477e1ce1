"""Small logs and images for the programs."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions, synthetic
from tfadvrec.programs.images import Images, load_images


@pytest.fixture(scope="session")
def made_log() -> Interactions:
    """A made-up log with ratings and times, small."""
    return synthetic(80, 60, n_interactions=1_600, seed=1)


@pytest.fixture(scope="session")
def digits() -> Images:
    """scikit-learn's digits."""
    return load_images()


@pytest.fixture
def eager():
    """Runs TensorFlow's functions step by step: for a handful of steps tracing costs more."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def finite():
    """Asserts that every number of a record's figures is finite."""

    def check(record):
        for label, row in record["figures"].items():
            values = np.array(list(row.values()), float)
            assert len(values), label
            assert np.isfinite(values).all(), label

    return check
