"""A preset takes other users and items: known rows stay, and equal numbers prove nothing."""

import numpy as np
import pytest

from tfadvrec import presets
from tfadvrec.models import MatrixFactorization, Recommender


@pytest.fixture
def folder(toy_model, tmp_path):
    return presets.save(toy_model, tmp_path / "toy")


def items(model):
    return model.item_embedding.embeddings.numpy()


def users(model):
    return model.user_embedding.embeddings.numpy()


def test_mapped_rows_are_kept_and_all_else_is_the_presets(toy_model, folder, capsys):
    new = np.array(["heat", "alien", "brazil"])
    model = presets.load(folder, item_ids=new, id_map={"alien": 40, "brazil": 10})
    assert model.matched == {"item": {"rows": 3, "known": 2, "new": 1}}
    np.testing.assert_array_equal(items(model)[1:], items(toy_model)[[3, 0]])
    np.testing.assert_array_equal(users(model), users(toy_model))
    np.testing.assert_array_equal(model.mix.kernel.numpy(), toy_model.mix.kernel.numpy())
    assert model.item_ids.tolist() == new.tolist()
    assert model.user_ids.tolist() == ["ann", "bob", "zoë"]
    assert "2 of 3 items are the preset's; 1 are new" in capsys.readouterr().err


def test_new_rows_start_at_the_mean_with_a_tenth_of_the_spread(toy_class, tmp_path):
    model = toy_class(n_users=3, n_items=50, dimension=4)
    table = np.random.default_rng(0).normal([0, 1, 2, 3], [1, 2, 3, 4], (50, 4))
    model.item_embedding.embeddings.assign(table)
    model.set_ids(None, np.arange(50))
    folder = presets.save(model, tmp_path / "toy")
    grown = presets.load(folder, item_ids=np.arange(20_000), id_map={7: 3}, verbose=False)
    fresh = np.delete(items(grown), 7, axis=0)
    np.testing.assert_allclose(fresh.mean(axis=0), table.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(fresh.std(axis=0), 0.1 * table.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(items(grown)[7], table[3], rtol=1e-6)


def test_equal_numbers_alone_match_nothing(folder, capsys):
    model = presets.load(folder, item_ids=[10, 20, 99], user_ids=["ann", "eve"])
    assert model.matched["item"] == {"rows": 3, "known": 0, "new": 3}
    assert model.matched["user"] == {"rows": 2, "known": 0, "new": 2}
    said = capsys.readouterr().err
    assert "2 ids are equal, which proves nothing" in said
    assert "id_map='identity'" in said


def test_identity_is_the_callers_word_that_the_catalogues_are_one(toy_model, folder):
    model = presets.load(
        folder,
        item_ids=[40, 50, 10],
        user_ids=["zoë"],
        id_map="identity",
        user_id_map="identity",
        verbose=False,
    )
    assert model.matched["item"]["known"] == 2
    np.testing.assert_array_equal(items(model)[[0, 2]], items(toy_model)[[3, 0]])
    np.testing.assert_array_equal(users(model), users(toy_model)[[2]])


def test_new_rows_of_a_feature_table_are_empty(toy_model, tmp_path):
    toy_model.feature_of_item.assign(np.arange(8).reshape(4, 2))
    folder = presets.save(toy_model, tmp_path / "toy")
    model = presets.load(folder, item_ids=["a", "b"], id_map={"b": 30}, verbose=False)
    assert model.feature_of_item.numpy().tolist() == [[-1, -1], [4, 5]]


def test_the_same_seed_gives_the_same_new_rows(folder):
    one, two, other = (
        presets.load(folder, item_ids=["a", "b"], seed=seed, verbose=False) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(items(one), items(two))
    assert not np.array_equal(items(one), items(other))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"item_ids": ["a"], "id_map": {"a": 11}}, r"names 1 item ids that the preset does not"),
        ({"item_ids": ["a"], "id_map": {"b": 10}}, "none of the map's keys"),
        ({"item_ids": ["1"], "id_map": {1: 10}}, "text and integers differ"),
        ({"item_ids": ["a"], "id_map": "same"}, "'identity' or None"),
        ({"item_ids": ["a", "a"]}, "repeats 'a'"),
        ({"item_ids": [1.5]}, "integers or strings"),
        ({"id_map": "identity"}, "needs item_ids"),
    ],
)
def test_a_map_that_cannot_be_meant_is_an_error(folder, options, words):
    with pytest.raises(presets.PresetError, match=words):
        presets.load(folder, **options)


def test_a_recommender_grows_and_ranks_in_the_new_ids(tmp_path):
    model = MatrixFactorization(n_users=2, n_items=3, dimension=4, item_bias=True, seed=0)
    model.set_ids(np.array([1, 2]), np.array(["a", "b", "c"]))
    model.save_to_preset(tmp_path / "mf")
    grown = Recommender.from_preset(
        tmp_path / "mf", item_ids=["x", "c", "y", "z"], id_map={"x": "a"}, verbose=False
    )
    assert isinstance(grown, MatrixFactorization)
    assert grown.n_items == 4
    np.testing.assert_array_equal(
        grown.item_embedding.embeddings.numpy()[0], model.item_embedding.embeddings.numpy()[0]
    )
    ids, _ = grown.recommend([1, 2], 4)
    assert sorted(ids[0].tolist()) == ["c", "x", "y", "z"]
