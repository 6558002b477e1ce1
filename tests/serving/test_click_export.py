"""Click models as servables: values of fields in, a probability out."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec import AdversarialTraining, FastGradient, serving
from tfadvrec.adversary import outputs_of
from tfadvrec.data import ClickLog
from tfadvrec.models import CrossNetwork
from tfadvrec.serving.click_export import export_clicks, is_click_model
from tfadvrec.serving.contract import FILE


def impressions(names=("user", "ad")):
    rng = np.random.default_rng(0)
    frame = {
        names[0]: rng.integers(0, 30, 200),
        names[1]: np.array(["Tee & Söhne", "jam", "日本茶"])[rng.integers(0, 3, 200)],
        "age": rng.normal(30, 5, 200),
        "click": rng.integers(0, 2, 200),
    }
    return ClickLog.from_frame(frame, label="click", fields=names, numbers=["age"])


@pytest.fixture(scope="module")
def log():
    return impressions()


@pytest.fixture(scope="module")
def model(log):
    made = CrossNetwork.for_log(log, dimension=4, crosses=2, hidden=[6], initial_scale=1.0, seed=0)
    made.bias.assign(0.3)
    return made


@pytest.fixture(scope="module")
def report(model, tmp_path_factory):
    wrapped = AdversarialTraining(model, FastGradient(0.1), target=outputs_of("field_vectors"))
    assert is_click_model(wrapped)
    base = tmp_path_factory.mktemp("servable") / "ads"
    return serving.export(wrapped, base, metrics={"auc": 0.5})


def test_both_runtimes_answer_what_the_model_answers(report):
    assert report.verified
    assert {check[:2] for check in report.checks} >= {"L1", "L2", "L3"}
    assert report.signatures == ("serving_default", "predict")
    assert report.max_difference < 1e-5
    assert serving.verify(report.path, runtime="python").verified


def test_values_are_matched_as_in_training(report, model):
    predict = tf.saved_model.load(report.path).signatures["predict"]
    answer = predict(
        user=tf.constant(["7", " 7 ", "999", ""]),
        ad=tf.constant(["日本茶", "日本茶", "Tee & Söhne", "x"]),
        age=tf.constant([31.0, 31.0, np.nan, 29.0]),
    )
    asked = ClickLog.from_frame(
        {
            "user": ["7", " 7 ", "999", ""],
            "ad": ["日本茶", "日本茶", "Tee & Söhne", "x"],
            "age": [31.0, 31.0, np.nan, 29.0],
            "click": [0, 0, 0, 0],
        },
        label="click",
        fields=["user", "ad"],
        numbers=["age"],
        missing="keep",
    )
    np.testing.assert_allclose(answer["logit"], model.logits(asked), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answer["probability"], model.probabilities(asked), rtol=1e-5)
    assert (model.rows(asked)["fields"] == 0).sum() == 3


def test_the_contract_tells_what_is_served(report):
    contract = json.loads(pathlib.Path(report.path, FILE).read_text("utf-8"))
    assert contract["model"] == {"class": "CrossNetwork", "kind": "click"}
    assert contract["metrics"] == {"auc": 0.5}
    assert contract["vocabularies"]["ad"]["rows"] == 3


def test_a_changed_vocabulary_is_found(report, tmp_path):
    copy = shutil.copytree(report.path, tmp_path / "1")
    words = copy / "assets" / "ad.txt"
    words.write_text(words.read_text("utf-8").replace("jam", "ham"), "utf-8")
    found = serving.verify(copy, runtime="python")
    assert not found.verified
    assert "assets/ad.txt has changed" in found.failures[0]


def test_a_click_model_takes_no_specification_of_a_catalogue(model, tmp_path):
    with pytest.raises(ValueError, match="is for models that rank a catalogue"):
        serving.export(model, tmp_path / "ads", serving.ExportSpec(k=5))


def test_a_field_that_cannot_be_an_input_is_refused(tmp_path):
    odd = CrossNetwork.for_log(impressions(("user", "ad id")), dimension=2, hidden=[])
    with pytest.raises(ValueError, match=r"the columns \['ad id'\] cannot be inputs"):
        export_clicks(odd, tmp_path / "ads")
    assert not (tmp_path / "ads").exists()
