"""Packages that only some installations have."""

import importlib
from types import ModuleType


def optional_package(name: str, purpose: str) -> ModuleType:
    """Imports a module of the extra `serving`.

    Args:
        name: Full name of the module.
        purpose: What needs it, the subject of the error.

    Returns:
        The module.

    Raises:
        ImportError: If it is not installed; the message says how to install it.

    Example:

    >>> optional_package("no_such_package.part", "This example")
    Traceback (most recent call last):
    ...
    ImportError: This example needs no_such_package: pip install "tfadvrec[serving]".
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).split(".")[0]
        raise ImportError(f'{purpose} needs {missing}: pip install "tfadvrec[serving]".') from error
