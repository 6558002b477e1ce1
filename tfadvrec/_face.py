"""Public faces that load on first use (PEP 562), so that importing the package costs nothing."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def face(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Makes a package's `__getattr__`, `__dir__` and `__all__` from a table of names.

    Args:
        package: The package's `__name__`.
        names: Public name -> the submodule (relative to `package`) that defines it; a public name
            that maps to itself is that submodule.

    Returns:
        The functions `__getattr__` and `__dir__`, and the list `__all__`.
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if names[name] == name else getattr(module, name)

    return load, lambda: sorted(names), sorted(names)
