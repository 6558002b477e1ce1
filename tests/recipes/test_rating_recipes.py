"""A recipe with task = "ratings": errors in place of ranks, from the text to the card."""

import json

import numpy as np
import pytest

from tfadvrec.data import by_ratio
from tfadvrec.evaluation import evaluate_ratings, rating_situations
from tfadvrec.models import BiasedMatrixFactorization
from tfadvrec.recipes import RecipeError, parse_recipe, train_preset
from tfadvrec.recipes.fitting import evaluate_run, fit_log
from tfadvrec.recipes.run_folder import load_run

TEXT = """
name = "small_ratings"
twin = "small_plain"
seeds = [0, 1]
[data]
source = "synthetic"
n_users = 60
n_items = 40
n_interactions = 1200
[split]
kind = "by_ratio"
validation = 0.0
test = 0.2
[model]
class = "BiasedMatrixFactorization"
dimension = 4
[loss]
class = "SquaredError"
[optimizer]
class = "Adam"
learning_rate = 0.02
[sampling]
kind = "points"
target = "rating"
negatives = 0
batch_size = 256
block = "none"
[[stages]]
epochs = 5
adversary = {perturbation = "FastGradient", epsilon = {class = "RelativeEpsilon", fraction = 0.1}}
[evaluation]
task = "ratings"
attack = {relative_epsilon = [0.5], steps = 3}
"""


@pytest.fixture(scope="module")
def recipe():
    return parse_recipe(TEXT)


@pytest.fixture(scope="module")
def split(recipe):
    from tfadvrec.recipes.making_data import make_split

    return make_split(recipe)


@pytest.fixture(scope="module")
def folder(recipe, split, tmp_path_factory):
    place = tmp_path_factory.mktemp("zoo") / "small_ratings"
    return train_preset(recipe, place, split=split)


def test_figures_are_errors_beside_the_twin_the_mean_and_the_biases(folder, split):
    metrics = json.loads((folder / "metrics.json").read_text())
    models = metrics["models"]
    mean, biases = "mean of all ratings", "biases of users and items"
    assert list(models) == ["small_ratings", "small_plain", mean, biases]
    assert list(models["small_plain"]) == ["test", "attacked 0.5", "noise 0.5"]
    assert (metrics["kind"], metrics["twin"]) == ("ratings", "small_plain")
    expected = np.sqrt(np.mean((split.test.rating - split.train.rating.mean()) ** 2))
    assert models[mean]["test"]["rmse"]["mean"] == pytest.approx(expected, rel=1e-5)
    own = models["small_ratings"]["test"]["rmse"]
    assert len(own["seeds"]) == 2
    assert own["interval"][0] < own["seeds"][0] < own["interval"][1]
    card = (folder / "README.md").read_text()
    assert "| model | RMSE | MAE |" in card
    assert f"| {biases} |" in card


def test_the_shipped_model_has_the_first_seeds_error(folder, split):
    model = BiasedMatrixFactorization.from_preset(folder)
    clip = (float(split.train.rating.min()), float(split.train.rating.max()))
    found = evaluate_ratings(model, split.test, clip=clip).means["rmse"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["models"]["small_ratings"]["test"]["rmse"]["seeds"][0] == pytest.approx(found)


def test_a_run_on_a_log_is_measured_by_its_errors(recipe, tmp_path):
    record = fit_log(recipe, tmp_path / "run")
    mean, biases = "mean of all ratings", "biases of users and items"
    assert list(record["models"]) == ["small_ratings", "small_plain", mean, biases]
    own = record["models"]["small_ratings"]["rmse"]
    assert own["low"] < own["value"] < own["high"]
    again = evaluate_run(load_run(tmp_path / "run"))
    assert again["models"]["small_ratings"]["rmse"]["value"] == pytest.approx(own["value"])
    assert again["users"] == record["users"] > 0


def test_biases_alone_solve_their_least_squares(split):
    """Setting the gradient of the penalised squares to zero is what the solution does."""
    log, damping = split.train, 3.0
    model = BiasedMatrixFactorization.biases_alone(log, damping=damping)
    own, others = model.user_bias.numpy(), model.item_bias.numpy()
    left = log.rating - model.mean - own[log.user] - others[log.item]
    np.testing.assert_allclose(np.bincount(log.item, left), damping * others, atol=1e-3)
    np.testing.assert_allclose(np.bincount(log.user, left), damping * own, atol=1e-3)
    with pytest.raises(ValueError, match="damping must be 0 or more"):
        BiasedMatrixFactorization.biases_alone(log, damping=-1.0)


def test_an_attack_that_knows_the_ratings_is_worse_than_noise(folder, split):
    model = BiasedMatrixFactorization.from_preset(folder)
    before = [weight.numpy().copy() for weight in model.weights]
    options = {"relative_epsilon": (0.2, 0.5), "steps": 5}
    found = rating_situations(model, split.train, split.test, **options)
    errors = {situation: result.means["rmse"] for situation, result in found.items()}
    for size in (0.2, 0.5):
        assert errors[f"attacked {size}"] > max(errors["test"], errors[f"noise {size}"])
    assert errors["attacked 0.5"] > errors["attacked 0.2"]
    assert all((a == b.numpy()).all() for a, b in zip(before, model.weights, strict=True))
    biases = BiasedMatrixFactorization.biases_alone(by_ratio(split.train).train)
    assert list(rating_situations(biases, split.train, split.test)) == ["test"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('task = "rating"', "task must be one of ranking"),
        ('task = "ratings"\nk = [10]', "k would be ignored"),
        ('task = "ratings"\nbaselines = ["EASE"]', "baselines would be ignored"),
    ],
)
def test_what_does_not_go_with_ratings_is_refused(line, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(TEXT.replace('task = "ratings"', line))
