import numpy as np
import pytest

from tfadvrec.data import match_titles, title_year
from tfadvrec.data.titles import title_keys, titles_of


def test_years_leave_the_name():
    names, years = title_year(
        [
            "Toy Story (1995)",
            "Two Friends (1986) ",
            "unknown",
            "Land Before Time III (1995) (V)",
            "Series (1990-1991)",
            "2001 (1968)",
        ]
    )
    assert names == [
        "Toy Story",
        "Two Friends",
        "unknown",
        "Land Before Time III",
        "Series",
        "2001",
    ]
    assert np.isnan(years[2])
    assert years[[0, 1, 3, 4, 5]].tolist() == [1995, 1986, 1995, 1990, 1968]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Usual Suspects, The", "The Usual Suspects"),
        ("Miserables, Les", "Misérables, Les"),
        ("Dumb & Dumber", "Dumb and Dumber"),
        ("Schindler's List", "Schindler\u2019s List"),
        ("Star Trek: First Contact", "Star Trek - First Contact"),
        ("Alien³", "Alien 3"),
        ("An Unforgettable Summer", "Unforgettable Summer, An"),
        ("L'Avventura", "L'avventura"),
    ],
)
def test_spellings_of_one_title_have_one_key(one, other):
    assert title_keys(one)[0] == title_keys(other)[0]


def test_titles_in_parentheses_are_forms_of_their_own():
    assert title_keys("Seven (a.k.a. Se7en)") == ["seven", "se7en"]
    assert title_keys("Cité des enfants perdus, La")[0] in title_keys(
        "City of Lost Children, The (Cité des enfants perdus, La)"
    )
    assert title_keys("(500) Days of Summer")


def test_titles_match_only_in_one_year():
    source = {1: "Sabrina (1954)", 2: "Sabrina (1995)", 3: "Heat (1995)"}
    target = {"a": "Sabrina (1995)", "b": "Sabrina (1954)", "c": "Heat (1986)", "d": "Heat"}
    assert match_titles(source, target) == {"a": 2, "b": 1}


def test_years_may_differ_when_allowed():
    source, target = {1: "Conan (1981)"}, {"a": "Conan (1982)"}
    assert match_titles(source, target) == {}
    assert match_titles(source, target, years=1) == {"a": 1}
    # a film of the same year goes before a neighbour, and two candidates are none
    assert match_titles({1: "X (1981)", 2: "X (1983)"}, target | {"b": "X (1982)"}, years=1) == {}


def test_ambiguous_titles_are_left_out():
    assert match_titles({1: "Heat (1995)", 2: "Heat, The (1995)"}, {"a": "Heat (1995)"}) == {}
    assert match_titles({1: "Heat (1995)"}, {"a": "Heat (1995)", "b": "The Heat (1995)"}) == {}


def test_an_alternative_title_matches_when_the_first_does_not():
    source = {1: "Braindead (1992)", 2: "Seven (Se7en) (1995)"}
    target = {"a": "Dead Alive (Braindead) (1992)", "b": "Se7en (1995)"}
    assert match_titles(source, target) == {"a": 1, "b": 2}


def test_each_source_is_used_once():
    source = {1: "Nikita (La Femme Nikita) (1990)"}
    target = {"a": "Nikita (1990)", "b": "Femme Nikita, La (1990)"}
    assert len(match_titles(source, target)) <= 1


def test_titles_of_pairs_ids_with_titles():
    assert titles_of(np.array([3, 5]), np.array(["a", "b"])) == {3: "a", 5: "b"}
