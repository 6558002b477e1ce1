"""A run on disk keeps its split and models, and refuses to be measured on anything else."""

import json
import shutil

import numpy as np
import pytest

from tfadvrec.presets import PresetError
from tfadvrec.recipes import Run, load_run, making, run_recipe, save_run
from tfadvrec.recipes.fitting import (
    evaluate_run,
    fit_log,
    fitting_recipe,
    read_id_map,
    scaled,
)
from tfadvrec.recipes.schema import RecipeError


@pytest.fixture(scope="module")
def folder(small_run, tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("runs") / "one", small_run, figures={"a": 1})


def test_split_recipe_and_model_come_back(folder, small_run):
    again = load_run(folder)
    assert again.recipe.to_dict() == small_run.recipe.to_dict()
    for one, two in zip(small_run.split, again.split, strict=True):
        assert one.fingerprint() == two.fingerprint()
        assert two.real is False
    np.testing.assert_array_equal(
        again.model().score_catalogue(np.arange(5)), small_run.model.score_catalogue(np.arange(5))
    )
    assert again.twin() is None
    assert again.record["figures"] == {"a": 1}


@pytest.mark.parametrize(
    "model",
    [
        {"class": "EASE"},
        {"class": "ItemKNN"},
        {"class": "PureSVD", "rank": 5},
        {"class": "MostPopular"},
    ],
    ids=lambda model: model["class"],
)
def test_a_closed_form_comes_back_with_its_users_histories(
    small_recipe, small_split, tmp_path, model
):
    none = {key: {} for key in ("loss", "optimizer", "sampling")}
    recipe = small_recipe.replace(model=model, stages=(), twin=None, text="", **none)
    run = run_recipe(recipe, split=small_split)
    again = load_run(save_run(tmp_path / "run", run))
    users = np.arange(5)
    np.testing.assert_array_equal(
        again.model().score_catalogue(users), run.model.score_catalogue(users)
    )


def test_a_two_tower_comes_back_with_its_features(small_recipe, small_split, tmp_path):
    features = {"user_features": ["age", "occupation"], "item_features": {"title": "text"}}
    model = {"class": "TwoTower", "dimension": 4, "hidden": [8], **features}
    recipe = small_recipe.replace(model=model, twin=None, text="")
    made = making.make_model(recipe, small_split.train, seed=0)
    run = Run(recipe=recipe, seed=0, split=small_split, model=made)
    again = load_run(save_run(tmp_path / "run", run))
    assert again.recipe.model == model
    users = np.arange(5)
    np.testing.assert_allclose(
        again.model().score_catalogue(users), made.score_catalogue(users), rtol=1e-5
    )


def test_another_split_under_the_same_model_is_refused(folder, small_run, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.copy(copy / "test.parquet", copy / "validation.parquet")
    with pytest.raises(PresetError, match=r"validation\.parquet is not the part"):
        load_run(copy)
    (copy / "test.parquet").write_bytes((copy / "test.parquet").read_bytes()[:100])
    with pytest.raises(PresetError, match="incomplete or damaged"):
        load_run(copy)
    (copy / "run.json").unlink()
    with pytest.raises(PresetError, match="is no run"):
        load_run(copy)


def test_a_run_is_measured_on_its_own_parts(folder):
    record = evaluate_run(load_run(folder), part="validation", k=[5])
    assert set(record["models"]) == {"small_apr", "MostPopular", "ItemKNN", "EASE"}
    figure = record["models"]["small_apr"]["ndcg@5"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    json.dumps(record, allow_nan=False)
    with pytest.raises(RecipeError, match="no part 'training'"):
        evaluate_run(load_run(folder), part="training")


def test_a_log_with_a_preset_goes_on_from_its_rows(folder, small_recipe, tmp_path):
    from tfadvrec.recipes.making_data import make_split

    log = make_split(small_recipe).train
    lines = [f"{u},film-{i},{t}" for u, i, t in zip(log.user, log.item, log.time, strict=True)]
    (tmp_path / "mine.csv").write_text("user,item,time\n" + "\n".join(lines))
    pairs = [f"film-{row},{identity}" for row, identity in enumerate(log.item_ids)]
    (tmp_path / "same.csv").write_text("mine,theirs\n" + "\n".join(pairs))
    recipe = fitting_recipe(
        str(tmp_path / "mine.csv"), preset=str(folder / "preset"), epochs=2, split="by-time"
    )
    record = fit_log(
        recipe,
        tmp_path / "run",
        preset=str(folder / "preset"),
        id_map=str(tmp_path / "same.csv"),
        twin=False,
    )
    assert set(record["models"]) == {"mine", "MostPopular"}
    again = load_run(tmp_path / "run")
    assert again.recipe.data["path"].endswith("mine.csv")
    assert again.recipe.split == {"kind": "by_time"}
    assert again.model().item_ids[0].startswith("film-")


def test_epochs_are_shared_out_as_before(small_recipe):
    assert [stage["epochs"] for stage in scaled(small_recipe, 50).stages] == [30, 20]
    assert [stage["epochs"] for stage in scaled(small_recipe, 1).stages] == [1, 1]
    with pytest.raises(RecipeError, match="1 or more"):
        scaled(small_recipe, 0)


def test_what_cannot_be_fitted_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such log"):
        fitting_recipe(str(tmp_path / "no.csv"))
    with pytest.raises(RecipeError, match="nothing to fit"):
        fitting_recipe(None)
    with pytest.raises(PresetError, match="no preset is called 'mf_arp"):
        fitting_recipe(__file__, preset="mf_arp_ml_100k")
    with pytest.raises(RecipeError, match="Did you mean 'by_time'"):
        fitting_recipe(__file__, split="bytime")


def test_a_map_of_ids_has_two_ids_a_line(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("mine,theirs\n7,a\n8,b\n")
    assert read_id_map(str(path), integers=(True, False)) == {7: "a", 8: "b"}
    path.write_text("7,1\n8,2\n")
    assert read_id_map(str(path), integers=(False, True)) == {"7": 1, "8": 2}
    path.write_text("7,1\n8\n")
    with pytest.raises(RecipeError, match="1 lines have not"):
        read_id_map(str(path), integers=(True, True))
    with pytest.raises(FileNotFoundError, match="no such map"):
        read_id_map(str(tmp_path / "no.csv"), integers=(True, True))
