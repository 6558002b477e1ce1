"""The warning that a game's health gives."""


class HealthWarning(UserWarning):
    """A signal of a game's health has been beyond its limit for long enough."""
