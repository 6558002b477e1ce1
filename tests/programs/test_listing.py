"""The programs by name, over seeds, and from the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tfadvrec.cli import programs as command
from tfadvrec.programs import PROGRAMS, listing, repeat, repeating, run_program


def test_every_program_is_there_and_says_its_own_defaults():
    import inspect

    for name, program in PROGRAMS.items():
        settings = inspect.signature(program.run).parameters
        assert settings["epochs"].default == program.epochs, name
        assert settings["data"].default == program.data, name
        assert settings["seed"].default == 0, name


def test_listing_loads_nothing_heavy():
    code = (
        "import sys, tfadvrec.programs as p; p.PROGRAMS; import tfadvrec.cli.programs as c\n"
        "c.list_programs()\n"
        "print([m for m in ('tensorflow', 'keras', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "wasserstein_critic" in done.stdout


def test_unknown_programs_and_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no program 'faces'; there are digits"):
        run_program("faces", tmp_path)
    with pytest.raises(ValueError, match=r"no setting \['share'\]"):
        run_program("digits", tmp_path, share=0.5)
    with pytest.raises(ValueError, match="no program 'faces'"):
        command.run("faces", output=tmp_path)
    with pytest.raises(ValueError, match="--seeds: expected 1 or more, got 0"):
        command.run("digits", output=tmp_path, seeds=0)


@pytest.fixture
def counted(monkeypatch):
    """A program in place of the others, whose figures are known."""

    def run_program(name, output, *, seed, progress=None, **settings):
        output.mkdir()
        figures = {"game": {"rmse": 1.0 + seed, "mae": 0.5}}
        return {
            "program": name,
            "data": {"name": "toy", "origin": "a test", "real": False},
            "epochs": settings.get("epochs", 3),
            "figures": figures,
        }

    monkeypatch.setattr(repeating, "run_program", run_program)
    monkeypatch.setattr(listing, "run_program", run_program)


def test_seeds_give_means_and_students_intervals(tmp_path, counted):
    summary = repeat("digits", tmp_path / "five", seeds=range(5), epochs=2)
    row = summary["figures"]["game"]["rmse"]
    assert (row["mean"], row["seeds"]) == (3.0, 5)
    assert row["sd"] == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
    low, high = stats.t.interval(0.95, 4, 3.0, row["sd"] / 5**0.5)
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    assert json.loads((tmp_path / "five" / "summary.json").read_text()) == summary
    assert (tmp_path / "five" / "seed-4").is_dir()
    with pytest.raises(ValueError, match="at least one"):
        repeat("digits", tmp_path / "none", seeds=[])


def test_the_command_prints_tables_or_json(tmp_path, counted, capsys):
    options = {"data": None, "epochs": 2, "seed": 0}
    command.run("digits", output=tmp_path / "one", seeds=1, json=True, **options)
    assert json.loads(capsys.readouterr().out)["figures"]["game"]["rmse"] == 1.0
    command.run("digits", output=tmp_path / "two", seeds=2, json=False, **options)
    said = capsys.readouterr()
    assert "1.5000" in said.out
    assert "made up, not real people" in said.err
    assert str(tmp_path / "two") in said.err
