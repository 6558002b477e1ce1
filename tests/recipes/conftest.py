"""A small recipe on a small made-up log, run once for all tests that only look at it."""

import pytest

from tfadvrec.recipes import parse_recipe

SMALL = """
name = "small_apr"
description = "A small model | for tests."
twin = "small_bpr"
seeds = [0, 1]

[data]
source = "synthetic"
n_users = 60
n_items = 40
n_interactions = 1200

[split]
kind = "leave_last_out"

[model]
class = "MatrixFactorization"
dimension = 8

[loss]
class = "BayesianPersonalizedRanking"

[optimizer]
class = "Adagrad"
learning_rate = 0.1

[sampling]
kind = "pairs"
batch_size = 64

[[stages]]
epochs = 3

[[stages]]
epochs = 2
adversary = {perturbation = "FastGradient", epsilon = 0.2, weight = 0.5}

[evaluation]
k = [5, 10]
baselines = ["MostPopular"]
attack = {relative_epsilon = [0.5], steps = 3}
"""


@pytest.fixture(scope="session")
def small_text():
    return SMALL


@pytest.fixture(scope="session")
def small_recipe():
    return parse_recipe(SMALL)


@pytest.fixture(scope="session")
def small_split(small_recipe):
    from tfadvrec.recipes.making_data import make_split

    return make_split(small_recipe)


@pytest.fixture(scope="session")
def small_run(small_recipe, small_split):
    from tfadvrec.recipes import run_recipe

    return run_recipe(small_recipe, split=small_split)
