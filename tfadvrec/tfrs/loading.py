"""Loads TensorFlow Recommenders and Keras 2, or says in one sentence what is missing.

Nothing else in the package imports either of them, and nothing in it sets the variable.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

VARIABLE = "TF_USE_LEGACY_KERAS"
NEEDED = ("tensorflow_recommenders", "tf_keras")
UNSET = (
    "tfadvrec.tfrs needs the environment variable TF_USE_LEGACY_KERAS=1, set before TensorFlow is "
    "imported, because TensorFlow Recommenders is Keras 2; everything else in tfadvrec works with "
    "or without it."
)


def load() -> ModuleType:
    """Imports `tensorflow_recommenders`.

    Raises:
        ImportError: The variable is not set, was set too late, or a package is missing.
    """
    if os.environ.get(VARIABLE) not in ("1", "true", "True"):  # what TensorFlow takes for set
        raise ImportError(UNSET)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f'tfadvrec.tfrs needs {" and ".join(missing)}: pip install "tfadvrec[tfrs]".'
        )
    with _hidden("scann", hide=scann_trouble() is not None):
        try:
            return importlib.import_module("tensorflow_recommenders")
        except ImportError as error:
            if "Keras version 2" not in str(error):
                raise
            raise ImportError(f"{UNSET} Here it was set after that.") from error


def scann_trouble() -> str | None:
    """Why ScaNN cannot be used here, or None where it can.

    A scann built for another TensorFlow fails with TensorFlow's own `NotFoundError`, which
    TensorFlow Recommenders does not expect: it would not load either.
    """
    try:
        importlib.import_module("scann")
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # whatever a library of another TensorFlow raises
        return f"scann cannot be loaded here ({type(error).__name__}: {str(error)[:200]})"
    return None


@contextmanager
def _hidden(name: str, *, hide: bool) -> Iterator[None]:
    """Makes `import name` an `ImportError` inside a `with` block."""
    if not hide:
        yield
        return
    before = sys.modules.get(name)
    sys.modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


tfrs = load()
tf_keras = importlib.import_module("tf_keras")
