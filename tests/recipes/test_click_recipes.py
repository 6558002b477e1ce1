"""Recipes with `task = "clicks"`: impressions from a file, drawn negatives, figures, presets."""

import json

import numpy as np
import pytest

from tfadvrec import presets
from tfadvrec.data import ClickLog, DataError, with_negatives
from tfadvrec.evaluation import evaluate_clicks
from tfadvrec.models import CrossNetwork
from tfadvrec.recipes import RecipeError, parse_recipe, train_preset
from tfadvrec.recipes.fitting import fit_log
from tfadvrec.recipes.making_data import make_split

TEXT = """
name = "small_clicks"
twin = "small_plain_clicks"
seeds = [0, 1]
[data]
source = "clicks"
path = "uses.csv"
fields = ["user", "app", "hour"]
negatives = 1
choice = "app"
[split]
kind = "by_ratio"
validation = 0.1
test = 0.2
[model]
class = "CrossNetwork"
dimension = 4
hidden = [8]
[loss]
class = "Logistic"
reduction = "mean_with_sample_weight"
[optimizer]
class = "Adam"
learning_rate = 0.02
[sampling]
kind = "clicks"
batch_size = 64
block = "none"
[[stages]]
epochs = 8
adversary = {perturbation = "FastGradient", epsilon = 0.05, target = "outputs_of", pattern = "field_vectors", per = "example"}
[evaluation]
task = "clicks"
owner = "user"
attack = {relative_epsilon = [0.5], steps = 3}
"""  # noqa: E501


def uses():
    """Users of even number use even apps by day and odd ones by night; the others, conversely."""
    rng = np.random.default_rng(0)
    user, hour = rng.integers(0, 40, 1500), rng.integers(0, 2, 1500)
    app = 2 * rng.integers(0, 8, 1500) + (user + hour) % 2
    return {"user": user, "app": app, "hour": np.array(["day", "night"])[hour]}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "uses.csv"
    rows = zip(*uses().values(), strict=True)
    path.write_text("user,app,hour\n" + "".join(f"{u},{a},{h}\n" for u, a, h in rows))
    found = parse_recipe(TEXT)
    return found.replace(data={**found.data, "path": str(path)})


@pytest.fixture(scope="module")
def split(recipe):
    return make_split(recipe)


@pytest.fixture(scope="module")
def folder(recipe, split, tmp_path_factory):
    return train_preset(recipe, tmp_path_factory.mktemp("zoo") / "small_clicks", split=split)


def test_negatives_are_beside_each_use_and_no_situation_has_them_clicked():
    log = ClickLog.from_frame(uses(), label=None, fields=["user", "app", "hour"])
    longer = with_negatives(log, "app", per=3, seed=1)
    assert (len(longer), longer.label.sum()) == (6000, 1500)
    rows = list(zip(*(longer.field_values(f) for f in ("user", "hour", "app")), strict=True))
    taken, drawn = set(rows[:1500]), rows[1500:]
    assert not taken & set(drawn)
    assert [row[:2] for row in drawn[::3]] == [row[:2] for row in rows[:1500]]
    again = with_negatives(log, "app", per=3, seed=2)
    assert longer.fingerprint() == with_negatives(log, "app", per=3, seed=1).fingerprint()
    assert longer.fingerprint() != again.fingerprint()
    table = {"app": ["a", "b"], "hour": [1, 1]}
    full = ClickLog.from_frame(table, label=None, fields=["app", "hour"])
    with pytest.raises(DataError, match="nothing is left to draw"):
        with_negatives(full, "app", seed=0)


def test_a_missing_value_takes_no_other_and_a_column_of_none_is_refused():
    """Codes of missing values are -1, one below the first value of the same situation."""
    table = {"app": ["a", "b", "c", "", ""], "hour": [1, 1, 2, 2, 2]}
    log = ClickLog.from_frame(table, label=None, fields=["app", "hour"])
    drawn = with_negatives(log, "app", per=40, seed=0)
    pairs = list(zip(drawn.field_values("app"), drawn.field_values("hour"), strict=True))[5:]
    assert {pair for pair in pairs if pair[1] == "1"} == {("c", "1")}
    assert {pair for pair in pairs if pair[1] == "2"} == {("a", "2"), ("b", "2")}
    empty = ClickLog.from_frame(
        {"app": ["", ""], "hour": [1, 2]}, label=None, fields=["app", "hour"]
    )
    with pytest.raises(DataError, match="no values to draw from"):
        with_negatives(empty, "app")


def test_figures_stand_beside_the_twin_and_logistic_regression(folder, split):
    metrics = json.loads((folder / "metrics.json").read_text())
    models = metrics["models"]
    assert list(models) == ["small_clicks", "small_plain_clicks", "logistic regression"]
    assert list(models["small_clicks"]) == ["validation", "test", "attacked 0.5", "noise 0.5"]
    assert list(models["logistic regression"]) == ["validation", "test"]
    auc = {name: parts["test"]["auc"]["mean"] for name, parts in models.items()}
    assert auc["small_clicks"] > 0.8 > 0.6 > auc["logistic regression"]  # a product of two fields
    for name in ("small_clicks", "small_plain_clicks"):
        assert models[name]["attacked 0.5"]["auc"]["mean"] < auc[name] - 0.05
        assert (
            models[name]["noise 0.5"]["auc"]["mean"] > models[name]["attacked 0.5"]["auc"]["mean"]
        )
    own = models["small_clicks"]["test"]["auc"]
    assert own["interval"][0] < own["seeds"][0] < own["interval"][1]
    assert metrics["counts"]["impressions"] == len(split.test)
    assert metrics["counts"]["owners"] <= 40


def test_the_preset_answers_a_log_and_its_card_says_how(folder, split):
    model = CrossNetwork.from_preset(folder)
    found = evaluate_clicks(model, split.test).means["auc"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["models"]["small_clicks"]["test"]["auc"]["seeds"][0] == pytest.approx(found)
    assert presets.load(folder).probabilities(split.test).shape == (len(split.test),)
    card = (folder / "README.md").read_text()
    assert "| model | AUC | log loss | normalised entropy | calibration error |" in card
    assert "model = tar.models.CrossNetwork.from_preset" in card
    assert "The values of app, hour, user" in card or "The values of user, app, hour" in card
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["data"]["origin"] == "the file uses.csv"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('task = "clicks"', 'task = "ranking"', "go together"),
        ('source = "clicks"', 'source = "synthetic"', "has no key"),
        ('owner = "user"', "k = [10]", "k would be ignored"),
        ('kind = "clicks"', 'kind = "pairs"', 'with \\[sampling\\] kind = "clicks"'),
        ('kind = "by_ratio"', 'kind = "by_time"', "by_ratio"),
    ],
)
def test_what_does_not_go_with_clicks_is_refused(old, new, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(TEXT.replace(old, new))


def test_a_run_of_clicks_points_to_the_command_that_can(recipe, tmp_path):
    with pytest.raises(RecipeError, match="zoo train"):
        fit_log(recipe, tmp_path / "run")
    lonely = recipe.replace(data={**recipe.data, "negatives": 0})
    with pytest.raises(RecipeError, match="negatives and choice"):
        make_split(lonely)
