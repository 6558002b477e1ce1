"""`zoo train`: all seeds, the twin, baselines and figures end in one folder."""

import json

import pytest

from tfadvrec import presets
from tfadvrec.cli.app import main
from tfadvrec.recipes import RecipeError, parse_recipe, train_preset
from tfadvrec.recipes.zoo_training import check_twin


@pytest.fixture(scope="module")
def folder(small_recipe, small_split, tmp_path_factory):
    zoo = tmp_path_factory.mktemp("zoo")
    return train_preset(
        small_recipe,
        zoo / "small_apr",
        split=small_split,
        twin_folder=zoo / "small_bpr",
    )


def test_the_preset_is_the_first_seeds_model(folder, small_run):
    model = presets.load(folder)
    for one, two in zip(small_run.model.weights, model.weights, strict=True):
        assert (one.numpy() == two.numpy()).all()


def test_figures_stand_beside_the_twin_and_the_baselines(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics["models"]) == ["small_apr", "small_bpr", "MostPopular"]
    for name in ("small_apr", "small_bpr"):
        assert list(metrics["models"][name]) == [
            "validation",
            "test",
            "attacked 0.5",
            "attacked, plain loss 0.5",
            "noise 0.5",
        ]
        row = metrics["models"][name]["test"]["ndcg@10"]
        assert len(row["seeds"]) == 2
        assert row["interval"][0] <= row["seeds"][0] <= row["interval"][1]
    assert metrics["seeds"] == [0, 1]
    against = metrics["against_twin"]["test"]["ndcg@10"]
    means = [metrics["models"][n]["test"]["ndcg@10"]["mean"] for n in ("small_apr", "small_bpr")]
    assert against["difference"] == pytest.approx(means[0] - means[1])
    assert against["low"] <= against["difference"] <= against["high"]
    assert "leaks time" in metrics["split"]


def test_the_twins_preset_is_of_the_same_runs(folder, small_recipe):
    both = [
        json.loads((path / "metrics.json").read_text())
        for path in (folder, folder.with_name("small_bpr"))
    ]
    assert list(both[1]["models"]) == ["small_bpr", "MostPopular"]
    assert both[1]["models"]["small_bpr"] == both[0]["models"]["small_bpr"]
    assert "twin" not in both[1]
    assert presets.load(folder.with_name("small_bpr")).n_items == presets.load(folder).n_items
    other = small_recipe.replace(evaluation={**small_recipe.evaluation, "k": [5]})
    with pytest.raises(RecipeError, match="measured otherwise"):
        train_preset(
            other,
            folder.with_name("x"),
            twin=small_recipe.undefended(),
            twin_folder=folder.with_name("y"),
        )


def test_the_command_writes_the_twin_beside(small_text, tmp_path, capsys):
    short = small_text.replace("seeds = [0, 1]", "seeds = [0]").replace("epochs = 3", "epochs = 1")
    (tmp_path / "small.toml").write_text(short)
    output = tmp_path / "zoo" / "small_apr"
    words = ["zoo", "train", str(tmp_path / "small.toml"), "--output", str(output), "--twin"]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--json"])
    assert json.loads(capsys.readouterr().out)["name"] == "small_apr"
    for name in ("small_apr", "small_bpr"):
        assert presets.load(output.with_name(name)).n_items == 40
    recipe = (output.with_name("small_bpr") / "recipe.toml").read_text()
    assert "adversary" not in recipe


def test_the_folder_says_where_it_comes_from(folder, small_text, small_recipe, small_split):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["data"]["licence"] == "made up by this package; free"
    assert len(manifest["data"]["fingerprint"]) == 64
    assert (folder / "recipe.toml").read_text() == small_text
    card = (folder / "README.md").read_text()
    assert "## Figures" in card
    assert "| small_bpr |" in card
    assert "against `FastGradient` (epsilon=0.2, weight=0.5)" in card


def test_a_closed_form_needs_one_seed_and_no_weights(small_split, small_text, tmp_path):
    head, tail = small_text.split("[model]")[0], small_text.split("[evaluation]")[1]
    head = head.replace('twin = "small_bpr"\n', "")
    model = '[model]\nclass = "EASE"\n[choose]\nregularization = [5.0, 50.0]\n'
    recipe = parse_recipe(f"{head}{model}[preset]\nweights = false\n[evaluation]{tail}")
    folder = train_preset(recipe, tmp_path / "ease", split=small_split)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["chosen"]["regularization"] in (5.0, 50.0)
    assert list(metrics["models"]["small_apr"]) == ["validation", "test"]
    assert not (folder / "weights.safetensors").exists()
    with pytest.raises(presets.PresetError, match="zoo train ease"):
        presets.load(folder)
    made = train_preset(recipe, tmp_path / "mine", split=small_split, weights=True)
    assert presets.load(made).weight_matrix.numpy().any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": (0,)}, "seeds"),
        ({"stages": ({"epochs": 4},)}, "epochs"),
        ({"data": {"source": "synthetic", "seed": 1}}, "data"),
        ({"model": {"class": "MatrixFactorization", "dimension": 16}}, "model"),
    ],
)
def test_a_twin_that_differs_in_more_than_the_adversary_is_none(small_recipe, change, words):
    twin = small_recipe.undefended().replace(**change)
    with pytest.raises(RecipeError, match=words):
        check_twin(small_recipe, twin)
    with pytest.raises(RecipeError, match="an adversary itself"):
        check_twin(small_recipe, small_recipe)
