"""Batches of sequences in a recipe: the model decides their length, small logs the batch."""

import pytest

from tfadvrec.recipes import RecipeError, making


def batches(recipe, split, *, cls="SelfAttentive", model=None, **sampling):
    recipe = recipe.replace(
        model={"class": cls, **(model or {})},
        sampling={"kind": "sequences", "batch_size": 16, **sampling},
    )
    return next(iter(making.make_batches(recipe, split.train, seed=0)))


def test_sequences_are_as_long_as_the_models_events(small_recipe, small_split):
    block = batches(small_recipe, small_split, model={"length": 7}, windows="all")
    assert block.events.shape[1] == 7 + 1
    assert batches(small_recipe, small_split).events.shape == (60, 50 + 1)  # the default
    assert len(block.user) > 60


def test_a_log_with_fewer_sequences_than_a_batch_is_one_batch(small_recipe, small_split):
    assert batches(small_recipe, small_split, batch_size=512).chosen.shape == (1, 60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 6, "model": {"length": 7}}, "but the model reads 7 events"),
        ({"windows": "many"}, 'windows must be "all"'),
        ({"cls": "MatrixFactorization"}, "for models that read a user's events"),
    ],
)
def test_what_does_not_fit_the_model_is_an_error(small_recipe, small_split, options, words):
    with pytest.raises(RecipeError, match=words):
        batches(small_recipe, small_split, **options)
