"""The record, its files, and what must never be rendered."""

import html.parser
import io
import json

import numpy as np
import pytest
from rich.console import Console

from tfadvrec.audit import RobustnessReport, robustness_report
from tfadvrec.audit.plots import figures
from tfadvrec.audit.tables import blocks
from tfadvrec.models import EASE
from tfadvrec.pages import html_page, markdown_page

KEYS = {
    "schema_version",
    "threat_models",
    "data",
    "split",
    "mask",
    "users",
    "models",
    "norms",
    "clean",
    "baselines",
    "curves",
    "headline",
    "poisoning",
    "natural",
    "checks",
    "attacks",
    "seeds",
    "versions",
    "limits",
}


def test_the_record_holds_what_a_reader_needs(report):
    record = report.to_dict()
    assert record.keys() >= KEYS
    assert record["data"]["fingerprints"]["train"]
    assert len(record["models"]["model"]["weights_sha256"]) == 64
    assert record["models"]["model"]["weights_sha256"] != record["models"]["twin"]["weights_sha256"]
    assert set(record["threat_models"]) == {"embedding", "noise"}
    assert record["split"]["leaves one out"] is True
    assert record["users"]["evaluated"] == 48
    assert {name for name, one in record["sections"].items() if one["status"] == "NOT RUN"} == {
        "item_features",
        "poisoning",
        "drift",
        "missing_modality",
    }
    assert not any(key == "score" or "overall" in key for key in record)


def test_the_curve_starts_clean_and_falls(report):
    record = report.to_dict()
    for role in ("model", "twin"):
        points = [p for p in record["curves"][role] if p["attack"] == "projected gradient"]
        assert [p["relative"] for p in points] == [0.2, 0.5, 1.0, 2.0]
        norm = record["norms"][role]["tables"]["all"]
        for point in points:
            assert point["absolute"] == pytest.approx(point["relative"] * norm)
            metric = point["metrics"]["ndcg@5"]
            assert metric["low"] <= metric["value"] <= metric["high"]
        assert points[-1]["metrics"]["ndcg@5"]["value"] < 0.5 * _clean(record, role)
        noise = [p for p in record["curves"][role] if p["attack"] == "random noise"]
        assert noise[1]["metrics"]["ndcg@5"]["value"] > points[1]["metrics"]["ndcg@5"]["value"]


def _clean(record, role):
    return record["clean"][role]["ndcg@5"]["value"]


def test_the_headline_is_run_at_the_size_it_names(report):
    head = report.to_dict()["headline"]
    assert 0 < head["relative"] < 2.0
    assert head["judged by"] == "twin"
    assert 0.3 < head["kept"]["twin"]["value"] < 0.7
    assert head["kept"]["model"]["value"] == pytest.approx(
        head["attacked"]["model"]["ndcg@5"]["value"] / _clean(report.to_dict(), "model")
    )
    gap = head["kept"]["model"]["value"] - head["kept"]["twin"]["value"]
    assert head["kept more than the twin"]["value"] == pytest.approx(gap)


def test_worst_case_is_below_every_attack(report):
    points = report.to_dict()["curves"]["model"]
    for size in (0.2, 0.5, 1.0, 2.0):
        at = {p["attack"]: p["metrics"]["ndcg@5"]["value"] for p in points if p["relative"] == size}
        worst = at.pop("worst case per user")
        at.pop("projected gradient, plain loss", None)
        assert worst <= min(at.values()) + 1e-12


def test_natural_noise_is_paired_by_seed(report):
    noise = report.to_dict()["natural"]
    assert [(row["kind"], row["rate"]) for row in noise["rows"]] == [
        ("dropped", 0.2),
        ("flipped", 0.2),
    ]
    for row in noise["rows"]:
        change = row["change"]["ndcg@5"]
        assert change["mean"] == pytest.approx(
            row["metrics"]["ndcg@5"]["mean"] - noise["clean"]["ndcg@5"]["mean"]
        )
        assert change["seeds"] == 2
        assert sum(group["users"] for group in row["slices"]["groups"].values()) == 48


def test_saves_and_loads_the_same_record(report, tmp_path):
    report.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"report.json", "report.md", "report.html", "robustness.png", "clean.png"}
    assert not any(name.startswith(".") for name in names)
    loaded = RobustnessReport.load(tmp_path / "out")
    assert loaded.to_dict() == json.loads(report.to_json())
    assert loaded.markdown() == report.markdown()
    for path in (tmp_path / "out").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_figures_are_drawn_from_json_alone(report):
    record = json.loads(report.to_json())
    drawn = figures(record)
    assert set(drawn) == {
        "clean",
        "robustness",
        "robustness_plain_loss",
        "attacks",
        "convergence",
        "natural_noise",
    }
    assert drawn == figures(record)


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_needs_nothing_and_escapes_names(report):
    found = Tags(report.html())
    kinds = {tag for tag, _ in found.tags}
    assert not kinds & {"script", "link", "b", "iframe"}
    assert all(a["src"].startswith("data:image/png;base64,") for t, a in found.tags if t == "img")
    assert sum(tag == "img" for tag, _ in found.tags) == 6
    assert any("<b>twin|$x$" in words for words in found.words)
    text = report.markdown()
    assert "\\<b\\>twin\\|$x$" in text
    for verdict in ("PASS", "FAIL", "NOT RUN"):
        assert f"{report.counts[verdict]} {verdict}" in text


def test_the_renderers_refuse_what_is_incomplete(report):
    record = report.to_dict()
    record["sections"]["embedding"]["threat_model"]["goal"] = ""
    for draw in (lambda one: markdown_page(blocks(one)), lambda one: html_page(blocks(one), {})):
        with pytest.raises(ValueError, match="goal of its threat model"):
            draw(record)
    record = report.to_dict()
    record["limits"] = "  "
    with pytest.raises(ValueError, match="no limits"):
        markdown_page(blocks(record))


def test_nothing_is_written_when_rendering_is_refused(report, tmp_path):
    record = report.to_dict()
    record["limits"] = ""
    with pytest.raises(ValueError, match="no limits"):
        RobustnessReport(record).save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_files_are_not_reports(tmp_path):
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        RobustnessReport.load(tmp_path)
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ValueError, match="not a report"):
        RobustnessReport.load(tmp_path)
    (tmp_path / "report.json").write_text('{"schema_version": 99}')
    with pytest.raises(ValueError, match="schema version 99"):
        RobustnessReport.load(tmp_path)


def test_models_for_a_summary(report):
    models = report.models()
    assert models["robust"].keys() == {"clean", "attacked"}
    assert models["<b>twin|$x$"]["attacked"]["ndcg@5"] < models["<b>twin|$x$"]["clean"]["ndcg@5"]
    assert models["EASE"].keys() == {"clean"}
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report.summary_table())
    assert "<b>twin|$x$" in console.export_text()


def test_a_model_without_tables_gets_a_clean_row(cases):
    train, test = cases.world()
    model = EASE(n_users=cases.USERS, n_items=cases.ITEMS).fit(train)
    made = robustness_report(model, train, test, baselines={}, k=5, resamples=50)
    record = made.to_dict()
    assert record["sections"]["embedding"]["status"] == "NOT RUN"
    assert "no trainable embedding tables" in record["sections"]["embedding"]["reason"]
    assert record["curves"] == {}
    assert set(record["baselines"]) == {"random"}
    assert made.counts["FAIL"] == 0
    assert made.counts["NOT RUN"] >= 11
    assert "NOT RUN" in made.markdown()
    assert list(figures(record)) == ["clean"]


def test_without_a_twin_the_box_says_so(cases):
    train, test = cases.world()
    made = robustness_report(
        cases.factorised(train),
        train,
        test,
        baselines={},
        epsilons=(0.5, 1.0),
        steps=3,
        draws=1,
        resamples=50,
        k=5,
        sections=("embedding",),
        limits="A toy.",
    )
    verdicts = {line["check"]: line["verdict"] for line in made.to_dict()["checks"]}
    assert verdicts["Attack works on the undefended twin"] == "NOT RUN"
    assert verdicts["Transfer from the undefended twin is weaker"] == "NOT RUN"
    assert verdicts["An attack absent from training"] == "NOT RUN"
    assert made.to_dict()["headline"]["judged by"] == "model"
    assert "A toy." in made.markdown()
    made.html()


def test_arguments_are_checked(cases):
    train, test = cases.world()
    model = cases.factorised(train)
    for epsilons in ((), (-1.0,), (0.5, 0.2), (np.nan,)):
        with pytest.raises(ValueError, match="epsilons must"):
            robustness_report(model, train, test, epsilons=epsilons)
    with pytest.raises(ValueError, match="unknown sections"):
        robustness_report(model, train, test, sections=("poisoning",))
    with pytest.raises(ValueError, match="at least 1"):
        robustness_report(model, train, test, steps=0)
