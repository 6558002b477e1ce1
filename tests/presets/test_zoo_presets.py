"""Every preset that the zoo ships with weights: it answers its probe, and comes back whole."""

import json

import numpy as np
import pytest

from tfadvrec import presets
from tfadvrec.presets import files, zoo

SHIPPED = sorted(
    name for name, folder in zoo.folders().items() if (folder / files.WEIGHTS).is_file()
)


def test_the_zoo_ships_at_least_twelve_pairs_of_defended_and_plain():
    assert len(SHIPPED) >= 24


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_preset_answers_its_probe_and_comes_back_whole(name, tmp_path):
    folder = zoo.folders()[name]
    model = presets.load(folder, verbose=False)  # refused where the probe is answered otherwise
    recipe = (folder / files.RECIPE).read_text(encoding="utf-8")
    metrics = json.loads((folder / files.METRICS).read_text(encoding="utf-8"))
    presets.save(model, tmp_path / name, recipe=recipe, metrics=metrics)
    again = presets.load(tmp_path / name, verbose=False)
    for one, two in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    for file in (files.CONFIG, files.ITEM_IDS, files.USER_IDS):
        if (folder / file).exists():
            assert (tmp_path / name / file).read_bytes() == (folder / file).read_bytes()
