"""Digits as vectors: a dense generator against a dense discriminator."""

import os
import time
from typing import Any

import keras
import numpy as np

from tfadvrec.games.losses import NonSaturating
from tfadvrec.games.networks import dense
from tfadvrec.games.vectors import VectorGame
from tfadvrec.programs import figures
from tfadvrec.programs import output as folders
from tfadvrec.programs.image_quality import MADE, ImageQuality
from tfadvrec.programs.images import Images, load_images
from tfadvrec.programs.listing import PROGRAMS, Progress
from tfadvrec.programs.playing import last, play

LATENT, WIDTHS, BATCH = 100, (128, 128), 64
KEPT = ("generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")


def run(
    output: str | os.PathLike,
    *,
    data: str = "digits",
    epochs: int = PROGRAMS["digits"].epochs,
    seed: int = 0,
    progress: Progress | None = None,
    every: int = 10,
) -> dict[str, Any]:
    """Trains a generator 100-128-128-n with tanh, and judges its digits.

    Args:
        output: Folder for `results.json`, `digits.png`, `samples.npz` and `checkpoints/`.
        data: `"digits"` or `"mnist"`; see `load_images`.
        epochs: Passes over the training images.
        seed: What everything random is drawn from.
        progress: Called with a text, how much is done, and of how much.
        every: Epochs between checkpoints, which hold both optimizers.

    Returns:
        What `results.json` holds; `"figures"` has the game beside images that no game made.
    """
    began, folder, images = time.perf_counter(), folders.open_folder(output), load_images(data)
    game = make_game(images, seed=seed)
    game.compile(
        keras.optimizers.Adam(2e-4, beta_1=0.5),
        keras.optimizers.Adam(2e-4, beta_1=0.5),
        NonSaturating(),
    )
    table, settings = {"x": images.train}, {"batch_size": BATCH, "epochs": epochs, "every": every}
    history = play(game, table, folder=folder, seed=seed, progress=progress, **settings)
    made, quality = game.generate(MADE, seed=seed), ImageQuality(images)
    record = {
        "program": "digits",
        "data": images.describe(),
        "epochs": epochs,
        "seed": seed,
        "figures": {"game": {**quality.figures(made), **last(history, KEPT)}}
        | quality.neighbours(seed),
        "classifier_accuracy": quality.accuracy,
        "history": {name: history[name] for name in KEPT},
    }
    drawn = _drawn(images, made, history)
    return folders.finish(folder, record, began=began, figure=drawn, made=made)


def make_game(images: Images, *, seed: int = 0) -> VectorGame:
    """The networks that the tutorial prints, except that the discriminator gives logits."""
    pixels = images.train.shape[1]
    generator = dense(
        WIDTHS, out=pixels, input_width=LATENT, output_activation="tanh", seed=2 * seed
    )
    discriminator = dense(WIDTHS, out=1, input_width=pixels, seed=2 * seed + 1)
    return VectorGame(generator, discriminator, latent=LATENT, seed=seed)


def _drawn(images: Images, made: np.ndarray, history: dict[str, list[float]]) -> bytes:
    figure = figures.blank(9.0, 3.0)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    figures.grid(left, made[:100], images.side, title="generated")
    figures.grid(middle, images.test[:100], images.side, title="held out")
    shown = {name: history[name] for name in ("generator_loss", "discriminator_loss")}
    figures.curves(right, shown, ylabel="loss")
    return figures.png(figure)
