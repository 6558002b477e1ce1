"""The command line: light help, clean JSON, one clear message for every error, the whole path."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tfadvrec.cli.app import describe, main

HEAVY = ("tensorflow", "keras", "numpy", "matplotlib", "sklearn", "pyarrow", "scipy")


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def run(capsys, *words):
    """Runs the command line; gives its exit status, standard output and standard error."""
    status = 0
    try:
        main(list(words))
    except SystemExit as stop:
        status = stop.code or 0
    said = capsys.readouterr()
    return status, said.out, said.err


def test_import_and_help_load_nothing_heavy():
    code = (
        "import sys, tfadvrec\n"
        "from tfadvrec.cli.app import main\n"
        "for words in (['--help'], ['fit', '--help'], ['zoo', 'list', '--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit as stop: assert not stop.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert python(code).stdout.strip().endswith("[]")


def test_listing_the_zoo_loads_no_tensorflow():
    code = (
        "import sys\n"
        "from tfadvrec.cli.app import main\n"
        "try: main(['zoo', 'list'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print('tensorflow' in sys.modules)"
    )
    assert python(code).stdout.strip().endswith("False")


@pytest.mark.parametrize("module", ["tfadvrec", "tfadvrec.cli"])
def test_it_runs_as_a_module(module):
    said = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == __import__("tfadvrec").__version__


@pytest.mark.parametrize(
    "command",
    [
        "quickstart",
        "prepare",
        "fit",
        "evaluate",
        "recommend",
        "audit",
        "export",
        "verify",
        "zoo list",
        "zoo show",
        "zoo train",
    ],
)
def test_every_command_has_help_with_an_example(capsys, command):
    status, out, _ = run(capsys, *command.split(), "--help")
    assert status == 0
    assert f"tfadvrec {command}" in out
    assert "Example" in out
    assert "--json" in out


def test_zoo_list_as_json_is_json_and_nothing_else(capsys):
    status, out, err = run(capsys, "zoo", "list", "--json")
    records = json.loads(out)
    assert status == 0
    assert err == ""
    assert len(records) >= 6
    assert {"mf_apr_ml_100k", "ease_ml_100k"} <= {record["name"] for record in records}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["zoo", "show", "no_such_preset"], "no_such_preset"),
        (["zoo", "show", "mf_arp_ml_100k"], "Did you mean 'mf_apr_ml_100k'"),
        (["fit", "no_such_file.csv", "--output", "run"], "no_such_file.csv"),
        (["fit"], "there is nothing to fit"),
        (["fit", __file__, "--preset", "no_such_preset"], "no_such_preset"),
        (["fit", "--recipe", "no_such.toml"], "no_such.toml"),
        (["evaluate", "no_such_run"], "no_such_run"),
        (["audit", "no_such_run"], "no_such_run"),
        (["verify", "no_such_servable"], "no_such_servable"),
        (["quickstart", "--data", "no_such_log.csv", "--output", "out"], "no_such_log.csv"),
    ],
)
def test_an_error_is_one_message_that_names_the_culprit(
    capsys, tmp_path, monkeypatch, words, named
):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 1
    assert out == ""
    assert named in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebodys_is_refused_before_any_training(capsys, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("years of work")
    for words in (["quickstart"], ["fit", "--recipe", "mf_apr_ml_100k"]):
        status, _, err = run(capsys, *words, "--output", str(tmp_path / "home"))
        assert status == 1
        assert "thesis.tex" in err
        assert "training" not in err


def test_wrong_usage_exits_with_2(capsys):
    status, _, err = run(capsys, "fitt")
    assert status == 2
    assert "fit" in err
    assert run(capsys, "fit", "--epoch", "x")[0] == 2


def test_an_unexpected_error_says_its_kind():
    assert describe(KeyError("x")).startswith("KeyError: 'x'")
    assert describe(ValueError("y")) == "y"
    assert describe(FileNotFoundError(2, "there is no such log", "a.csv")) == (
        "a.csv: there is no such log."
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a small log of text ids, made by the command line."""
    room = tmp_path_factory.mktemp("cli")
    random = np.random.default_rng(0)
    lines = {f"u{u},{'ab'[u % 2]}{i}" for u in range(40) for i in random.permutation(15)[:9]}
    (room / "log.csv").write_text("user,item\n" + "\n".join(sorted(lines)) + "\n")
    words = ["fit", str(room / "log.csv"), "--output", str(room / "run"), "--epochs", "4", "--json"]
    process = subprocess.run(
        [sys.executable, "-m", "tfadvrec", *words], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return room, process


def test_fit_prints_clean_json(trained):
    room, process = trained
    record = json.loads(process.stdout)
    assert record["users"] == 40
    assert list(record["models"]) == ["log", "log_twin", "MostPopular"]
    assert (room / "run/run.json").exists()


def test_a_run_is_evaluated(capsys, trained):
    room, _ = trained
    status, out, _ = run(capsys, "evaluate", str(room / "run"), "-k", "3", "--json")
    assert status == 0
    assert "ndcg@3" in json.loads(out)["models"]["twin"]
    status, out, _ = run(capsys, "evaluate", str(room / "run"), "--no-baselines")
    assert status == 0
    assert "log" in out


def test_recommendations_come_in_the_callers_ids(capsys, trained):
    room, _ = trained
    status, out, _ = run(capsys, "recommend", str(room / "run"), "u1", "u2", "-k", "4", "--json")
    lists = json.loads(out)
    assert status == 0
    assert [len(lists[user]) for user in ("u1", "u2")] == [4, 4]
    text = (room / "log.csv").read_text()
    train_and_held = {line.split(",")[1] for line in text.splitlines() if line.startswith("u1,")}
    assert len({row["item"] for row in lists["u1"]} & train_and_held) <= 2
    status, _, err = run(capsys, "recommend", str(room / "run"), "nobody")
    assert status == 1
    assert "nobody" in err


def test_a_run_is_exported_and_verified(capsys, trained):
    room, _ = trained
    base = str(room / "serving/log")
    status, out, _ = run(capsys, "export", str(room / "run"), base, "-k", "5", "--json")
    assert status == 0
    assert json.loads(out)["verified"] is True
    status, out, _ = run(capsys, "verify", base, "--model", str(room / "run"), "--json")
    assert status == 0
    assert json.loads(out)["max_difference"] <= 1e-5
    items = room / "serving/log/1/assets/items.txt"
    items.write_text(items.read_text().replace("a1\n", "a111\n"))
    status, out, _ = run(capsys, "verify", base)
    assert status == 1
    assert "NOT VERIFIED" in out


def test_a_corrupt_log_leaves_nothing(capsys, tmp_path):
    (tmp_path / "bad.csv").write_text("user,item,rating\n1,2,3\n1,3,nan\n")
    status, _, err = run(
        capsys, "fit", str(tmp_path / "bad.csv"), "--output", str(tmp_path / "run")
    )
    assert status == 1
    assert "bad.csv" in err
    assert sorted(os.listdir(tmp_path)) == ["bad.csv"]


def test_the_readme_table_is_made_from_the_folders(capsys):
    status, out, err = run(capsys, "zoo", "list", "--markdown")
    lines = out.strip().splitlines()
    assert status == 0
    assert err == ""
    assert lines[0].startswith("| preset | model | HR@10 | nDCG@10 |")
    assert any(
        "](zoo/matrix_factorization/mf_apr_ml_100k) | MatrixFactorization |" in x for x in lines
    )
    assert len({line.count("|") for line in lines}) == 1
