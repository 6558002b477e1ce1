"""A preset's `config.json`: a registered class name and checked constructor arguments."""

import difflib
import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

from tfadvrec.presets.files import PresetError
from tfadvrec.presets.registry import registered

KEYS = frozenset({"format", "class_name", "config", "user_ids", "item_ids"})
_LARGEST_INTEGER = 2**31 - 1
_MOST_ENTRIES = 1_000_000
_DEEPEST = 8
# Keras's own constructor arguments, with the types that a preset may give them.
_KERAS_ARGUMENTS = {"name": str | None, "trainable": bool, "dtype": str | None}


def config_record(model: Any) -> dict[str, Any]:
    """What `config.json` says of a model: its registered class and its constructor's arguments.

    Args:
        model: A model of a registered class.

    Raises:
        PresetError: When the class is not registered or its configuration could not be read again.
    """
    cls = type(model)
    if registered(cls.__name__) is not cls:
        raise PresetError(
            f"{cls.__module__}.{cls.__name__} is not the class registered as {cls.__name__!r}."
        )
    config = {key: _plain(value) for key, value in model.get_config().items()}
    if config.get("name") is not None:
        del config["name"]  # made up by Keras per process; it would make equal models differ
    checked = checked_arguments(cls, config)
    return {"format": 1, "class_name": cls.__name__, "config": checked}


def checked_class(record: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
    """The class and arguments of a `config.json`, after every check that needs no tensor.

    Args:
        record: The parsed file.

    Raises:
        PresetError: On an unknown key or class, a missing argument, or a value of the wrong type or
            out of bounds.
    """
    strange = sorted(set(record) - KEYS)
    if strange or record.get("format") != 1:
        raise PresetError(
            f"config.json must be of format 1 with the keys {', '.join(sorted(KEYS))}; got format "
            f"{record.get('format')!r}"
            + (f" and the unknown keys {strange[:5]}." if strange else ".")
        )
    name, config = record.get("class_name"), record.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise PresetError("config.json must give `class_name` as text and `config` as an object.")
    cls = registered(name)
    return cls, checked_arguments(cls, config)


def checked_arguments(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Checks constructor arguments against a class's signature and type hints.

    Args:
        cls: A registered class.
        config: Argument name -> JSON value.

    Returns:
        The same arguments in a new dictionary.

    Raises:
        PresetError: Naming the argument, what was expected and what came.
    """
    accepted, required = arguments_of(cls)
    for key in config:
        if key not in accepted:
            near = difflib.get_close_matches(key, accepted, 1)
            raise PresetError(
                f"{cls.__name__} has no argument {key[:80]!r}"
                + (f"; did you mean {near[0]!r}?" if near else ".")
                + f" It takes {', '.join(sorted(accepted))}."
            )
    missing = sorted(required - set(config))
    if missing:
        raise PresetError(f"the configuration of {cls.__name__} lacks {', '.join(missing)}.")
    for key, value in config.items():
        _check_bounds(value, f"{cls.__name__}.{key}", depth=0)
        if not conforms(value, accepted[key]):
            raise PresetError(
                f"{cls.__name__}.{key} must be {_spell(accepted[key])}; got {value!r:.100}."
            )
    return dict(config)


def arguments_of(cls: type) -> tuple[dict[str, Any], set[str]]:
    """A class's constructor arguments with their types, and those without a default.

    Arguments are collected up the classes for as long as a constructor passes `**kwargs` on.
    """
    accepted: dict[str, Any] = {}
    required: set[str] = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        if base.__module__.partition(".")[0] == "keras":
            accepted = {**_KERAS_ARGUMENTS, **accepted}
            break
        hints = typing.get_type_hints(base.__init__)
        passes_on = False
        for name, parameter in list(inspect.signature(base.__init__).parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL and name not in accepted:
                accepted[name] = hints.get(name, Any)
                if parameter.default is parameter.empty:
                    required.add(name)
        if not passes_on:
            break
    return accepted, required


def conforms(value: Any, hint: Any) -> bool:
    """Whether a JSON value fits a type hint; hints that JSON cannot express fit nothing but `None`.

    >>> conforms(3, int), conforms(True, int), conforms([1, 2], tuple[int, ...]), conforms("a", int)
    (True, False, True, False)
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(conforms(value, option) for option in arguments)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in arguments)
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str):
        return type(value) is hint
    kind = origin or hint
    if not isinstance(kind, type):
        return False
    if issubclass(kind, Mapping):
        key, inner = arguments or (Any, Any)
        return isinstance(value, dict) and all(
            conforms(k, key) and conforms(v, inner) for k, v in value.items()
        )
    if issubclass(kind, Sequence) and kind is not str:
        if not isinstance(value, list):
            return False
        if kind is tuple and arguments and Ellipsis not in arguments:
            return len(value) == len(arguments) and all(map(conforms, value, arguments))
        return all(conforms(v, arguments[0] if arguments else Any) for v in value)
    return False


def _check_bounds(value: Any, where: str, *, depth: int) -> None:
    """Refuses what no honest configuration holds, whatever the type hints say."""
    if depth > _DEEPEST:
        raise PresetError(f"{where} is nested deeper than {_DEEPEST} levels.")
    if isinstance(value, dict | list):
        if len(value) > _MOST_ENTRIES:
            raise PresetError(f"{where} has {len(value):,} entries; at most {_MOST_ENTRIES:,}.")
        for inner in [*value.values(), *value] if isinstance(value, dict) else value:
            _check_bounds(inner, where, depth=depth + 1)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > _LARGEST_INTEGER:
            raise PresetError(f"{where} is {value!r:.40}, past any sensible bound.")
    elif isinstance(value, str):
        if depth == 0 and (value.startswith(("/", "~", "\\", "..")) or "://" in value):
            raise PresetError(
                f"{where} is {value!r:.80}, which looks like a path or an address. A preset names "
                "no file outside its folder."
            )
    else:
        raise PresetError(f"{where} holds a {type(value).__name__}, which JSON cannot express.")


def _plain(value: Any) -> Any:
    """Tuples as lists, so that what is checked and written is what JSON gives back."""
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _spell(hint: Any) -> str:
    """A type hint in words that a reader of the error knows."""
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
