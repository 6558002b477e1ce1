"""`tfadvrec generate`: from a preset's folder, from a log, and what it refuses."""

import json

import numpy as np
import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner

from tfadvrec.cli.generating import conditions, generate
from tfadvrec.data import Interactions, synthetic
from tfadvrec.games.behaviour import BehaviourGame


@pytest.fixture(scope="module")
def run():
    app = typer.Typer()
    app.command("generate")(generate)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    log = synthetic(60, 40, n_interactions=600)
    small = {"noise": 8, "taste_widths": (16,), "event_widths": (16,), "head_width": 8}
    game = BehaviourGame.for_log(log, item_dimension=8, taste_dimension=4, generator=small)
    path = tmp_path_factory.mktemp("presets") / "behaviour"
    game.product.save_to_preset(str(path))
    return path


def test_a_preset_writes_rows_that_can_be_read_again(run, folder, tmp_path):
    out = tmp_path / "made.csv"
    said = run(folder, "--count", 120, "--seed", 3, "--output", out, "--json")
    assert said.exit_code == 0, said.exception
    made = Interactions.from_csv(out, columns=["occupation"])
    assert len(made) == 120
    assert made.time is not None
    assert made.user_ids.min() > 60
    assert json.loads(said.stdout)["interactions"] == 120


def test_a_condition_and_whole_users_as_parquet(run, folder, tmp_path):
    out = tmp_path / "made.parquet"
    words = ["--users", 5, "--condition", "rating=4", "--condition", "gender=F", "--output", out]
    said = run(folder, *words)
    assert said.exit_code == 0, said.exception
    made = parquet.read_table(out).to_pydict()
    assert set(made["gender"]) == {"F"}
    assert set(made["rating"]) == {4.0}
    assert len(set(made["user_id"])) == 5


def test_a_log_is_trained_on_first(run, tmp_path):
    rng = np.random.default_rng(0)
    rows = {(int(u), int(i)) for u, i in rng.integers(0, [20, 15], (200, 2))}
    log = tmp_path / "clicks.csv"
    lines = [f"u{u},i{i},{n * 500}" for n, (u, i) in enumerate(sorted(rows))]
    log.write_text("user,item,time\n" + "\n".join(lines) + "\n")
    out, kept = tmp_path / "made.csv", tmp_path / "kept"
    said = run("--log", log, "--epochs", 1, "--count", 30, "--output", out, "--save", kept)
    assert said.exit_code == 0, said.exception
    made = Interactions.from_csv(out)
    assert len(made) == 30
    assert made.user_ids[0].startswith("synthetic-")
    assert (kept / "config.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", "5"], "give a preset"),
        (["somewhere", "--log", "x.csv"], "give a preset"),
        (["somewhere", "--count", "5", "--users", "2"], "not both"),
        (["somewhere", "--count", "0"], "1 or more"),
        (["somewhere", "--output", "made.xlsx"], ".csv or .parquet"),
        (["somewhere", "--save", "x"], "no --log"),
        (["somewhere", "--condition", "rating"], "column=value"),
        (["somewhere", "--condition", "a=1", "--condition", "a=2"], "twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(run, words, message):
    said = run(*words)
    assert said.exit_code
    assert message in str(said.exception)


def test_a_condition_may_hold_an_equals_sign():
    assert conditions(["title=a=b"]) == {"title": "a=b"}


def test_a_bad_condition_names_the_nearest(run, folder, tmp_path):
    said = run(folder, "--condition", "ocupation=artist", "--output", tmp_path / "made.csv")
    assert "nearest is 'occupation'" in str(said.exception)
    assert not (tmp_path / "made.csv").exists()
