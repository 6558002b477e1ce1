"""The benchmark's command and its workers, on fakes; no system is measured."""

import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.benchmarks import __main__ as command
from tests.benchmarks import logs, systems, tables, workers
from tests.benchmarks.context import Context
from tests.benchmarks.page import PAGES, RESULTS, filled
from tests.benchmarks.quality import Judge

FAKE = """
import json, sys, time
kind = sys.argv[1]
def say(**fields): print(json.dumps(fields), flush=True)
say(ready=True, system="fake", version="1", variants=[{"name": "one"}], peak_mb=1.0)
epochs = 0
for line in sys.stdin:
    do = json.loads(line)["do"]
    epochs += do == "epoch"
    if do == "quit": break
    if kind == "dies" and epochs == 2: sys.exit("out of luck")
    if kind == "hangs" and do == "epoch": time.sleep(60)
    if kind == "errs" and do == "epoch": say(error="ValueError: no"); continue
    say(seconds=2.0 * epochs if kind == "slow" else 1.0 * epochs, cpu_seconds=1.0, peak_mb=5.0)
"""


@pytest.fixture
def start(tmp_path):
    script = tmp_path / "fake.py"
    script.write_text(FAKE, encoding="utf-8")
    made = []

    def worker(kind, limit=20.0):
        one = workers.Worker(kind, [sys.executable, script, kind], data="none", limit=limit)
        made.append(one)
        return one

    yield worker
    for one in made:
        one.close()


def test_a_worker_that_dies_or_hangs_is_reported_and_the_others_go_on(start):
    fine, dies, hangs, errs = start("fine"), start("dies"), start("hangs", 0.5), start("errs")
    hangs.ready()
    records = workers.alternate([fine, dies, hangs, errs], 3)
    assert [record["seconds"] for record in records["fine"]] == [1.0, 2.0, 3.0]
    assert [record is None for record in records["dies"]] == [False, True, True]
    assert records["hangs"] == records["errs"] == [None, None, None]
    assert "ended with 1: out of luck" in dies.failed
    assert "no answer within 0.5 s" in hangs.failed
    assert errs.failed == "epoch: ValueError: no"
    assert fine.failed is None
    assert workers.summary(records["hangs"]) == {"rounds": 0}


def test_ratios_are_paired_within_rounds(start):
    records = workers.alternate([start("fine"), start("slow")], 3)
    # 2/1, 4/2, 6/3: the same in every round though the seconds grow
    found = workers.ratio(records["slow"], records["fine"])
    assert found == {"median": 2.0, "lowest": 2.0, "highest": 2.0}
    assert workers.ratio([None, *records["slow"][1:]], records["fine"])["median"] == 2.0
    assert workers.ratio([None] * 3, records["fine"]) is None
    assert workers.summary(records["slow"])["seconds"] == 4.0


def test_a_part_of_an_epoch_is_extrapolated_and_said():
    class Tenth:
        label = "tenth"

        def ask(self, do, fraction):
            return {"seconds": 0.5, "cpu_seconds": 0.25, "peak_mb": 1.0, "fraction": fraction}

    records = workers.alternate([Tenth()], 1, fractions={"tenth": 0.1})
    assert records["tenth"][0]["seconds"] == 5.0
    assert workers.summary(records["tenth"])["fraction"] == 0.1


def test_a_peer_without_an_environment_is_missing(tmp_path):
    context = Context(None, tmp_path, True, 1, tmp_path, Console(quiet=True))
    wanted = [systems.Wanted("implicit", "bpr")]
    with systems.started(wanted, tmp_path / "log.npz", context) as prepared:
        assert prepared.workers == []
        assert "missing" in prepared.missing["implicit bpr"]


def test_the_judge_takes_seen_items_out():
    log = {
        "train_user": np.array([0, 1]),
        "train_item": np.array([0, 3]),
        "test_user": np.array([0, 1]),
        "test_item": np.array([1, 2]),
        "n_users": np.array(2),
        "n_items": np.array(4),
    }
    user = np.eye(2)
    # user 0: item 0 is seen, so item 1 leads; user 1: items 0 and 1 lead item 2
    item = np.array([[9.0, 5.0], [8.0, 6.0], [1.0, 4.0], [1.0, 9.0]])
    assert Judge(log).ndcg(user, item) == pytest.approx((1 + 1 / np.log2(4)) / 2)


def test_generated_pairs_are_distinct_and_not_in_the_test():
    log = logs.generated(interactions=2000, users=50, items=200)
    train = log["train_user"].astype(int) * 200 + log["train_item"]
    test = log["test_user"].astype(int) * 200 + log["test_item"]
    assert len(np.unique(train)) == len(train) == 2000
    assert not set(train) & set(test)


def test_tables_leave_missing_cells_empty_and_list_problems():
    rows = [{"system": "a", "seconds": 1.5}, {"system": "b", "problem": "missing"}]
    assert tables.markdown(rows) == ("| system | seconds |\n| --- | --- |\n| a | 1.5 |\n| b |  |\n")
    assert tables.problems(rows) == ["b: missing"]


def test_help_names_the_parts(capsys):
    with pytest.raises(SystemExit) as left:
        command.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in command.PARTS)


def test_a_part_writes_json_and_markdown(tmp_path, monkeypatch):
    part = type("Part", (), {"run": lambda context: {"rows": [{"a": 1}], "note": "fine"}})
    monkeypatch.setattr(command, "import_module", lambda name: part)
    context = Context(None, None, True, 1, tmp_path, Console(quiet=True))
    assert command.measure("start", context) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"start.json", "start.md"}
    written = (tmp_path / "start.json").read_text(encoding="utf-8")
    assert '"command": "python -m tests.benchmarks --part start --rounds 1 --quick"' in written
    assert str(Path.home()) not in written


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_shows_the_committed_results(path):
    page = path.read_text(encoding="utf-8")
    assert filled(page, RESULTS) == page
    empty = filled(page, Path("no such folder"))
    assert empty.count("Not measured yet.") == page.count("<!-- benchmark: ")
