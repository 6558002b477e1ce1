"""A saved model comes back as it was; nothing is ever half-written."""

import json
import os

import keras
import numpy as np
import pytest

from tfadvrec import presets
from tfadvrec.presets import files, saving
from tfadvrec.presets.registry import _REGISTRY


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_ids_and_scores_come_back(toy_model, tmp_path):
    presets.save(toy_model, tmp_path / "toy")
    again = presets.load(tmp_path / "toy")
    assert type(again) is type(toy_model)
    assert again.get_config() == toy_model.get_config()
    for old, new in zip(toy_model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    assert again.user_ids.tolist() == toy_model.user_ids.tolist()
    assert again.item_ids.dtype == np.int64
    assert again.item_ids.tolist() == [10, 20, 30, 40]


def test_saving_twice_gives_equal_bytes(toy_model, tmp_path):
    presets.save(toy_model, tmp_path / "toy")
    first = folder_bytes(tmp_path / "toy")
    presets.save(toy_model, tmp_path / "toy")
    assert folder_bytes(tmp_path / "toy") == first
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_manifest_lists_every_parsed_file_with_its_hash(toy_model, tmp_path):
    presets.save(toy_model, tmp_path / "toy", data={"name": "toys", "licence": "none"})
    manifest = json.loads((tmp_path / "toy/manifest.json").read_text())
    assert set(manifest["files"]) == {p.name for p in (tmp_path / "toy").iterdir()} - {
        "manifest.json",
        "README.md",
    }
    assert manifest["data"]["licence"] == "none"
    assert manifest["contains_user_rows"] is True
    assert set(manifest["versions"]) >= {"tfadvrec", "keras", "tensorflow", "numpy", "python"}


def test_weight_names_do_not_depend_on_what_the_process_made_before(toy_class, toy_model, tmp_path):
    presets.save(toy_model, tmp_path / "one")
    for _ in range(3):
        keras.layers.Dense(2).build((None, 2))
        toy_class(n_users=2, n_items=2)
    other = toy_class(n_users=3, n_items=4)
    presets.save(other, tmp_path / "two")
    one, two = (presets.read(tmp_path / name).files[files.WEIGHTS] for name in ("one", "two"))
    header = slice(8, 8 + int.from_bytes(one[:8], "little"))
    assert one[header] == two[header]
    assert b"user_embedding/embeddings" in one[header]


def test_float16_is_half_the_size_and_answers_the_probe(toy_class, tmp_path):
    model = toy_class(n_users=200, n_items=100, dimension=8)
    before = [w.numpy() for w in model.weights]
    presets.save(model, tmp_path / "full")
    presets.save(model, tmp_path / "half", dtype="float16")
    sizes = [(tmp_path / n / files.WEIGHTS).stat().st_size for n in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    for old, now in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, now.numpy())
    again = presets.load(tmp_path / "half")
    assert again.user_embedding.embeddings.dtype == "float32"
    np.testing.assert_allclose(again.user_embedding.embeddings.numpy(), before[1], atol=1e-3)


def test_float16_is_refused_where_it_overflows(toy_model, tmp_path):
    toy_model.user_embedding.embeddings.assign(
        np.full(toy_model.user_embedding.embeddings.shape, 1e6, np.float32)
    )
    with pytest.raises(presets.PresetError, match="float16"):
        presets.save(toy_model, tmp_path / "toy", dtype="float16")
    assert not list(tmp_path.iterdir())


def test_optimizer_state_is_optional_and_comes_back(toy_model, tmp_path):
    optimizer = keras.optimizers.Adagrad(0.1)
    optimizer.build(toy_model.trainable_variables)
    for variable in optimizer.variables[2:]:
        variable.assign(np.random.default_rng(0).random(variable.shape))
    presets.save(toy_model, tmp_path / "toy", optimizer=optimizer)
    other = keras.optimizers.Adagrad(0.1)
    presets.load(tmp_path / "toy", optimizer=other)
    for old, new in zip(optimizer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    presets.save(toy_model, tmp_path / "toy")
    with pytest.raises(presets.PresetError, match="no optimizer state"):
        presets.load(tmp_path / "toy", optimizer=keras.optimizers.Adagrad(0.1))


def test_hand_written_limits_survive_and_the_rest_is_generated(toy_model, tmp_path):
    card = tmp_path / "toy/README.md"
    presets.save(toy_model, tmp_path / "toy")
    text = card.read_text()
    assert "## Limits" in text
    assert "Nobody has written" in text
    card.write_text(text.split("## Limits")[0] + "## Limits\n\nOnly for toys.\n")
    presets.load(tmp_path / "toy")
    presets.save(toy_model, tmp_path / "toy", limits="a default", data={"name": "blocks"})
    assert card.read_text().endswith("## Limits\n\nOnly for toys.\n")
    assert "| Data | blocks |" in card.read_text()


def test_a_card_is_written_again_with_its_limits(toy_model, tmp_path):
    card = tmp_path / "toy/README.md"
    figure = {"mean": 0.25, "std": 0.01, "seeds": [0.25], "interval": [0.2, 0.3]}
    metrics = {
        "users": 7,
        "split": "by time",
        "k": [10],
        "seeds": [0],
        "models": {"a|b": {"test": {"ndcg@10": figure}, "attacked 0.5": {"ndcg@10": figure}}},
        "situations": {"attacked 0.5": "an attack"},
        "twin": "c",
        "against_twin": {"test": {"ndcg@10": {"difference": 0.1, "low": -0.1, "high": 0.3}}},
    }
    presets.save(toy_model, tmp_path / "toy", metrics=metrics)
    card.write_text("# old\n\n## Limits\n\nOnly for toys.\n")
    assert presets.rewrite_card(tmp_path / "toy") == card
    text = card.read_text()
    assert text.startswith("# toy\n")
    assert "| a\\|b |  | 0.2500 ± 0.0100 [0.2000, 0.3000] |  |  |" in text
    assert "- **attacked 0.5**: an attack" in text
    assert "| test | +0.1000 | [-0.1000, +0.3000] |" in text
    assert text.endswith("## Limits\n\nOnly for toys.\n")
    presets.load(tmp_path / "toy")


def test_a_failed_save_leaves_the_earlier_preset_and_nothing_else(toy_model, tmp_path, monkeypatch):
    presets.save(toy_model, tmp_path / "toy")
    first = folder_bytes(tmp_path / "toy")
    write, calls = saving.write_file, []

    def fails(path, data):
        calls.append(path)
        if len(calls) == 3:
            raise OSError("disk full")
        write(path, data)

    monkeypatch.setattr(saving, "write_file", fails)
    with pytest.raises(OSError, match="disk full"):
        presets.save(toy_model, tmp_path / "toy")
    assert folder_bytes(tmp_path / "toy") == first
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_a_failed_rename_puts_the_earlier_preset_back(toy_model, tmp_path, monkeypatch):
    presets.save(toy_model, tmp_path / "toy")
    first, rename, calls = folder_bytes(tmp_path / "toy"), os.rename, []

    def fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="no"):
        presets.save(toy_model, tmp_path / "toy")
    assert folder_bytes(tmp_path / "toy") == first
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_a_folder_with_other_things_is_not_replaced(toy_model, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("years of work")
    with pytest.raises(presets.PresetError, match=r"thesis\.tex"):
        presets.save(toy_model, tmp_path / "home")
    assert (tmp_path / "home/thesis.tex").read_text() == "years of work"


def test_an_unregistered_class_is_refused_at_once(toy_class, tmp_path):
    class Stranger(toy_class):
        pass

    with pytest.raises(presets.PresetError, match="Stranger"):
        presets.save(Stranger(n_users=2, n_items=2), tmp_path / "toy")
    assert not list(tmp_path.iterdir())
    assert "Stranger" not in _REGISTRY


def test_two_classes_of_one_name_are_an_error():
    Impostor = type("MatrixFactorization", (), {"__module__": "elsewhere"})
    presets.registered("MatrixFactorization")
    with pytest.raises(presets.PresetError, match="elsewhere"):
        presets.register(Impostor)


@pytest.mark.parametrize("bad", ["", "a\nb", "a\rb", "x" * 600])
def test_an_id_that_cannot_be_a_line_is_refused(toy_model, tmp_path, bad):
    toy_model.set_ids(np.array(["a", bad, "c"]), np.array([1, 2, 3, 4]))
    with pytest.raises(presets.PresetError, match=r"user_ids\[1\]"):
        presets.save(toy_model, tmp_path / "toy")
    assert not list(tmp_path.iterdir())


def test_text_that_looks_like_integers_stays_text(toy_model, tmp_path):
    toy_model.set_ids(np.array(["01", "1", "-0"]), np.array([-1, 0, 2**63 - 1, 4]))
    presets.save(toy_model, tmp_path / "toy")
    again = presets.load(tmp_path / "toy")
    assert again.user_ids.tolist() == ["01", "1", "-0"]
    assert again.item_ids.tolist() == [-1, 0, 2**63 - 1, 4]


def test_weights_with_nan_are_not_saved(toy_model, tmp_path):
    toy_model.user_embedding.embeddings.assign(
        np.full(toy_model.user_embedding.embeddings.shape, np.nan, np.float32)
    )
    with pytest.raises(presets.PresetError, match="NaN"):
        presets.save(toy_model, tmp_path / "toy")
    assert not list(tmp_path.iterdir())


def test_a_preset_without_weights_says_how_to_make_them(toy_model, tmp_path):
    presets.save(toy_model, tmp_path / "toy", weights=False)
    assert not (tmp_path / "toy" / files.WEIGHTS).exists()
    with pytest.raises(presets.PresetError, match="tfadvrec zoo train toy"):
        presets.load(tmp_path / "toy")


def test_the_wrong_class_is_named_with_the_right_one(toy_model, tmp_path):
    from tfadvrec.models import EASE

    presets.save(toy_model, tmp_path / "toy")
    with pytest.raises(presets.PresetError, match="ToyRanker"):
        presets.load(tmp_path / "toy", expected=EASE)
