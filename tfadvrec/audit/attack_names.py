"""Names of the attacks in records, tables and figures, and where each is run."""

from collections.abc import Sequence

NOISE, SINGLE = "random noise", "fast gradient"
ITERATIVE, PLAIN = "projected gradient", "projected gradient, plain loss"
WORST = "worst case per user"
ATTACKS = (NOISE, SINGLE, ITERATIVE, PLAIN)
EVERYWHERE = (NOISE, SINGLE, ITERATIVE)


def sizes_of(attack: str, epsilons: Sequence[float]) -> tuple[float, ...]:
    """The sizes at which an attack is run: all, and every second one for the plain loss.

    Example:

    >>> sizes_of("projected gradient, plain loss", (0.1, 0.2, 0.3, 0.5, 1.0))
    (0.2, 0.5, 1.0)
    """
    if attack != PLAIN:
        return tuple(epsilons)
    return tuple(sorted({*epsilons[1::2], epsilons[-1]}))
