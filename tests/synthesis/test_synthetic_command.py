"""`tfadvrec synthetic-report` on three files."""

import csv
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tfadvrec.cli.synthetic import synthetic_report
from tfadvrec.data import synthetic
from tfadvrec.synthesis import of_users, popularity_profiles


def write(path, log, prefix):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["who", "what", "rating", "time"])
        for row in zip(log.user, log.item_ids[log.item], log.rating, log.time, strict=True):
            rows.writerow([f"{prefix}{row[0]}", *row[1:]])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    log = synthetic(150, 60, n_interactions=2_500)
    real, others = of_users(log, np.arange(100)), of_users(log, np.arange(100, 150))
    made = popularity_profiles(real, len(real))
    for name, part in (("real", real), ("made", made), ("others", others)):
        write(folder / f"{name}.csv", part, name)
    return folder


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(synthetic_report)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_three_files_become_a_report(files, command, tmp_path):
    done = command(
        files / "real.csv", files / "made.csv", "--holdout", files / "others.csv",
        "--user", "who", "--item", 1, "--output", tmp_path, "--repeats", 1, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["membership"]["members"] == 100
    assert record["utility"]["status"] == "RUN"
    assert "rows of the real log that the generator has seen" in record["limits"]
    assert json.loads((tmp_path / "report.json").read_text()) == record


def test_an_unknown_split_is_an_error_that_names_the_known_ones(files, command):
    done = command(
        files / "real.csv", files / "made.csv", "--user", 0, "--item", 1, "--split", "mine"
    )
    assert done.exit_code == 1
    assert "leave_last_out, by_time, by_ratio or none" in str(done.exception)
