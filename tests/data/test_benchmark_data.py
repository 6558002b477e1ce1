"""The public sets themselves; skipped, and said so, where they are not at hand."""

import pytest

from tfadvrec.data import (
    Interactions,
    fetching,
    leave_last_out,
    match_titles,
    movielens,
    published_split,
    read_table,
)
from tfadvrec.data.titles import titles_of

ML_100K = "4dba7fe221341450d3305789252e1a296a76585830ce9badc313bc82ecbf69b7"


@pytest.fixture
def films(benchmark_data, tmp_path, monkeypatch):
    """Opens MovieLens sets of the benchmark folder, with a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return lambda which: movielens(which, benchmark_data / f"ml-{which}")


def test_movielens_100k_is_whole(films):
    log = films("100k")
    assert (len(log), log.n_users, log.n_items) == (100_000, 943, 1682)
    assert log.fingerprint() == ML_100K
    assert log.item_ids.tolist() == list(range(1, 1683))
    assert log.item_features["title"][0] == "Toy Story (1995)"
    assert log.item_features["genre"][0] == ("Animation", "Children", "Comedy")
    assert log.item_features["year"].min() == 1922
    assert log.user_features["age"][0] == 24
    assert log.dropped == {"items without year, given the mean year": 1}
    split = leave_last_out(log)
    assert [len(part) for part in split] == [98_114, 943, 943]


def test_a_published_split_keeps_its_numbers(benchmark_data):
    folder = benchmark_data / "apr-ml100k"
    split = published_split(
        folder / "trainingset.tsv", folder / "testset.tsv", user=0, item=1, rating=2, time=3
    )
    assert (len(split.train), len(split.test)) == (99_056, 943)
    assert split.describe()["test"]["also_in_train"] == 0


def test_movietweetings_keeps_its_leading_zeros(benchmark_data):
    folder = benchmark_data / "movietweetings" / "100K"
    log = Interactions.from_csv(folder / "ratings.dat", rating=2, time=3)
    assert (len(log), log.n_users, log.n_items) == (100_000, 16_554, 10_506)
    assert log.item_ids.dtype.kind == "U"
    items = read_table(folder / "movies.dat", names=("item", "title", "genre"))
    log = log.with_features(items=items, lists={"genre": "|"})
    row = log.lookup_items(["0120338"])[0]
    assert log.item_features["title"][row] == "Titanic (1997)"
    assert log.item_features["genre"][row] == ("Drama", "Romance")


def test_films_of_two_sets_are_matched(films):
    old, new = films("100k"), films("latest-small")
    source, target = (titles_of(log.item_ids, log.item_features["title"]) for log in (old, new))
    matched = match_titles(source, target)
    assert len(matched) > 1200
    assert len(set(matched.values())) == len(matched)
    assert matched[1] == 1
    assert source[matched[47]].startswith("Seven")
    assert len(match_titles(source, target, years=1)) > len(matched)


def test_the_wheels_checksum_is_that_of_the_published_ratings(benchmark_data):
    import hashlib

    header = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    body = (benchmark_data / "ml-100k" / "u.data").read_bytes()
    assert hashlib.sha256(header + body).hexdigest() == fetching.MEMBERS["inter"]
