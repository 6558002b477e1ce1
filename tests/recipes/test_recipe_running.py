"""A recipe, run: stages, seeds, chosen settings, and every part that can be named."""

import dataclasses

import numpy as np
import pytest

from tfadvrec.data import Split, by_ratio
from tfadvrec.models import EASE, MatrixFactorization, TwoTower
from tfadvrec.recipes import RecipeError, making, making_data, parse_recipe, run_recipe
from tfadvrec.recipes.measuring import Measuring, measure, summary


def tables(model):
    return [weight.numpy() for weight in model.weights]


def test_each_stage_is_logged_and_the_model_learns(small_run):
    assert isinstance(small_run.model, MatrixFactorization)
    assert [len(stage["loss"]) for stage in small_run.history] == [3, 2]
    assert "adversarial_loss" in small_run.history[1]
    assert small_run.history[0]["loss"][-1] < small_run.history[0]["loss"][0]
    assert small_run.model.item_ids.tolist() == small_run.split.train.item_ids.tolist()


def test_the_same_seed_gives_the_same_model_and_progress_tells_every_epoch(
    small_recipe, small_split, small_run
):
    told = []
    again = run_recipe(small_recipe, split=small_split, progress=lambda *what: told.append(what))
    for one, two in zip(tables(small_run.model), tables(again.model), strict=True):
        np.testing.assert_array_equal(one, two)
    assert sorted({done for _, done, _ in told}) == [0, 1, 2, 3, 4, 5]
    assert {total for _, _, total in told} == {5}


def test_a_given_model_is_trained_on_and_seeds_differ(small_recipe, small_split):
    one, two = (making.make_model(small_recipe, small_split.train, seed=s) for s in (0, 1))
    before = tables(one)[0].copy()
    assert not np.array_equal(before, tables(two)[0])
    short = small_recipe.replace(stages=({"epochs": 1},))
    run = run_recipe(short, split=small_split, model=one)
    assert run.model is one
    assert not np.array_equal(before, tables(one)[0])


def test_settings_of_a_closed_form_are_chosen_on_the_validation_part(small_recipe, small_split):
    recipe = dataclasses.replace(
        small_recipe, model={"class": "EASE"}, stages=(), choose={"regularization": [1e-3, 20.0]}
    )
    run = run_recipe(recipe, split=small_split)
    assert isinstance(run.model, EASE)
    scores = {}
    for value in (1e-3, 20.0):
        fixed = recipe.replace(choose={}, model={"class": "EASE", "regularization": value})
        model = run_recipe(fixed, split=small_split).model
        scores[value] = Measuring(recipe, small_split).clean(model)["validation"].means["ndcg@10"]
    best = max(scores, key=scores.get)
    assert run.chosen == {"regularization": best, "validation ndcg@10": scores[best]}


def test_without_a_validation_part_a_tenth_of_train_chooses_and_all_of_it_is_fitted(
    small_recipe, small_split
):
    train = small_split.train
    recipe = dataclasses.replace(
        small_recipe, model={"class": "EASE"}, stages=(), choose={"regularization": [1e-3, 20.0]}
    )
    run = run_recipe(recipe, split=small_split._replace(validation=None))
    part, _, held = by_ratio(train, validation=0.0, test=0.1)
    inner = run_recipe(recipe, split=Split(part, held, held))
    assert run.chosen == inner.chosen
    best = run.chosen["regularization"]
    whole = EASE(n_users=train.n_users, n_items=train.n_items, regularization=best).fit(train)
    np.testing.assert_allclose(run.model.weight_matrix, whole.weight_matrix, atol=1e-6)
    assert not np.allclose(run.model.weight_matrix, inner.model.weight_matrix, atol=1e-4)
    few = train.take(np.unique(train.user, return_index=True)[1])  # an interaction a user
    untried = run_recipe(recipe, split=Split(few, None, small_split.test))
    assert untried.chosen == {}
    assert untried.model.regularization == EASE(n_users=1, n_items=1).regularization


def test_a_loss_that_is_not_a_number_stops_the_training(small_recipe, small_split):
    wild = small_recipe.replace(
        optimizer={"class": "SGD", "learning_rate": 1e30}, stages=({"epochs": 2},)
    )
    with pytest.raises(ValueError, match="the loss is not a number"):
        run_recipe(wild, split=small_split)


@pytest.mark.parametrize("kind", ["pairs", "points", "in_batch"])
@pytest.mark.parametrize("block", ["epoch", "none", 4])
def test_every_kind_of_batches_can_be_named(small_recipe, small_split, kind, block):
    recipe = small_recipe.replace(sampling={"kind": kind, "batch_size": 64, "block": block})
    assert next(iter(making.make_batches(recipe, small_split.train, seed=0))) is not None


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ("model", {"class": "MatrixFactorisation"}, "Did you mean 'MatrixFactorization'"),
        ("model", {"class": "Recommender"}, "no class = 'Recommender'"),
        ("model", {"class": "MatrixFactorization", "dim": 3}, "no key 'dim'"),
        ("model", {"class": "MatrixFactorization", "n_users": 3}, "no key 'n_users'"),
        ("model", {"class": "MatrixFactorization", "dimension": 0}, "dimension must be 1 or more"),
        ("loss", {"class": "BPR"}, "no class = 'BPR'"),
        ("loss", {"class": "Hinge", "margins": 1.0}, "Did you mean 'margin'"),
        ("optimizer", {"class": "Adagrid"}, "Did you mean 'Adagrad'"),
        ("optimizer", {"class": "SGD", "learning_rat": 1.0}, "Did you mean 'learning_rate'"),
        ("sampling", {"kind": "pairs", "batch_size": 8, "block": "all"}, "block must be"),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_the_nearest(
    small_recipe, small_split, section, value, words
):
    with pytest.raises(RecipeError, match=words):
        run_recipe(small_recipe.replace(**{section: value}), split=small_split)


@pytest.mark.parametrize(
    ("adversary", "words"),
    [
        ({"perturbation": "FastGradiant", "epsilon": 1.0}, "Did you mean 'FastGradient'"),
        ({"perturbation": "FastGradient", "epsilon": 1.0, "steps": 3}, "no key 'steps'"),
        ({"perturbation": "FastGradient", "epsilon": 1.0, "target": "tables"}, "no target ="),
        ({"perturbation": "FastGradient", "epsilon": 1.0, "target": "variables"}, "needs pattern"),
        ({"perturbation": "FreeLB", "epsilon": 1.0, "probe": 0.1}, "no key 'probe'"),
        (
            {"perturbation": "FastGradient", "epsilon": {"class": "Relative", "fraction": 1}},
            "adversary epsilon .*Did you mean 'RelativeEpsilon'",
        ),
        (
            {"perturbation": "FastGradient", "epsilon": {"fraction": 0.3}},
            "adversary epsilon has no class = None",
        ),
        (
            {
                "perturbation": "FastGradient",
                "epsilon": {"class": "WarmUp", "over": 2, "epsilon": {"class": "RelativeEpsilon"}},
            },
            "adversary epsilon epsilon RelativeEpsilon: .*fraction",
        ),
    ],
)
def test_an_adversary_that_does_not_exist_is_told_with_the_nearest(
    small_recipe, small_split, adversary, words
):
    recipe = small_recipe.replace(stages=({"epochs": 1, "adversary": adversary},))
    with pytest.raises(RecipeError, match=words):
        run_recipe(recipe, split=small_split)


STEPS = """{perturbation = "FreeLB", steps = 2, weight = 0.5, target = "outputs_of",
pattern = "embedding", epsilon = {class = "WarmUp", over = 2, unit = "epoch", epsilon = {
class = "NormBasedEpsilon", epsilon = {class = "RelativeEpsilon", fraction = 0.3}}}}""".replace(
    "\n", " "
)
VIRTUAL = """{perturbation = "VirtualAdversarial", epsilon = 0.2, steps = 2, probe = 0.2,
divergence = "softmax", reduction = "mean", weight = 0.5}""".replace("\n", " ")


@pytest.mark.parametrize(
    ("adversary", "words"),
    [
        (STEPS, "FreeLB(epsilon=WarmUp(epsilon=NormBasedEpsilon(epsilon=RelativeEpsilon("),
        (VIRTUAL, "VirtualAdversarial(epsilon=0.2, norm='l2', steps=2, probe=0.2,"),
    ],
)
def test_perturbations_and_magnitudes_are_named_in_the_text(small_text, adversary, words):
    plain = '{perturbation = "FastGradient", epsilon = 0.2, weight = 0.5}'
    assert plain in small_text
    recipe = parse_recipe(small_text.replace(plain, adversary))
    assert parse_recipe(recipe.replace(text="").to_toml()).stages == recipe.stages
    split = making_data.make_split(recipe)
    model = making.make_model(recipe, split.train, seed=0)
    robust = making.make_adversary(model, recipe.stages[1]["adversary"], seed=0)
    assert repr(robust.perturbation).startswith(words)
    assert robust.weight == 0.5
    robust.compile("sgd", loss=making.make_loss(recipe))
    x = {"user_id": np.array([0, 1]), "item_id": np.array([[0, 1], [2, 3]])}
    logs = robust.train_on_batch(x, np.array([[1.0, 0.0]] * 2), return_dict=True)
    assert logs["adversarial_loss"] > 0


def test_a_two_tower_is_made_with_the_features_of_the_training_part(small_recipe, small_split):
    recipe = small_recipe.replace(
        model={"class": "TwoTower", "dimension": 4, "item_features": ["genre"]}
    )
    model = making.make_model(recipe, small_split.train, seed=0)
    assert isinstance(model, TwoTower)
    assert [column.name for column in model.item_features] == ["genre"]


def test_published_files_are_read_as_they_are(tmp_path, small_recipe):
    (tmp_path / "train.tsv").write_text("1\t10\n1\t11\n2\t10\n")
    (tmp_path / "test.tsv").write_text("1\t12\n2\t11\n")
    data = {"source": "published"} | {p: str(tmp_path / f"{p}.tsv") for p in ("train", "test")}
    split = making_data.make_split(small_recipe.replace(data=data, split={}))
    assert (len(split.train), split.validation, len(split.test)) == (3, None, 2)


def test_a_log_is_filtered_before_it_is_split(small_recipe):
    data = {**small_recipe.data, "minimum_rating": 4.0, "k_core": 2}
    split = making_data.make_split(small_recipe.replace(data=data))
    assert split.train.rating.min() >= 4.0
    whole = sum(np.bincount(part.user, minlength=part.n_users) for part in split)
    assert whole.min() >= 2


def test_figures_are_clean_attacked_and_noisy(small_recipe, small_split, small_run):
    results = measure(small_recipe, small_split, small_run.model)
    assert list(results) == [
        "validation",
        "test",
        "attacked 0.5",
        "attacked, plain loss 0.5",
        "noise 0.5",
    ]
    before = tables(small_run.model)
    means = {name: result.means["ndcg@10"] for name, result in results.items()}
    assert means["attacked 0.5"] < means["test"]
    for one, two in zip(before, tables(small_run.model), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_summary_has_mean_spread_and_interval(small_recipe, small_split, small_run):
    result = measure(small_recipe, small_split, small_run.model, attack=False)
    row = summary([result, result])["test"]["ndcg@10"]
    assert row["seeds"] == [row["mean"], row["mean"]]
    assert row["std"] == 0.0
    assert row["interval"][0] <= row["mean"] <= row["interval"][1]


def test_cold_items_are_ranked_alone_where_the_recipe_asks_for_it(small_recipe):
    recipe = small_recipe.replace(
        split={"kind": "cold_items", "validation": 0.2, "test": 0.2},
        evaluation={"candidates": "cold", "k": [5]},
    )
    split = making_data.make_split(recipe)
    tasks = Measuring(recipe, split).tasks
    for part, held in (("validation", split.validation), ("test", split.test)):
        cold = np.unique(held.item)
        constant = Constant(split.train)
        result = tasks[part].evaluate(constant, k=len(cold) + 1, metrics=["hr", "recall"])
        assert f"Of the {split.train.n_items} items {len(cold)} are ranked" in result.policy
        assert set(result.means.values()) == {1.0}  # a list that is longer than what is ranked
        all_items = Measuring(recipe.replace(evaluation={"k": [5]}), split).tasks[part]
        assert "The whole catalogue" in all_items.evaluate(constant, k=5, metrics=["hr"]).policy


def test_cold_candidates_need_cold_items(small_recipe, small_split):
    recipe = small_recipe.replace(evaluation={"candidates": "cold"})
    with pytest.raises(RecipeError, match="cold_items"):
        Measuring(recipe, small_split)


class Constant:
    """Scores that are all different and the same for everybody."""

    def __init__(self, log):
        self.n_users, self.n_items = log.n_users, log.n_items

    def score_catalogue(self, users):
        return np.tile(np.arange(self.n_items, dtype=np.float32), (len(users), 1))
