"""What critics say of two Gaussians whose distance is known: that of their shift."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfadvrec.games.losses import GameLoss, NonSaturating, Wasserstein
from tfadvrec.games.networks import dense
from tfadvrec.games.vectors import VectorGame
from tfadvrec.programs.listing import Progress

SHIFTS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
DIRECTION = np.array([0.6, 0.8], np.float32)
CRITICS: dict[str, GameLoss] = {
    "linear output, penalty": Wasserstein(gradient_penalty=10.0),
    "linear output, no bound": Wasserstein(gradient_penalty=0.0),
    "cross-entropy": NonSaturating(),
}
_NEVER = 1_000_000_000


def shifted(
    shifts: Sequence[float] = SHIFTS,
    *,
    epochs: int = 12,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Trains each critic on a standard Gaussian in the plane and one that lies aside.

    Args:
        shifts: How far aside.
        epochs: Passes over 6,400 points.
        seed: What points and initial values are drawn from.
        progress: Called with a text, how much is done, and of how much.

    Returns:
        Critic -> for each shift the distance that its loss stands for: the critic's mean
        difference, or for cross-entropy `2 ln 2` less the loss.
    """
    found: dict[str, list[float]] = {name: [] for name in CRITICS}
    for number, (name, loss) in enumerate(CRITICS.items()):
        if progress is not None:
            progress("critics of shifted Gaussians", number, len(CRITICS))
        game = make_pair(len(DIRECTION), loss, seed=seed)
        for shift in shifts:
            train_critic(game, shift * DIRECTION, epochs=epochs)
            found[name].append(estimate(game, seed=seed))
    return found


def make_pair(
    width: int, loss: GameLoss, *, widths: Sequence[int] = (), seed: int = 0
) -> VectorGame:
    """A game whose generator adds a shift to its noise and never learns: only the critic does.

    Args:
        width: How many dimensions.
        loss: The critic's.
        widths: Its hidden layers; none makes it linear.
        seed: What points and initial values are drawn from.
    """
    generator = dense((), out=width, input_width=width, seed=seed)
    critic = dense(widths, out=1, input_width=width, seed=seed + 1)
    game = VectorGame(generator, critic, latent=width, seed=seed)
    adam = keras.optimizers.Adam(5e-3, beta_1=0.5, beta_2=0.9)
    game.compile("adam", adam, loss, discriminator_steps=_NEVER)
    game.start = critic.get_weights()
    return game


def train_critic(game: VectorGame, shift: np.ndarray, *, epochs: int = 12) -> None:
    """Trains the critic from its start on a standard Gaussian and one that lies aside.

    Args:
        game: What `make_pair` made.
        shift: How far aside, `(width,)`.
        epochs: Passes over 6,400 points.
    """
    width = game.latent
    game.generator.set_weights([np.eye(width, dtype=np.float32), np.asarray(shift, np.float32)])
    game.discriminator.set_weights(game.start)
    for moment in game.optimizer.variables if game.optimizer.built else ():
        if moment is not game.optimizer.learning_rate:
            moment.assign(keras.ops.zeros_like(moment))
    points = np.random.default_rng(game.seed).normal(size=(6_400, width)).astype(np.float32)
    batches = game.batches(points, batch_size=128, seed=game.seed, block=50)
    game.fit(batches, epochs=epochs, verbose=0)


def estimate(game: VectorGame, *, count: int = 20_000, seed: int = 0) -> float:
    """What the critic's loss says of the distance, on fresh points."""
    real = np.random.default_rng(seed + 10_000).normal(size=(count, game.latent))
    of_real = game.judge(tf.constant(real, tf.float32), training=False)
    of_made = game.judge(tf.constant(game.generate(count, seed=seed + 1)), training=False)
    if isinstance(game.game_loss, Wasserstein):
        return float(tf.reduce_mean(of_real) - tf.reduce_mean(of_made))
    return float(2 * np.log(2) - game.game_loss.discriminator(of_real, of_made))
