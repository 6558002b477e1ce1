"""Items of a movie log, made by a wider generator: who rated them, and how."""

import os
import time
from typing import Any

import keras
import numpy as np

from tfadvrec.games.losses import NonSaturating
from tfadvrec.games.profiles import Profiles
from tfadvrec.games.vectors import VectorGame
from tfadvrec.programs import figures
from tfadvrec.programs import output as folders
from tfadvrec.programs.distances import kl_divergence, neighbourhoods
from tfadvrec.programs.listing import PROGRAMS, Progress
from tfadvrec.programs.logs import described, load_log
from tfadvrec.programs.playing import last, play

GENERATOR, DISCRIMINATOR, DROPOUT, BATCH = (256, 512, 1024), (1024, 512, 256), 0.3, 64
KEPT = ("generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")
HELD_OUT = 0.25  # of the items


def run(
    output: str | os.PathLike,
    *,
    data: Any = "movielens",
    epochs: int = PROGRAMS["item_profiles"].epochs,
    seed: int = 0,
    progress: Progress | None = None,
    minimum: int = 20,
    every: int = 10,
) -> dict[str, Any]:
    """Trains a generator 100-256-512-1024-n with tanh against a discriminator with dropout 0.3.

    An item is a vector of the users: -1 where a user did not rate it, the rating above that.

    Args:
        output: Folder for `results.json`, `item_profiles.png`, `samples.npz` and `checkpoints/`.
        data: A log or where to get one; see `load_log`.
        epochs: Passes over the items.
        seed: What everything random is drawn from, the held-out items included.
        progress: Called with a text, how much is done, and of how much.
        minimum: Items with fewer ratings are left out.
        every: Epochs between checkpoints.

    Returns:
        What `results.json` holds; a row of `"figures"` is described at `profile_figures`.
    """
    began, folder, log = time.perf_counter(), folders.open_folder(output), load_log(data)
    rng = np.random.default_rng(seed)
    held = rng.uniform(size=log.n_items) < HELD_OUT
    train, test = log.take(~held[log.item]), log.take(held[log.item])
    game, history = _game(train, folder, epochs, every, seed, progress, minimum)
    known = game.profiles
    real = known.ratings(Profiles.of(test, side="item", minimum=minimum).x)
    learnt = known.ratings(known.x)
    made = known.ratings(game.generate(len(real), seed=seed))
    arms = {
        "game": made,
        "users by activity": by_activity(learnt, len(real), seed=seed),
        "independent users": independent(learnt, len(real), seed=seed),
        "real training items": learnt[rng.permutation(len(learnt))[: len(real)]],
    }
    table = {
        label: profile_figures(real, part, known.levels, learnt) for label, part in arms.items()
    }
    table["game"] |= last(history, KEPT)
    record = {
        "program": "item_profiles",
        "data": {**described(log), "items_learnt": len(learnt), "items_held_out": len(real)},
        "epochs": epochs,
        "seed": seed,
        "figures": table,
        "history": {name: history[name] for name in KEPT},
    }
    drawn = _drawn(real, arms)
    return folders.finish(folder, record, began=began, figure=drawn, ratings=made)


def _game(
    log: Any,
    folder: Any,
    epochs: int,
    every: int,
    seed: int,
    progress: Progress | None,
    minimum: int,
) -> tuple[VectorGame, dict[str, list[float]]]:
    """The trained game and its history."""
    game = VectorGame.for_log(
        log,
        side="item",
        minimum=minimum,
        generator=GENERATOR,
        discriminator=DISCRIMINATOR,
        dropout=DROPOUT,
        seed=seed,
    )
    game.compile(
        keras.optimizers.Adam(5e-4, beta_1=0.5),
        keras.optimizers.Adam(5e-4, beta_1=0.5),
        NonSaturating(r1=0.1),
    )
    table, settings = (
        {"x": game.profiles.x},
        {"batch_size": BATCH, "epochs": epochs, "every": every},
    )
    return game, play(game, table, folder=folder, progress=progress, **settings)


def profile_figures(
    real: np.ndarray, made: np.ndarray, levels: np.ndarray, learnt: np.ndarray
) -> dict[str, float]:
    """How much made items are like held-out ones.

    Args:
        real: Ratings of held-out items, `(n, users)`, 0 for none.
        made: Ratings of made items, `(m, users)`.
        levels: The ratings there are.
        learnt: Ratings of the items that were learnt from.

    Returns:
        `"precision"`, `"coverage"`, `"told_apart"` (see `neighbourhoods`); `"length"`, mean
        ratings an item, and `"length_distance"`, the Wasserstein-1 distance of the logarithms of
        lengths; `"user_correlation"` of how much each user rated; `"pair_correlation"` of how
        often two users rated the same item, beyond their activity; `"rating_kl"`, real against
        made; `"copies"`, the share of made items that equal a learnt one.
    """
    from scipy.stats import wasserstein_distance

    lengths = [np.count_nonzero(part, axis=1) for part in (real, made)]
    activity = [np.count_nonzero(part, axis=0) for part in (real, made)]
    counts = [np.array([(part == level).sum() for level in levels]) for part in (real, made)]
    known = {row.tobytes() for row in learnt.astype(np.float32)}
    return {
        **neighbourhoods(real, made),
        "length": float(lengths[1].mean()),
        "length_distance": float(wasserstein_distance(*(np.log1p(part) for part in lengths))),
        "user_correlation": _correlation(*activity),
        "pair_correlation": _correlation(_pairs(real), _pairs(made)),
        "rating_kl": kl_divergence(*counts),
        "copies": float(np.mean([row.tobytes() in known for row in made.astype(np.float32)])),
    }


def _pairs(ratings: np.ndarray) -> np.ndarray:
    """Covariance of whether two users rated an item, for every pair of users."""
    taken = (ratings > 0).astype(np.float64)
    taken -= taken.mean(axis=0)
    shared = taken.T @ taken / len(taken)
    return shared[np.triu_indices(len(shared), 1)]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if not (first.std() and second.std()):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def by_activity(learnt: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Items without taste: a real length, users by activity, and ratings that the user gave."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice(np.count_nonzero(learnt, axis=1), count)
    with np.errstate(divide="ignore"):
        chance = np.log(np.count_nonzero(learnt, axis=0))
    place = np.argsort(
        np.argsort(-(chance + rng.gumbel(size=(count, learnt.shape[1]))), axis=1), axis=1
    )
    return np.where(place < lengths[:, None], _given(learnt, count, rng), 0).astype(np.float32)


def independent(learnt: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Items of which each user's entry is one of the user's own, whatever the others have."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, len(learnt), (count, learnt.shape[1]))
    return np.take_along_axis(learnt, place, axis=0).astype(np.float32)


def _given(learnt: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """For each user as many ratings as asked for, drawn from those that the user gave."""
    drawn = np.zeros((count, learnt.shape[1]), np.float32)
    for user, column in enumerate(learnt.T):
        own = column[column > 0]
        if len(own):
            drawn[:, user] = rng.choice(own, count)
    return drawn


def _shortest(part: np.ndarray) -> int:
    return int(np.count_nonzero(part, axis=1).min())


def _drawn(real: np.ndarray, arms: dict[str, np.ndarray]) -> bytes:
    figure = figures.blank(11.0, 3.4)
    panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.2))
    users = np.argsort(-np.count_nonzero(real, axis=0), kind="stable")[:150]
    shown = {"held-out items": real, **{key: arms[key] for key in ("game", "users by activity")}}
    for axes, (label, part) in zip(panels, shown.items(), strict=False):
        items = np.argsort(-np.count_nonzero(part, axis=1), kind="stable")[:100]
        axes.imshow(part[items][:, users], cmap="Blues", aspect="auto", interpolation="nearest")
        axes.set_title(label, fontsize=10)
        axes.set_xlabel("most active users")
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0].set_ylabel("most rated items")
    for colour, (label, part) in zip(
        figures.COLOURS, {"held out": real, **arms}.items(), strict=False
    ):
        lengths = np.sort(np.count_nonzero(part, axis=1))
        share = np.arange(1, len(lengths) + 1) / len(lengths)
        panels[3].step(np.maximum(lengths, 1), share, color=colour, lw=1.3, label=label)
    panels[3].set_xscale("log")
    ticks = [1, 10, 20, 50, 100, 200, 500, 1000]
    panels[3].set_xticks(ticks, [str(tick) for tick in ticks])
    panels[3].set_xticks([], minor=True)
    panels[3].set_xlim(max(1, min(map(_shortest, (real, *arms.values())))) / 1.2)
    panels[3].set_xlabel("ratings of an item")
    panels[3].set_ylabel("share of items with at most so many")
    figures.tidy(panels[3])
    panels[3].legend(frameon=False, fontsize=8)
    return figures.png(figure)
