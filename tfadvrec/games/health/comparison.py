"""A game's generated sample beside a real one, with the same seeds at every look."""

from collections.abc import Callable
from typing import Any

from tfadvrec.games.health.observation import Observation
from tfadvrec.games.health.signals import measure

Reference = Any  # Interactions, Observation, or Callable[[int, int], Observation]


class Comparison:
    """Looks at a game as often as asked, always with the same seed.

    Args:
        reference: The real thing: `Interactions`, an `Observation`, or a function
            `(count, seed) -> Observation`. The real sample is drawn once, when the first
            generated one has shown which parts there are and how large they are.
        count: What `game.observe` is asked for.
        seed: Seed of both samples.
    """

    def __init__(self, reference: Reference, *, count: int, seed: int):
        self.reference, self.count, self.seed = reference, count, seed
        self.real: Observation | None = None

    def look(self, game: Any) -> dict[str, float] | None:
        """Generates a sample and measures it.

        Returns:
            The signals, or None where the sample holds NaN or infinity.
        """
        fake = game.observe(self.count, self.seed)
        if not fake.finite():
            return None
        if self.real is None:
            self.real = self._draw(fake)
        return measure(fake, self.real, seed=self.seed)

    def _draw(self, fake: Observation) -> Observation:
        if isinstance(self.reference, Observation):
            return self.reference
        if isinstance(self.reference, Callable):
            return self.reference(self.count, self.seed)
        return Observation.of_log(self.reference, fake, seed=self.seed)


def checked(reference: Reference) -> Reference:
    """The reference, or an error that says what one is.

    Raises:
        TypeError: If it is nothing that a real sample can be drawn from.
    """
    a_log = hasattr(reference, "item_ids") and hasattr(reference, "popularity")
    if reference is None or a_log or isinstance(reference, Observation | Callable):
        return reference
    raise TypeError(
        "reference: expected the real Interactions, an Observation, a function "
        f"(count, seed) -> Observation, or None, got {type(reference).__name__}"
    )
