"""Recipes whose data are files: tables, lists, published splits, tables of items."""

import pytest

from tfadvrec.recipes.making_data import located, make_split
from tfadvrec.recipes.provenance import provenance
from tfadvrec.recipes.recipe import parse_recipe
from tfadvrec.recipes.schema import RecipeError

RECIPE = """
name = "mine"
[data]
{data}
[split]
kind = "leave_last_out"
validation = false
[model]
class = "MostPopular"
"""


def recipe(data, published=False):
    text = RECIPE.format(data=data)
    if published:
        text = text.replace('[split]\nkind = "leave_last_out"\nvalidation = false\n', "")
    return parse_recipe(text)


def placed(made, folder):
    return make_split(made.replace(data=located(made.data, folder)))


def test_lists_and_what_the_card_says_of_them(tmp_path):
    (tmp_path / "plays.txt").write_text("7 30 10 20\n9 20 30 10\n")
    made = recipe('source = "file"\npath = "plays.txt"\nlayout = "lists"\nlicence = "MIT"')
    split = placed(made, tmp_path)
    assert sorted(map(int, split.test.item_ids[split.test.item])) == [10, 20]
    told = provenance(made, split)
    assert told["licence"] == "MIT"
    assert told["origin"] == "the file plays.txt"
    assert provenance(recipe('source = "file"\npath = "x"\norigin = "Ann, 2020"'), split)[
        "origin"
    ] == ("Ann, 2020")


def test_published_lists_lie_in_a_folder(tmp_path):
    (tmp_path / "train.txt").write_text("1 10 20\n2 20\n")
    (tmp_path / "test.txt").write_text("1 30\n2 10\n")
    made = recipe(
        'source = "published"\ntrain = "train.txt"\ntest = "test.txt"\nlayout = "lists"', True
    )
    split = placed(made, tmp_path)
    assert (len(split.train), len(split.test), split.train.n_items) == (3, 2, 3)


ITEMS = """source = "file"
path = "log.dat"
separator = "::"
header = false
time = 2
[data.items]
path = "films.dat"
separator = "::"
names = ["id", "title", "genre"]
lists = {genre = "|"}
missing = "fill"
"""


def test_a_table_of_items_gives_their_features(tmp_path):
    (tmp_path / "log.dat").write_text("1::07::1\n1::08::2\n2::08::1\n2::09::2\n")
    (tmp_path / "films.dat").write_text("08::Heat (1995)::Crime|Drama\n07::Big::Comedy\n")
    for place in (tmp_path, tmp_path / "log.dat"):
        log = placed(recipe(ITEMS), place).train
        assert log.item_ids.tolist() == ["07", "08", "09"]
        assert log.item_features["title"].tolist() == ["Big", "Heat (1995)", ""]
        assert log.item_features["genre"].tolist() == [("Comedy",), ("Crime", "Drama"), ()]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ('source = "file"\npath = "x"\nlayout = "list"', 'layout must be "table" or "lists"'),
        (
            'source = "file"\npath = "x"\nlayout = "lists"\nheader = false',
            "header would be ignored",
        ),
        (ITEMS + "name = 3", r"\[data.items\].*name"),
        (ITEMS.replace('path = "films.dat"', ""), r"\[data.items\] lacks path"),
    ],
)
def test_what_cannot_be_meant_is_named(data, match):
    with pytest.raises(RecipeError, match=match):
        make_split(recipe(data))
