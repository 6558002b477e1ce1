"""Recipes with a game."""

import numpy as np
import pytest

from tfadvrec.recipes import RecipeError, parse_recipe, run_recipe, train_preset

GAME = """
name = "played"
seeds = [0]
[data]
source = "synthetic"
n_users = 60
n_items = 40
n_interactions = 1200
[model]
class = "CollaborativeGenerator"
side = "user"
hidden = [16]
[game]
class = "CollaborativeGame"
batch_size = 20
block = "none"
method = "zp"
discriminator = [8]
reconstruction = 1.0
[game.loss]
class = "LeastSquares"
[game.generator_optimizer]
class = "Adam"
learning_rate = 0.01
[[stages]]
epochs = 4
[evaluation]
k = [10]
baselines = ["MostPopular"]
"""


def test_a_game_is_played_and_watched():
    run = run_recipe(parse_recipe(GAME))
    assert {"generator_loss", "discriminator_loss", "accuracy_fake"} <= set(run.history[0])
    assert len(run.history[0]["generator_loss"]) == 4
    assert "coverage" in run.health.names
    assert run.model.score_catalogue([0]).shape == (1, run.split.train.n_items)


def test_the_same_seed_plays_the_same_game():
    recipe = parse_recipe(GAME)
    first, second = (run_recipe(recipe).model.get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_preset_of_a_game_says_first_how_it_compares(tmp_path):
    from tfadvrec import presets

    recipe = parse_recipe(GAME.replace("seeds = [0]", 'twin = "twin"\nseeds = [0]'))
    twin = parse_recipe(
        GAME.replace('name = "played"', 'name = "twin"').replace(
            "epochs = 4", "epochs = 3\nadversarial_weight = 0.0"
        )
    )
    folder = train_preset(recipe, tmp_path / "played", twin=twin)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.split("\n")[2].startswith("**On the test part its ndcg@10 is ")
    assert "twin without the adversary" in card.split("\n")[2]
    assert "4 epochs of `CollaborativeGame` with adversarial weight 1" in card
    assert (folder / "health.png").read_bytes().startswith(b"\x89PNG")
    loaded = presets.load(folder)
    assert type(loaded).__name__ == "CollaborativeGenerator"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('class = "CollaborativeGame"', 'class = "CollaborativeGames"'), "Did you mean"),
        (("discriminator = [8]", "discriminators = [8]"), "no key 'discriminators'"),
        (("batch_size = 20", "batch_size = 2.5"), "needs batch_size"),
        (
            ("epochs = 4", "epochs = 4\ngame = false"),
            r"needs \[loss\], \[optimizer\], \[sampling\]",
        ),
        (("[[stages]]", '[loss]\nclass = "Hinge"\n[[stages]]'), "would be ignored"),
        (
            ("epochs = 4", "epochs = 4\nadversary = {perturbation = 'X', epsilon = 1}"),
            "game = false",
        ),
        (('class = "LeastSquares"', 'class = "LeastCubes"'), "LeastSquares"),
    ],
)
def test_a_game_that_cannot_be_meant_is_refused_by_name(change, message):
    with pytest.raises(RecipeError, match=message):
        run_recipe(parse_recipe(GAME.replace(*change)))


def test_a_twin_that_plays_is_no_twin(tmp_path):
    recipe = parse_recipe(GAME.replace("seeds = [0]", 'twin = "played"\nseeds = [0]'))
    with pytest.raises(RecipeError, match="it has an adversary itself"):
        train_preset(recipe, tmp_path / "x", twin=parse_recipe(GAME))
