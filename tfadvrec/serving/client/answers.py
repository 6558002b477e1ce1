"""What a client gives back: plain lists, one entry a row that was asked for."""

from typing import Any, NamedTuple


class Recommendations(NamedTuple):
    """Ranked items.

    Args:
        items: Of each user the item ids, best first; fewer than asked for where there are no more.
        scores: Of each user the scores of those items.
        known: Of each user whether the servable knows the user.
    """

    items: list[list[str]]
    scores: list[list[float]]
    known: list[bool]


class PairScores(NamedTuple):
    """Scores of pairs.

    Args:
        scores: Of each pair the score, None where an id is not known.
        known_users: Of each pair whether its user is known.
        known_items: Of each pair whether its item is known.
    """

    scores: list[float | None]
    known_users: list[bool]
    known_items: list[bool]


class Vectors(NamedTuple):
    """Vectors or generated profiles.

    Args:
        vectors: Of each row the numbers, nested if they have more than one axis.
        known: Of each row whether its id is known.
    """

    vectors: list[list[Any]]
    known: list[bool]
