"""Digits again, against a critic with a linear output whose loss is a Wasserstein one."""

import os
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.games.losses import GameLoss, Wasserstein
from tfadvrec.games.networks import dense
from tfadvrec.games.vectors import VectorGame
from tfadvrec.programs import figures
from tfadvrec.programs import output as folders
from tfadvrec.programs.image_quality import MADE, ImageQuality
from tfadvrec.programs.images import Images, load_images
from tfadvrec.programs.listing import PROGRAMS, Progress
from tfadvrec.programs.playing import last, play
from tfadvrec.programs.shifted_gaussians import SHIFTS, shifted

LATENT, WIDTHS, BATCH = 100, (128, 128), 64
ARMS: dict[str, tuple[tuple[int, ...], Wasserstein, int]] = {
    # label -> widths of the critic, loss, critic steps a generator step
    "critic 128-128, penalty": (WIDTHS, Wasserstein(gradient_penalty=10.0), 5),
    "critic 128-128, clipped": (WIDTHS, Wasserstein(gradient_penalty=0.0, clip=0.01), 5),
    "one linear layer, penalty": ((), Wasserstein(gradient_penalty=10.0), 5),
}


def run(
    output: str | os.PathLike,
    *,
    data: str = "digits",
    epochs: int = PROGRAMS["wasserstein_critic"].epochs,
    seed: int = 0,
    progress: Progress | None = None,
    every: int = 10,
) -> dict[str, Any]:
    """Plays three Wasserstein games on digits, and measures critics on a shifted Gaussian.

    Args:
        output: Folder for `results.json`, `wasserstein_critic.png`, `samples.npz` and
            `checkpoints/` of the first game.
        data: `"digits"` or `"mnist"`; see `load_images`.
        epochs: Updates of each generator, in passes over the training images: with five critic
            steps a generator step a game takes five times as many passes.
        seed: What everything random is drawn from.
        progress: Called with a text, how much is done, and of how much.
        every: Epochs between checkpoints.

    Returns:
        What `results.json` holds; `"shifts"` has the distance that a critic estimates between a
        Gaussian and one shifted by so much.
    """
    began, folder, images = time.perf_counter(), folders.open_folder(output), load_images(data)
    told = {"epochs": epochs, "every": every, "seed": seed, "progress": progress}
    games, history = _games(images, folder, **told)
    samples = {label: game.generate(MADE, seed=seed) for label, game in games.items()}
    quality, arms = ImageQuality(images), {}
    for label, made in samples.items():
        steep = slope(games[label], images.test[:MADE], made)
        gap = last(history[label], ("critic_gap",))
        arms[label] = {**quality.figures(made), **gap, "slope": steep}
    shifts = shifted(seed=seed, progress=progress)
    record = {
        "program": "wasserstein_critic",
        "data": images.describe(),
        "epochs": epochs,
        "seed": seed,
        "figures": {**arms, **quality.neighbours(seed), **_by_shift(shifts)},
        "shifts": {"true": list(SHIFTS), **shifts},
        "history": {label: {"critic_gap": h["critic_gap"]} for label, h in history.items()},
    }
    drawn = _drawn(images, samples, shifts)
    arrays = {_key(label): made for label, made in samples.items()}
    return folders.finish(folder, record, began=began, figure=drawn, **arrays)


def _games(
    images: Images, folder: Any, *, epochs: int, every: int, **told: Any
) -> tuple[dict[str, VectorGame], dict[str, dict[str, list[float]]]]:
    """Every game, trained, and its history; the first one leaves checkpoints."""
    games, history = {}, {}
    for label, (widths, loss, steps) in ARMS.items():
        games[label] = make_game(images, widths, loss, steps, seed=told["seed"])
        history[label] = play(
            games[label],
            {"x": images.train},
            batch_size=BATCH,
            epochs=steps * epochs,
            every=steps * every,
            folder=None if history else folder,
            text=label,
            **told,
        )
    return games, history


def make_game(
    images: Images, widths: tuple[int, ...], loss: GameLoss, steps: int, *, seed: int = 0
) -> VectorGame:
    """The generator of `digits` against a critic of some width; no width is one linear layer."""
    pixels = images.train.shape[1]
    generator = dense(
        WIDTHS, out=pixels, input_width=LATENT, output_activation="tanh", seed=2 * seed
    )
    critic = dense(widths, out=1, input_width=pixels, seed=2 * seed + 1)
    game = VectorGame(generator, critic, latent=LATENT, seed=seed)
    game.compile(
        keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.9),
        keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.9),
        loss,
        discriminator_steps=steps,
    )
    return game


def slope(game: VectorGame, real: np.ndarray, made: np.ndarray) -> float:
    """The largest length of the critic's gradient between real and made rows: 1 where it fits."""
    share = np.random.default_rng(0).uniform(size=(len(real), 1)).astype(np.float32)
    between = tf.constant(share * real + (1 - share) * made[: len(real)])
    with tf.GradientTape() as tape:
        tape.watch(between)
        total = tf.reduce_sum(game.judge(between, training=False))
    return float(tf.reduce_max(tf.norm(tape.gradient(total, between), axis=1)))


def _by_shift(shifts: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """The estimates as figures, so that they can be averaged over seeds."""
    return {
        f"shifted Gaussian, {critic}": {
            f"at {true:g}": v for true, v in zip(SHIFTS, values, strict=True)
        }
        for critic, values in shifts.items()
    }


def _key(label: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in label)


def _drawn(images: Images, samples: dict[str, np.ndarray], shifts: dict[str, list[float]]) -> bytes:
    figure = figures.blank(11.0, 3.2)
    panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.25))
    for axes, (label, made) in zip(panels, samples.items(), strict=False):
        figures.grid(axes, made[:100], images.side, title=label)
    axes = panels[-1]
    axes.plot(SHIFTS, SHIFTS, color="#000000", lw=1, ls=":", label="true distance")
    for colour, (critic, values) in zip(figures.COLOURS, shifts.items(), strict=False):
        axes.plot(SHIFTS, values, "o-", color=colour, ms=4, lw=1.4, label=critic)
    axes.set_ylim(-0.3, 2 * SHIFTS[-1])
    axes.set_xlabel("shift between two Gaussians")
    axes.set_ylabel("what the critic's loss says")
    figures.tidy(axes)
    axes.legend(
        frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.25)
    )
    return figures.png(figure)
