"""Which classes a preset may name."""

import importlib
from typing import TypeVar

from tfadvrec.presets.files import PresetError

Class = TypeVar("Class", bound=type)

_REGISTRY: dict[str, type] = {}
# Packages whose public classes register when they are imported; nothing outside them is looked at.
_HOMES = ("tfadvrec.models",)


def register(cls: Class) -> Class:
    """Registers a model class by its name, so that presets of it can be loaded.

    A decorator for any `keras.Model` whose `get_config` returns its constructor's arguments as
    plain JSON values and whose weights exist after construction or after the first call.

    Args:
        cls: The class. Registering the same class again (say, after a reload) replaces it.

    Returns:
        The class itself.

    Raises:
        PresetError: When a class of another module already has this name.
    """
    known = _REGISTRY.get(cls.__name__)
    if known is not None and known.__module__ != cls.__module__:
        raise PresetError(
            f"two classes want the preset name {cls.__name__!r}: {known.__module__} has it and "
            f"{cls.__module__} asks for it. Rename one: presets find their class by name alone."
        )
    _REGISTRY[cls.__name__] = cls
    return cls


def registered(name: str) -> type:
    """The class that registered under a name.

    Only classes that called `register` are found: a preset can name no other code.

    Args:
        name: A class name, as in a preset's `config.json`.

    Raises:
        PresetError: When no class has that name; says which ones there are.
    """
    for home in _HOMES:
        package = importlib.import_module(home)
        if name in package.__all__:
            getattr(package, name)
    if name not in _REGISTRY:
        public = {n for home in _HOMES for n in importlib.import_module(home).__all__}
        raise PresetError(
            f"no registered model class is called {name!r}. Known: "
            f"{', '.join(sorted(public | set(_REGISTRY)))}. A class of your own must be imported "
            "and decorated with @tfadvrec.presets.register before its preset is loaded."
        )
    return _REGISTRY[name]
