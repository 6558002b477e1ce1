"""Dense generator against dense discriminator on digits."""

import json

import numpy as np
import pytest

from tfadvrec.programs import digits as program
from tfadvrec.programs.image_quality import ImageQuality
from tfadvrec.programs.output import Checkpoints, open_folder


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A short run and its folder."""
    folder = tmp_path_factory.mktemp("digits")
    told = []
    record = program.run(
        folder, epochs=12, every=5, seed=0, progress=lambda *words: told.append(words)
    )
    return folder, record, told


def test_a_run_leaves_what_it_says(short, finite):
    folder, record, told = short
    finite(record)
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(record))
    assert record["files"] == [
        "checkpoints/epoch-0005.weights.h5",
        "checkpoints/epoch-0010.weights.h5",
        "checkpoints/epoch-0012.weights.h5",
        "digits.png",
        "samples.npz",
    ]
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert told[0][1:] == (0, 12)
    assert told[-1][1:] == (12, 12)
    assert not list(folder.rglob("*.tmp*"))


def test_the_networks_have_the_printed_widths(digits):
    game = program.make_game(digits)
    shapes = [w.shape for w in game.generator.weights if len(w.shape) == 2]
    assert shapes == [(100, 128), (128, 128), (128, 64)]
    assert np.abs(game.generate(50)).max() < 1


def test_the_last_checkpoint_is_the_generator_that_was_judged(short, digits):
    folder, _, _ = short
    game = program.make_game(digits, seed=0)
    game.compile("adam", "adam")
    game.fit(game.batches(digits.train, batch_size=64), epochs=1, verbose=0)
    made = np.load(folder / "samples.npz")["made"]
    assert np.abs(game.generate(len(made), seed=0) - made).max() > 0.1
    game.load_weights(folder / "checkpoints" / "epoch-0012.weights.h5")
    np.testing.assert_allclose(game.generate(len(made), seed=0), made, atol=1e-5)


def test_an_interrupted_run_has_no_results_and_another_folder_is_left_alone(tmp_path):
    folder = open_folder(tmp_path / "run")
    (folder / "results.json").write_text("{}")
    (folder / "old.png").write_bytes(b"")
    open_folder(folder)
    assert [p.name for p in folder.iterdir()] == ["checkpoints"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        open_folder(tmp_path / "mine")


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    class Full:
        def save_weights(self, path):
            path.write_bytes(b"half")
            raise OSError("no space left")

    kept = Checkpoints(open_folder(tmp_path), every=1, epochs=3)
    kept.set_model(Full())
    with pytest.raises(OSError, match="no space"):
        kept.on_epoch_end(0)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_held_out_digits_pass_for_real_and_noise_does_not(digits):
    quality = ImageQuality(digits)
    assert quality.accuracy > 0.95
    real = quality.figures(digits.train[:500])
    noise = quality.figures(np.random.default_rng(0).uniform(-1, 1, (500, 64)).astype("float32"))
    assert real["classes"] == 1.0
    assert real["copies"] == 1.0
    assert real["precision"] > 0.9 > 0.1 > noise["precision"]
    assert noise["coverage"] < 0.1
    assert noise["copies"] == 0.0
    assert real["distance"] < noise["distance"]


def test_one_digit_over_and_over_has_one_class(digits):
    only = digits.train[digits.train_labels == 3][:100]
    figures = ImageQuality(digits).figures(only)
    assert figures["classes"] == pytest.approx(0.1)
    assert figures["class_distance"] > 0.8


def test_enough_epochs_make_digits_of_most_classes(digits, tmp_path):
    record = program.run(tmp_path, epochs=150, every=150, seed=0)
    game, pixels = record["figures"]["game"], record["figures"]["independent pixels"]
    assert game["classes"] >= 0.7
    assert game["precision"] > 0.5 > pixels["precision"]
    assert game["coverage"] > 0.25 > pixels["coverage"]
    assert game["copies"] < 0.02
    assert 0.02 < game["accuracy_real"] < 0.999
