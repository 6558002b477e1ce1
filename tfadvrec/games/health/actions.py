"""What can be done about a game that is ill, and the settings that go with it."""

ACTIONS = ("warn", "rollback", "stop")
WARNED, ROLLED_BACK, STOPPED = 1, 2, 3  # as Keras's logs tell them; 0 is nothing


def check(action: str, *, least: int = 1, **numbers: int) -> None:
    """Refuses an unknown action, and numbers below the least.

    Raises:
        ValueError: Naming what was given and what is expected.
    """
    if action not in ACTIONS:
        raise ValueError(f"action={action!r} is none of {', '.join(map(repr, ACTIONS))}")
    for name, value in numbers.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
