"""A split of a log with two tastes, and people in and out of a generator's training."""

import pytest

from tests.synthesis.synthesis_cases import people
from tfadvrec.data import leave_last_out, synthetic


@pytest.fixture(scope="session")
def population():
    return people()


@pytest.fixture(scope="session")
def split():
    return leave_last_out(synthetic(300, 150, n_interactions=7_000, seed=3))
