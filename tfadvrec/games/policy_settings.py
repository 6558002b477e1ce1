"""What the settings of the policy gradient game may be."""

from collections.abc import Mapping
from typing import Any


def check_same_catalogue(generator: Any, discriminator: Any) -> None:
    """Refuses sides that differ in users or items.

    Args:
        generator: A `Recommender`.
        discriminator: Another one.

    Raises:
        ValueError: They differ.
    """
    sizes = [(one.n_users, one.n_items) for one in (generator, discriminator)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            "generator and discriminator must have the same users and items. Received: "
            f"(n_users, n_items) = {sizes[0]} and {sizes[1]}"
        )


def check_settings(
    *,
    above_0: Mapping[str, float],
    from_0_to_1: Mapping[str, float],
    from_0: Mapping[str, float],
) -> None:
    """Refuses numbers out of their range, by name.

    Args:
        above_0: Name -> a number above 0.
        from_0_to_1: Name -> a share.
        from_0: Name -> a weight.

    Raises:
        ValueError: A number is out of its range.
    """
    for name, value in above_0.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0. Received: {value!r}")
    for name, value in from_0_to_1.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie between 0 and 1. Received: {value!r}")
    for name, value in from_0.items():
        if not value >= 0:
            raise ValueError(f"{name} must be 0 or more. Received: {value!r}")
