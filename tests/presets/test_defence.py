"""A defence beside its twin, and the picture of the zoo, on curves whose answer is known."""

import numpy as np
import pytest

from tfadvrec.presets.defence import curve, defence
from tfadvrec.presets.zoo_figure import zoo_figure


def model(clean, attacked):
    """A model's part of a metrics file, with situations that are not the attack among them."""
    parts = {"test": clean, "noise 0.2": 0.001}
    parts |= {"attacked, plain loss 0.2": 0.9} if attacked else {}
    parts |= {f"attacked {size:g}": value for size, value in attacked.items()}
    return {name: {"ndcg@10": {"mean": value}} for name, value in parts.items()}


def metrics(own, twin):
    return {"twin": "plain", "models": {"mine": own, "plain": twin}}


def test_a_curve_begins_with_the_clean_figure_and_has_the_attack_alone():
    sizes, values = curve(model(0.5, {0.4: 0.1, 0.2: 0.3}), "ndcg@10")
    assert sizes.tolist() == [0.0, 0.2, 0.4]
    assert values.tolist() == [0.5, 0.3, 0.1]
    assert len(curve({}, "ndcg@10")[0]) == 0


def test_of_two_attacks_of_a_size_the_worse_counts():
    own = model(0.5, {0.2: 0.4, 0.4: 0.3}) | {
        "attacked, plain loss 0.4": {"ndcg@10": {"mean": 0.1}}
    }
    assert curve(own, "ndcg@10")[1].tolist() == [0.5, 0.4, 0.1]


def test_what_is_kept_is_read_where_the_twin_has_lost_half():
    own = model(0.49, {0.2: 0.45, 0.4: 0.35})
    found = defence(metrics(own, model(0.5, {0.2: 0.35, 0.4: 0.15})), "mine", "ndcg@10")
    assert found.size == pytest.approx(0.3)  # half of .5, midway between .35 and .15
    assert found.halved
    assert found.kept == pytest.approx(0.40 / 0.49)
    assert found.twin_kept == pytest.approx(0.5)
    assert found.clean == pytest.approx(-0.02)


def test_where_the_twin_never_loses_half_the_largest_size_is_compared():
    own = model(0.5, {0.2: 0.5, 0.4: 0.45})
    found = defence(metrics(own, model(0.5, {0.2: 0.45, 0.4: 0.4})), "mine", "ndcg@10")
    assert (found.size, found.halved) == (0.4, False)
    assert (found.kept, found.twin_kept) == (pytest.approx(0.9), pytest.approx(0.8))


def test_without_a_twin_or_an_attack_there_is_no_defence():
    plain = model(0.5, {})
    assert defence({"models": {"mine": model(0.5, {0.2: 0.4})}}, "mine", "ndcg@10") is None
    assert defence(metrics(plain, plain), "mine", "ndcg@10") is None
    assert defence(metrics(model(0.5, {0.2: 0.4}), plain), "mine", "ndcg@10") is None


def test_the_picture_shows_the_presets_that_were_attacked_that_far(tmp_path):
    attacked = {"models": {"a": model(0.5, {0.2: 0.4, 0.4: 0.2})}}
    presets = {
        "a": ("graph", attacked),
        "b": ("graph", metrics({}, {}) | {"twin": "a", "models": {"b": model(0.4, {0.4: 0.3})}}),
        "near": ("graph", {"models": {"near": model(0.4, {0.2: 0.3})}}),
        "clean": ("baselines", {"models": {"clean": model(0.4, {})}}),
    }
    assert zoo_figure(presets, tmp_path / "zoo.png") == ["a", "b"]
    import matplotlib.image

    pixels = matplotlib.image.imread(tmp_path / "zoo.png")
    assert np.ptp(pixels) > 0.5
    assert zoo_figure({}, tmp_path / "empty.png") == []
