"""The programs by name, without loading any of them."""

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Progress = Callable[[str, int, int], None]
"""Called with a text, how much is done, and of how much."""


@dataclass(frozen=True)
class Program:
    """What a list says of a program.

    Attributes:
        name: The module's name.
        about: What it does, in one sentence.
        data: What it runs on when nothing else is said.
        choices: What `data` can be.
        epochs: How long it runs when nothing else is said.
    """

    name: str
    about: str
    data: str
    choices: str
    epochs: int

    @property
    def run(self) -> Callable[..., dict[str, Any]]:
        """The program itself; loading it loads TensorFlow."""
        return importlib.import_module(f"tfadvrec.programs.{self.name}").run


_IMAGES = "digits or mnist"
_LOGS = "movielens, synthetic, a MovieLens folder or zip, or a log's file"

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program(
            "digits",
            "Dense generator against dense discriminator on images of digits as vectors.",
            "digits",
            _IMAGES,
            400,
        ),
        Program(
            "ratings_with_samples",
            "The same game makes rating profiles that are mixed into a matrix factorisation's log.",
            "movielens",
            _LOGS,
            100,
        ),
        Program(
            "wasserstein_critic",
            "The game on digits with a linear output, as a Wasserstein game that bounds slopes.",
            "digits",
            _IMAGES,
            100,
        ),
        Program(
            "item_profiles",
            "A wider generator makes items: who rated them, and how.",
            "movielens",
            _LOGS,
            40,
        ),
        Program(
            "generated_ratings",
            "Ratings of a CSV generated from user, item, weekday and hour, and what they are for.",
            "movielens",
            _LOGS,
            10,
        ),
    )
}


def run_program(
    name: str,
    output: str | os.PathLike,
    *,
    data: Any = None,
    epochs: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Runs a program by its name.

    Args:
        name: One of `PROGRAMS`.
        output: The folder for `results.json`, figures and checkpoints.
        data: See the program; its own choice where None.
        epochs: See the program; its own choice where None.
        seed: What everything random is drawn from.
        progress: Called with a text, how much is done, and of how much.
        **settings: Other arguments of the program.

    Returns:
        What `results.json` holds.

    Raises:
        ValueError: There is no such program, or it has no such setting.
    """
    if name not in PROGRAMS:
        raise ValueError(f"there is no program {name!r}; there are {', '.join(PROGRAMS)}.")
    run = PROGRAMS[name].run
    known = set(inspect.signature(run).parameters) - {"output", "data", "epochs", "seed"}
    if unknown := sorted(set(settings) - known):
        raise ValueError(f"program {name} has no setting {unknown}; it has {sorted(known)}.")
    chosen = {"data": data, "epochs": epochs}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    return run(output, seed=seed, progress=progress, **chosen, **settings)
