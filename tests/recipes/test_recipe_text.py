"""A recipe's text: what it may say, and what it is told when it says something else."""

import tomllib

import pytest

from tfadvrec.presets import zoo
from tfadvrec.recipes import RecipeError, load_recipe, parse_recipe


def test_fields_and_what_follows_from_them(small_recipe):
    assert small_recipe.epochs == 5
    assert small_recipe.adversarial
    assert not small_recipe.closed_form
    assert small_recipe.k == (5, 10)
    assert small_recipe.seeds == (0, 1)
    assert small_recipe.attack == {"relative_epsilon": [0.5], "steps": 3, "norm": "l2"}


def test_the_twin_has_as_many_epochs_and_no_adversary(small_recipe):
    twin = small_recipe.undefended()
    assert twin.name == "small_bpr"
    assert twin.stages == ({"epochs": 5},)
    assert not twin.adversarial
    assert twin.data == small_recipe.data


def test_own_text_is_kept_and_a_changed_recipe_is_written_anew(small_recipe, small_text):
    assert small_recipe.to_toml() == small_text
    changed = small_recipe.replace(
        name='quote " and \\ back', description="two\nlines", text="", preset={"weights": False}
    )
    again = parse_recipe(changed.to_toml())
    assert again.to_dict() == changed.to_dict()
    assert again.description == "two\nlines"
    tomllib.loads(small_recipe.undefended().to_toml())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds = [0, 1]", "seed = [0, 1]", "no key 'seed'. Did you mean 'seeds'"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds must be different"),
        ("seeds = [0, 1]", "seeds = [0.5]", "seeds must be different integers"),
        ('source = "synthetic"', 'source = "sinthetic"', "Did you mean 'synthetic'"),
        ("n_users = 60", "n_user = 60", "Did you mean 'n_users'"),
        ("n_users = 60", 'n_users = "60"', "n_users must be int"),
        ("n_users = 60", "n_users = true", "n_users must be int"),
        ('kind = "leave_last_out"', 'kind = "leave_last"', "Did you mean 'leave_last_out'"),
        ('kind = "leave_last_out"', "validation = true", "has no kind = None"),
        ('class = "MatrixFactorization"\n', "", r"\[model\] needs class"),
        ("batch_size = 64", "batchsize = 64", "Did you mean 'batch_size'"),
        ("batch_size = 64", "", r"\[sampling\] lacks batch_size"),
        ("epochs = 3", "epochs = 0", "epochs must be 1 or more"),
        ("epochs = 3", "epoch = 3", "Did you mean 'epochs'"),
        ("epsilon = 0.2", "eps = 0.2", "Did you mean 'epsilon'"),
        ("epsilon = 0.2, ", "", "lacks epsilon"),
        ("k = [5, 10]", "k = [0]", "k must be positive integers"),
        ("k = [5, 10]", "k = 5", "k must be list"),
        ("steps = 3", "step = 3", "Did you mean 'steps'"),
        ('name = "small_apr"', "", "lacks name"),
        ('name = "small_apr"', "name = ", "not TOML"),
        ("[loss]", "[losses]", "Did you mean 'loss'"),
        ("[evaluation]", "[choose]\nx = [1]\n[evaluation]", "is for models in closed form"),
    ],
)
def test_what_cannot_be_meant_is_named_with_the_nearest_right_word(small_text, old, new, words):
    assert old in small_text
    with pytest.raises(RecipeError, match=words):
        parse_recipe(small_text.replace(old, new))


def test_training_needs_all_its_sections_and_a_closed_form_none(small_text):
    without_loss = small_text.replace('[loss]\nclass = "BayesianPersonalizedRanking"\n', "")
    with pytest.raises(RecipeError, match=r"needs \[loss\]"):
        parse_recipe(without_loss)
    head, _, rest = small_text.partition("[[stages]]")
    with pytest.raises(RecipeError, match="would be ignored"):
        parse_recipe(head + "[evaluation]" + rest.partition("[evaluation]")[2])


def test_published_data_brings_its_own_split():
    data = '[data]\nsource = "published"\ntrain = "a"\ntest = "b"\n'
    text = f'name = "p"\n{data}[model]\nclass = "EASE"\n'
    assert parse_recipe(text).split == {}
    with pytest.raises(RecipeError, match="the files are it"):
        parse_recipe(text + '[split]\nkind = "by_time"\n')


def test_an_error_names_the_file(tmp_path, small_text):
    path = tmp_path / "mine.toml"
    path.write_text(small_text.replace("seeds", "sedes"))
    with pytest.raises(RecipeError, match=r"mine\.toml: .*Did you mean 'seeds'"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="there is no recipe"):
        load_recipe(tmp_path / "other.toml")


@pytest.mark.parametrize("name", sorted(zoo.folders()))
def test_every_zoo_recipe_is_sound_and_differs_from_its_twin_in_the_adversary_alone(name):
    from tfadvrec.recipes.zoo_training import check_twin

    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    if recipe.adversarial or recipe.twin:
        check_twin(recipe, load_recipe(recipe.twin))
    ships_weights = recipe.preset.get("weights", True)
    if ships_weights and not recipe.closed_form:
        assert len(recipe.seeds) >= 3
