"""How every program trains its game: with checkpoints, in compiled blocks where that pays."""

from pathlib import Path

import numpy as np

from tfadvrec.data import rows
from tfadvrec.games.game import Game
from tfadvrec.programs.listing import Progress
from tfadvrec.programs.output import Checkpoints, Telling

PAYS = 1_000  # steps below which compiling takes longer than it saves
_BLOCK = 200


def play(
    game: Game,
    table: dict[str, np.ndarray],
    *,
    batch_size: int,
    epochs: int,
    every: int = 10,
    folder: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    text: str = "training the game",
) -> dict[str, list[float]]:
    """Trains a compiled game on rows.

    Args:
        game: The game.
        table: Name -> array `(n, ...)`; what its batches are made of.
        batch_size: Rows in a batch, fewer where there are not so many.
        epochs: Passes over the rows.
        every: Epochs between checkpoints.
        folder: The program's folder, for checkpoints; none are kept where None.
        seed: What the order is drawn from.
        progress: Called with a text, epochs done and epochs in all.
        text: What is being done.

    Returns:
        Name -> a value an epoch.
    """
    if epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, got {epochs!r}.")
    count = len(next(iter(table.values())))
    size = min(batch_size, count)
    steps = count // size
    block = min(steps, _BLOCK) if epochs * steps >= PAYS else None
    callbacks = [Telling(progress, text, epochs)]
    if folder is not None:
        callbacks.append(Checkpoints(folder, every=every, epochs=epochs))
    data = rows(table, batch_size=size, seed=seed, block=block)
    fitted = game.fit(data, epochs=epochs, verbose=0, callbacks=callbacks)
    return {name: [float(v) for v in values] for name, values in fitted.history.items()}


def last(history: dict[str, list[float]], names: tuple[str, ...]) -> dict[str, float]:
    """What a history says of its last epoch, of some of its names."""
    return {name: history[name][-1] for name in names if name in history}
