"""Ratings of a CSV generated from user, item, weekday and hour, and what they are good for."""

import os
import time
from typing import Any

import keras
import numpy as np

from tfadvrec.data import Interactions, by_ratio
from tfadvrec.games.losses import NonSaturating
from tfadvrec.games.networks import dense
from tfadvrec.programs import figures
from tfadvrec.programs import output as folders
from tfadvrec.programs.distances import kl_divergence, nearest_level, rating_errors
from tfadvrec.programs.listing import PROGRAMS, Progress
from tfadvrec.programs.logs import described, load_log
from tfadvrec.programs.playing import last, play
from tfadvrec.programs.rating_features import NAMES, RatingFeatures
from tfadvrec.programs.rating_game import RatingGame
from tfadvrec.programs.rating_model import Means
from tfadvrec.programs.recommendation_effect import recommendation_effect

LATENT, WIDTHS, BATCH, DRAWS = 16, (64, 64), 512, 32
KEPT = ("generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")


def run(
    output: str | os.PathLike,
    *,
    data: Any = "movielens",
    epochs: int = PROGRAMS["generated_ratings"].epochs,
    seed: int = 0,
    progress: Progress | None = None,
    share: float = 0.25,
    every: int = 10,
) -> dict[str, Any]:
    """Trains a generator of ratings, compares them with held-out ones, and mixes them into the log.

    Args:
        output: Folder for `results.json`, `generated_ratings.png`, `generated.csv` and
            `checkpoints/`.
        data: A log with ratings and times, or where to get one; see `load_log`. A CSV has a header
            with user, item, rating and timestamp.
        epochs: Passes over the training ratings.
        seed: What everything random is drawn from, the split included.
        progress: Called with a text, how much is done, and of how much.
        share: Generated ratings for each real one in the recommendation effect.
        every: Epochs between checkpoints.

    Returns:
        What `results.json` holds. A row of `"figures"` has `rmse`, `mae`, `kl` (real against
        generated), `mean` and `spread` of the ratings; those named `effect: ...` have the figures
        of `recommendation_effect`.
    """
    began, folder, log = time.perf_counter(), folders.open_folder(output), load_log(data)
    train, _, test = by_ratio(log, validation=0, test=0.2, seed=seed)
    known = RatingFeatures.of(train)
    game, history = train_game(train, known, folder, epochs, every, seed, progress)
    made = Maker(game, known, np.unique(train.rating))
    table = rating_table(train, test, made, seed=seed)
    table["game, one draw"] |= last(history, KEPT)
    if progress is not None:
        progress("recommendation effect", 0, 1)
    effect = recommendation_effect(train, test, made, share=share, seed=seed)
    record = {
        "program": "generated_ratings",
        "data": described(log),
        "epochs": epochs,
        "seed": seed,
        "figures": {**table, **{f"effect: {name}": row for name, row in effect.items()}},
        "features": list(NAMES),
        "history": {name: history[name] for name in KEPT},
    }
    ratings = made.ratings(test, seed=seed)
    folders.write(folder / "generated.csv", _csv(test, ratings))
    drawn = _drawn(ratings, test.rating, made.levels, table, effect)
    return folders.finish(folder, record, began=began, figure=drawn)


class Maker:
    """Generates ratings of interactions.

    Args:
        game: A trained `RatingGame`.
        known: The features of the log it was trained on.
        levels: The ratings there are, sorted.
    """

    def __init__(self, game: RatingGame, known: RatingFeatures, levels: np.ndarray) -> None:
        self.game, self.known, self.levels = game, known, levels

    def ratings(self, log: Interactions, *, seed: int = 0, to_grid: bool = True) -> np.ndarray:
        """One rating for each interaction of a log, whose own ratings are not looked at.

        Args:
            log: Users, items and times; it has the training log's vocabularies.
            seed: What the noise is drawn from.
            to_grid: Whether ratings are rounded to the levels.

        Returns:
            float64 `(len(log),)`.
        """
        made = self.known.ratings(self.game.generate(self.known.features(log), seed))
        made = np.clip(made, self.levels[0], self.levels[-1])
        return self.levels[nearest_level(made, self.levels)].astype(float) if to_grid else made


def train_game(
    train: Interactions,
    known: RatingFeatures,
    folder: Any,
    epochs: int,
    every: int,
    seed: int,
    progress: Progress | None,
) -> tuple[RatingGame, dict[str, list[float]]]:
    """The trained game, with the mean of its generator's weights, and its history."""
    features = known.features(train, own=True)
    wide, step = features.shape[1], float(np.diff(np.unique(train.rating)).min(initial=np.inf))
    step = step / float(known.rating_scaler.scale_[0]) if np.isfinite(step) else 0.0
    game = RatingGame(
        dense(WIDTHS, out=1, input_width=LATENT + wide, seed=2 * seed),
        dense(WIDTHS, out=1, input_width=wide + 1, seed=2 * seed + 1),
        latent=LATENT,
        step=step,
        seed=seed,
    )
    game.compile(
        # the generator circles around where it should be; the mean of its weights does not
        keras.optimizers.Adam(1e-3, beta_1=0.5, use_ema=True, ema_momentum=0.998),
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        # a rating is one number: a penalty on slopes other than 1 makes its game go in circles
        NonSaturating(r1=0.1),
    )
    table = {"features": features, "rating": known.standardised(train.rating)}
    settings = {"batch_size": BATCH, "epochs": epochs, "every": every}
    return game, play(game, table, folder=folder, seed=seed, progress=progress, **settings)


def rating_table(
    train: Interactions, test: Interactions, made: Maker, *, seed: int
) -> dict[str, dict[str, float]]:
    """Generated ratings of held-out interactions, with what stands beside them."""
    means, given = Means.of(train), test.rating.astype(np.float64)
    rng = np.random.default_rng(seed)
    draws = [made.ratings(test, seed=seed + n, to_grid=False) for n in range(DRAWS)]
    arms = {
        "game, one draw": made.ratings(test, seed=seed),
        f"game, mean of {DRAWS} draws": np.mean(draws, axis=0),
        "any training rating": rng.choice(train.rating, len(test)).astype(np.float64),
        "user and item means": means.predict(test.user, test.item),
        "one mean": np.full(len(test), means.mean),
    }
    return {label: rating_figures(made_, given, made.levels) for label, made_ in arms.items()}


def rating_figures(made: np.ndarray, given: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """RMSE, MAE, KL divergence of histograms, mean and spread of ratings.

    Args:
        made: Generated or predicted ratings `(n,)`.
        given: The real ones of the same interactions.
        levels: The bins of both histograms, sorted; made ratings are rounded to them.
    """
    counts = [
        np.bincount(nearest_level(part, levels), minlength=len(levels)) for part in (given, made)
    ]
    return {
        **rating_errors(made, given),
        "kl": kl_divergence(*counts),
        "mean": float(np.mean(made)),
        "spread": float(np.std(made)),
        "real_mean": float(np.mean(given)),
        "real_spread": float(np.std(given)),
    }


def _csv(test: Interactions, drawn: np.ndarray) -> bytes:
    """The held-out interactions with their real and generated ratings."""
    import csv
    import io

    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(["user", "item", "rating", "timestamp", "generated"])
    ids = test.user_ids[test.user].tolist(), test.item_ids[test.item].tolist()
    writer.writerows(
        zip(*ids, test.rating.tolist(), test.time.tolist(), drawn.tolist(), strict=True)
    )
    return held.getvalue().encode()


def _drawn(
    made: np.ndarray,
    given: np.ndarray,
    levels: np.ndarray,
    table: dict[str, dict[str, float]],
    effect: dict[str, dict[str, float]],
) -> bytes:
    figure = figures.blank(11.0, 3.0)
    panels = figure.subplots(1, 3, width_ratios=(1.0, 1.4, 1.4))
    place = np.arange(len(levels))
    for shift, colour, label, values in (
        (-0.2, figures.COLOURS[0], "held out", given),
        (0.2, figures.COLOURS[1], "generated", made),
    ):
        share = [(values == level).mean() for level in levels]
        panels[0].bar(place + shift, share, width=0.4, color=colour, label=label)
    panels[0].set_xticks(place, [f"{level:g}" for level in levels], fontsize=8)
    panels[0].set_xlabel("rating")
    panels[0].set_ylabel("share")
    figures.tidy(panels[0])
    panels[0].legend(frameon=False, fontsize=8)
    figures.bars(panels[1], {k: row["rmse"] for k, row in table.items()}, title="RMSE")
    untouched = effect["untouched log"]["ndcg@10"]
    shown = {name: row["ndcg@10"] for name, row in effect.items()}
    figures.bars(panels[2], shown, title="NDCG@10 of a recommender on", best=untouched)
    return figures.png(figure)
