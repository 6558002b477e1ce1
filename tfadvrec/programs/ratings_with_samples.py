"""Rating profiles from a game, mixed into the log of a matrix factorisation."""

import os
import time
from typing import Any

import keras
import numpy as np

from tfadvrec.adversary import AdversarialTraining, FastGradient
from tfadvrec.data import Interactions, by_ratio
from tfadvrec.games.losses import NonSaturating
from tfadvrec.games.vectors import VectorGame
from tfadvrec.programs import figures, mixing
from tfadvrec.programs import output as folders
from tfadvrec.programs.distances import kl_divergence, rating_errors
from tfadvrec.programs.listing import PROGRAMS, Progress
from tfadvrec.programs.logs import described, load_log
from tfadvrec.programs.playing import last, play
from tfadvrec.programs.rating_model import Factorised, Means, factorise

KEPT = ("generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")
EPSILON, RIDGE, BATCH = 0.1, 0.1, 64


def run(
    output: str | os.PathLike,
    *,
    data: Any = "movielens",
    epochs: int = PROGRAMS["ratings_with_samples"].epochs,
    seed: int = 0,
    progress: Progress | None = None,
    share: float = 0.25,
    every: int = 10,
) -> dict[str, Any]:
    """Trains a generator of profiles, mixes its samples with a log, and asks what they were for.

    Args:
        output: Folder for `results.json`, `ratings_with_samples.png`, `samples.npz` and
            `checkpoints/`.
        data: A log or where to get one; see `load_log`.
        epochs: Passes of the game over the users.
        seed: What everything random is drawn from, the split included.
        progress: Called with a text, how much is done, and of how much.
        share: Generated users for each real one.
        every: Epochs between checkpoints.

    Returns:
        What `results.json` holds. A row of `"figures"` has `rmse` and `mae` on held-out ratings,
        `attacked_rmse` on the same with each pair's vectors moved up its error, and
        `generated_rmse` on ratings held out of fresh generated profiles.
    """
    began, folder, log = time.perf_counter(), folders.open_folder(output), load_log(data)
    split = by_ratio(log, validation=0, test=0.1, seed=seed)
    game, history = _game(split.train, folder, epochs, every, seed, progress)
    count = max(1, round(share * log.n_users))
    made = game.profiles.ratings(game.generate(count, seed=seed))
    fresh = game.profiles.ratings(game.generate(count, seed=seed + 1_000_003))
    arms = _arms(split.train, game, made, seed)
    table = {}
    for number, (label, (train, wrapped)) in enumerate(arms.items()):
        if progress is not None:
            progress("matrix factorisations", number, len(arms))
        model = factorise(train, ridge=RIDGE, seed=seed, wrapped=wrapped)
        table[label] = judged(model, split.test, mixing.alone(log, fresh), seed=seed)
    table |= _means(split.train, split.test)
    table["the game's samples"] = {
        **sample_figures(split.train, made, game.profiles.levels),
        **last(history, KEPT),
    }
    record = {
        "program": "ratings_with_samples",
        "data": described(log),
        "epochs": epochs,
        "seed": seed,
        "figures": table,
        "settings": {"share": share, "epsilon": EPSILON, "ridge": RIDGE},
        "history": {name: history[name] for name in KEPT},
    }
    drawn = _drawn(table, split.train, made)
    return folders.finish(folder, record, began=began, figure=drawn, ratings=made)


def _game(
    log: Interactions, folder: Any, epochs: int, every: int, seed: int, progress: Progress | None
) -> tuple[VectorGame, dict[str, list[float]]]:
    """The game of `digits` on users, trained; and its history."""
    game = VectorGame.for_log(log, side="user", seed=seed)
    game.compile(
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        NonSaturating(r1=0.1),
    )
    table, settings = (
        {"x": game.profiles.x},
        {"batch_size": BATCH, "epochs": epochs, "every": every},
    )
    return game, play(game, table, folder=folder, progress=progress, **settings)


def _arms(log: Interactions, game: VectorGame, made: np.ndarray, seed: int) -> dict[str, Any]:
    """Label -> the log that a factorisation learns from, and what is put around it."""
    lengths = (made > 0).sum(axis=1)
    noise = mixing.random_profiles(log, game.profiles, lengths, seed=seed)
    popular = mixing.popular_profiles(log, lengths, seed=seed)

    def robust(model: keras.Model) -> keras.Model:
        return AdversarialTraining(model, FastGradient(epsilon=EPSILON), weight=1.0, seed=seed)

    return {
        "no samples": (log, None),
        "the game's samples mixed in": (mixing.mixed(log, made), None),
        "random samples mixed in": (mixing.mixed(log, noise), None),
        "popular samples mixed in": (mixing.mixed(log, popular), None),
        "no samples, adversarial training": (log, robust),
    }


def judged(
    model: Factorised, test: Interactions, generated: Interactions, *, seed: int = 0
) -> dict[str, float]:
    """Errors of a factorisation on clean, attacked and generated ratings.

    Args:
        model: It knows at least the users of `test`.
        test: Held-out ratings.
        generated: Ratings of generated users that no model has seen; nine tenths of each user's
            are used to fold the user in, the rest are predicted.
        seed: What decides which.
    """
    pairs = test.user, test.item
    attacked = model.attacked(*pairs, test.rating, epsilon=EPSILON)
    figures_of = {
        **rating_errors(model.predict(*pairs), test.rating),
        "attacked_rmse": rating_errors(attacked, test.rating)["rmse"],
    }
    if len(generated) >= 10:
        known, _, held = by_ratio(generated, validation=0, test=0.1, seed=seed)
        folded = model.fold_in(known, ridge=RIDGE)
        if len(held):
            errors = rating_errors(folded.predict(held.user, held.item), held.rating)
            figures_of["generated_rmse"] = errors["rmse"]
    return figures_of


def _means(log: Interactions, test: Interactions) -> dict[str, dict[str, float]]:
    """Predictors without vectors: there is nothing in them to attack."""
    means = Means.of(log)
    constant = np.full(len(test), means.mean)
    return {
        "user and item means": rating_errors(means.predict(test.user, test.item), test.rating),
        "one mean": rating_errors(constant, test.rating),
    }


def sample_figures(log: Interactions, made: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """How much generated profiles are like the log's.

    Returns:
        `"length"` and `"real_length"`, mean ratings a user; `"popularity_correlation"` of the
        items' shares; `"rating_kl"` of the histograms, real against generated; `"items"`, the
        share of the catalogue that occurs.
    """
    _, item, rating = mixing.rows_of(made)
    real = np.bincount(log.item, minlength=log.n_items)
    generated = np.bincount(item, minlength=log.n_items)
    counts = [
        np.array([(part == level).sum() for level in levels]) for part in (log.rating, rating)
    ]
    spread = real.std() * generated.std()
    return {
        "length": float((made > 0).sum(axis=1).mean()),
        "real_length": len(log) / len(np.unique(log.user)),
        "popularity_correlation": float(np.corrcoef(real, generated)[0, 1]) if spread else 0.0,
        "rating_kl": kl_divergence(*counts),
        "items": float((generated > 0).mean()),
    }


def _drawn(table: dict[str, dict[str, float]], log: Interactions, made: np.ndarray) -> bytes:
    figure = figures.blank(11.0, 3.0)
    panels = figure.subplots(1, 3, width_ratios=(1.5, 1.0, 1.0))
    models = {label: row for label, row in table.items() if "rmse" in row}
    figures.bars(panels[0], {k: r["rmse"] for k, r in models.items()}, title="RMSE, clean")
    attacked = {k: row.get("attacked_rmse", row["rmse"]) for k, row in models.items()}
    figures.bars(panels[1], attacked, title="RMSE, vectors attacked")
    panels[1].set_yticklabels([])
    real = np.sort(np.bincount(log.item, minlength=log.n_items))[::-1] / log.n_users
    order = np.argsort(-np.bincount(log.item, minlength=log.n_items), kind="stable")
    panels[2].plot((made > 0).mean(axis=0)[order], color=figures.COLOURS[1], lw=0.7, label="game")
    panels[2].plot(real, color=figures.COLOURS[0], lw=1.5, label="log")
    panels[2].set_xlabel("items, most rated first")
    panels[2].set_ylabel("share of users who rated it")
    figures.tidy(panels[2])
    panels[2].legend(frameon=False, fontsize=8)
    return figures.png(figure)
