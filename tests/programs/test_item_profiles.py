"""Items made by a generator: their figures on cases that are known."""

import json

import numpy as np
import pytest

from tfadvrec.programs import item_profiles as program


@pytest.fixture(scope="module")
def blocks():
    """200 items: half are rated by the first 20 users, half by the others."""
    rng = np.random.default_rng(0)
    ratings = np.zeros((200, 40), np.float32)
    for row in ratings:
        own = slice(0, 20) if rng.uniform() < 0.5 else slice(20, 40)
        row[own] = np.where(rng.uniform(size=20) < 0.7, rng.choice([4.0, 5.0], 20), 0)
    return ratings


LEVELS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def test_real_items_pass_for_real_and_copies_are_seen(blocks):
    real, learnt = blocks[:100], blocks[100:]
    figures = program.profile_figures(real, learnt, LEVELS, learnt)
    assert figures["told_apart"] == pytest.approx(0.5, abs=0.12)
    assert figures["pair_correlation"] > 0.9
    assert figures["length_distance"] < 0.1
    assert figures["copies"] == 1.0
    assert program.profile_figures(real, real, LEVELS, learnt)["copies"] == 0.0


def test_neighbours_keep_what_they_keep_and_lose_who_goes_with_whom(blocks):
    real, learnt = blocks[:100], blocks[100:]
    for make in (program.by_activity, program.independent):
        made = make(learnt, 100, seed=0)
        figures = program.profile_figures(real, made, LEVELS, learnt)
        assert abs(figures["pair_correlation"]) < 0.3
        assert figures["rating_kl"] < 0.05
        assert figures["length"] == pytest.approx(np.count_nonzero(learnt) / 100, rel=0.1)
        assert set(np.unique(made)) <= {0.0, 4.0, 5.0}


def test_by_activity_prefers_active_users_and_has_real_lengths():
    learnt = np.zeros((50, 3), np.float32)
    learnt[:, 0] = 5.0
    learnt[:5, 1] = 3.0
    made = program.by_activity(learnt, 400, seed=0)
    assert set(np.count_nonzero(made, axis=1)) == {1, 2}
    assert (made[:, 0] > 0).mean() > 0.9
    assert not made[:, 2].any()


def test_a_made_item_that_nobody_rated_has_figures_too(blocks):
    figures = program.profile_figures(blocks, np.zeros((5, 40), np.float32), LEVELS, blocks)
    assert np.isfinite(list(figures.values())).all()
    assert figures["length"] == 0


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_a_short_run_is_whole(tmp_path, made_log, finite, eager, monkeypatch):
    for name in ("GENERATOR", "DISCRIMINATOR"):
        monkeypatch.setattr(program, name, (16,))
    record = program.run(tmp_path, data=made_log, epochs=2, seed=0, minimum=5)
    finite(record)
    assert json.loads((tmp_path / "results.json").read_text())["figures"] == record["figures"]
    assert record["files"][-2:] == ["item_profiles.png", "samples.npz"]
    made = np.load(tmp_path / "samples.npz")["ratings"]
    assert made.shape == (record["data"]["items_held_out"], made_log.n_users)
    assert set(np.unique(made)) <= {0.0, *np.unique(made_log.rating).tolist()}
    assert record["figures"]["game"]["copies"] == 0.0


def test_the_networks_are_the_printed_ones(made_log):
    from tfadvrec.games.vectors import VectorGame

    game = VectorGame.for_log(
        made_log,
        side="item",
        generator=program.GENERATOR,
        discriminator=program.DISCRIMINATOR,
        dropout=program.DROPOUT,
    )
    shapes = [w.shape for w in game.generator.weights if len(w.shape) == 2]
    assert shapes == [(100, 256), (256, 512), (512, 1024), (1024, made_log.n_users)]
    hidden = game.discriminator.layers[0]
    assert hidden.drop.rate == 0.3
    assert hidden.activation.negative_slope == 0.2
