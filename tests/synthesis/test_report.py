"""The record, its files, and what must never be rendered."""

import html.parser
import io
import json

import numpy as np
import pytest

from tfadvrec.data import Interactions, synthetic
from tfadvrec.synthesis import SynthesisReport, independent_columns, synthesis_report
from tfadvrec.synthesis.shared_items import of_users, with_items

KEYS = {
    *("data", "generator", "seeds", "settings", "fidelity", "utility", "copy_check"),
    *("membership", "differential_privacy", "limits", "versions", "schema_version", "kind"),
}


@pytest.fixture(scope="module")
def report(split):
    log = synthetic(400, 150, n_interactions=9_000, seed=3)
    holdout = of_users(log, np.arange(300, 400))
    holdout = holdout.replace(user_ids=holdout.user_ids + 10_000)
    made = independent_columns(split.train, len(split.train), seed=1)
    return synthesis_report(
        split.train,
        made.replace(name="<b>$made$</b>|"),
        test=split.test,
        validation=split.validation,
        holdout=holdout,
        repeats=2,
        resamples=100,
    )


def test_the_record_holds_what_a_reader_needs(report):
    record = report.to_dict()
    assert record.keys() == KEYS
    assert set(record["data"]) == {"real", "synthetic", "validation", "test", "holdout"}
    for values in record["fidelity"]["columns"].values():
        assert set(values["js"]) == {"synthetic", "real halves", "independent columns"}
    assert set(record["membership"]["at"]) == {"0.001", "0.01"}
    assert set(record["copy_check"]["against"]) == {"train", "train, equal size", "holdout"}
    assert "No differential privacy" in record["differential_privacy"]
    assert not any("score" in key or "overall" in key for key in record)
    json.loads(report.to_json())


def test_the_files_are_whole_and_self_contained(report, tmp_path):
    folder = report.save(tmp_path / "out")
    names = {"columns", "popularity", "utility", "membership"}
    assert {path.name for path in folder.iterdir()} == {
        "report.json",
        "report.md",
        "report.html",
        *(f"{name}.png" for name in names),
    }
    page = (folder / "report.html").read_text(encoding="utf-8")
    links = _links(page)
    assert len(links) == 4
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "<b>$made$" not in page
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert all(f"({name}.png)" in text for name in names)
    assert "# Limits" in text
    again = SynthesisReport.load(folder)
    assert again.to_dict() == report.to_dict()
    assert again.markdown() == text


def test_figures_have_a_size_and_ink(report, tmp_path):
    from matplotlib.image import imread

    from tfadvrec.synthesis.plots import figures

    for image in figures(report.to_dict()).values():
        pixels = imread(io.BytesIO(image))
        assert pixels.shape[1] == 1200
        assert pixels[..., :3].std() > 0.05


def test_without_test_and_holdout_the_sections_say_so(split):
    made = independent_columns(split.train, 2_000)
    report = synthesis_report(split.train, made, repeats=1)
    record = report.to_dict()
    assert record["utility"]["status"] == record["membership"]["status"] == "NOT RUN"
    assert "no holdout users" in report.markdown()
    assert "nothing says what chance makes" in report.html()


def test_limits_are_mandatory(split):
    made = independent_columns(split.train, 2_000)
    with pytest.raises(ValueError, match="the report has no limits"):
        synthesis_report(split.train, made, repeats=1, limits=" ")


def test_another_records_file_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"kind": "other"}')
    with pytest.raises(ValueError, match="not a report that this version reads"):
        SynthesisReport.load(tmp_path)


def test_logs_that_were_read_apart_get_one_vocabulary():
    real = Interactions.from_arrays([1, 1, 2], ["jam", "tea", "tea"])
    made = Interactions.from_arrays(["s1", "s1"], ["tea", "jam"])
    assert with_items(made, real).item.tolist() == [1, 0]
    with pytest.raises(ValueError, match="unknown to"):
        with_items(Interactions.from_arrays(["s1", "s1"], ["wine", "jam"]), real)


def _links(page):
    found = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for key, value in attrs if key in ("src", "href"))

    Reader().feed(page)
    return found
