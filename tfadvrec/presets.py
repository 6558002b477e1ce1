"""Presets: placeholder registry, replaced by its owner."""

REGISTRY: dict[str, type] = {}


def register(cls: type) -> type:
    """Registers a model class by its name."""
    REGISTRY[cls.__name__] = cls
    return cls
