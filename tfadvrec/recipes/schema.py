"""What a recipe may say: every key with its type, and an error that names the nearest right one."""

import difflib
from collections.abc import Mapping
from typing import Any

NUMBER = (int, float)


class RecipeError(ValueError):
    """A recipe that says something that cannot be meant."""


# Options of a text log, as `Interactions.from_csv` takes them.
_CSV = {
    "user": (str, int), "item": (str, int), "rating": (str, int, bool), "time": (str, int, bool),
    "separator": str, "header": bool, "encoding": str, "quote": str, "time_unit": str,
    "duplicates": str, "invalid": str, "name": str,
}  # fmt: skip
ABOUT = {"origin": str, "licence": str}  # of [data]: what the card says of it
# Kinds of a section -> key -> types. A key whose types stand in a list is required.
_FILTERS = {"minimum_rating": NUMBER, "k_core": int}
DATA = {
    "movielens": {"which": str, "path": str, **_FILTERS},
    "synthetic": {
        "n_users": int, "n_items": int, "n_interactions": int, "noise": NUMBER, "seed": int,
        **_FILTERS,
    },
    "file": {"path": [str], "layout": str, "items": dict, **_CSV, **_FILTERS, **ABOUT},
    "published": {
        "train": [str], "test": [str], "validation": str, "layout": str, **_CSV, **ABOUT,
    },
    "clicks": {
        "path": [str], "fields": [list], "label": str, "numbers": list, "missing": str,
        "negatives": int, "choice": str, "seed": int, "name": str, **ABOUT,
    },
}  # fmt: skip
_OF_TABLES = set(_CSV) - {"encoding", "duplicates", "invalid", "name"}
ITEMS = {
    "path": [str], "names": list, "separator": str, "header": bool, "encoding": str, "quote": str,
    "lists": dict, "missing": str,
}  # fmt: skip
SPLIT = {
    "leave_last_out": {"validation": bool},
    "by_time": {"validation": NUMBER, "test": NUMBER},
    "by_ratio": {"validation": NUMBER, "test": NUMBER, "seed": int},
    "cold_items": {
        "validation": NUMBER, "test": NUMBER, "least": int, "side": str, "seed": int,
    },
}  # fmt: skip
SAMPLING = {
    "pairs": {"batch_size": [int], "negatives": int, "strategy": str, "block": (str, int)},
    "points": {
        "batch_size": [int], "negatives": int, "strategy": str, "target": str, "block": (str, int),
    },
    "in_batch": {"batch_size": [int], "block": (str, int)},
    "histories": {"batch_size": [int], "side": str, "block": (str, int)},
    "clicks": {"batch_size": [int], "block": (str, int)},
    "sequences": {
        "batch_size": [int], "length": int, "negatives": int, "candidates": str, "strategy": str,
        "windows": (str, int), "block": (str, int),
    },
}  # fmt: skip
STAGE = {
    "epochs": [int], "learning_rate": NUMBER, "adversary": dict, "game": bool,
    "adversarial_weight": NUMBER,
}  # fmt: skip
GAME_COMPILE = (
    "discriminator_steps", "generator_steps", "adversarial_weight", "instance_noise",
    "feature_matching",
)  # fmt: skip
GAME_PARTS = (
    "class", "batch_size", "block", "health", "loss", "generator_optimizer",
    "discriminator_optimizer",
)  # fmt: skip
ADVERSARY = {
    "perturbation": [str], "epsilon": [*NUMBER, dict], "steps": int, "step_size": NUMBER,
    "norm": str, "projection": str, "probe": NUMBER, "divergence": str, "reduction": str,
    "weight": NUMBER, "target": str, "pattern": str, "per": str,
}  # fmt: skip
EVALUATION = {
    "task": str, "k": list, "metrics": list, "candidates": str, "baselines": list, "attack": dict,
    "owner": str,
}  # fmt: skip
ATTACK = {"relative_epsilon": list, "steps": int, "norm": str}
PRESET = {"weights": bool, "dtype": str}
TOP = {
    "name": [str], "description": str, "twin": str, "seeds": list, "data": [dict], "split": dict,
    "model": [dict], "game": dict, "loss": dict, "optimizer": dict, "sampling": dict,
    "stages": list,
    "choose": dict, "evaluation": dict, "preset": dict,
}  # fmt: skip


def check_layout(data: Mapping[str, Any]) -> None:
    """Checks that a layout exists, and that nothing which is said of the file would be ignored."""
    layout = data.get("layout", "table")
    if layout not in ("table", "lists"):
        raise RecipeError(f'[data] layout must be "table" or "lists"; got {layout!r}.')
    ignored = _OF_TABLES & set(data)
    if layout == "lists" and ignored:
        raise RecipeError(
            f'[data] layout = "lists" has no columns, so {", ".join(sorted(ignored))} would be '
            "ignored. Leave them out."
        )


def check_keys(where: str, table: Any, schema: Mapping[str, Any]) -> None:
    """Checks a table's keys and the types of its values.

    Args:
        where: What to call the table in an error (`"[split]"`).
        table: The parsed table.
        schema: Key -> type or tuple of types; a list where the key is required.

    Raises:
        RecipeError: On an unknown or missing key, or a value of another type.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} must be a table; got {table!r:.60}.")
    for key, value in table.items():
        if key not in schema:
            raise RecipeError(unknown(where, key, schema))
        types = schema[key]
        types = tuple(types) if isinstance(types, list | tuple) else (types,)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            names = " or ".join(kind.__name__ for kind in types)
            raise RecipeError(f"{where} {key} must be {names}; got {value!r:.60}.")
    missing = [key for key, types in schema.items() if isinstance(types, list) and key not in table]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}.")


def check_kind(where: str, table: Any, kinds: Mapping[str, Any], key: str) -> None:
    """Checks a table whose `key` chooses which other keys it has.

    Raises:
        RecipeError: When the kind is unknown, or another key does not fit it.
    """
    kind = table.get(key) if isinstance(table, Mapping) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise RecipeError(unknown(where, kind, kinds, what=f"{key} ="))
    check_keys(where, table, {key: [str], **kinds[kind]})


def unknown(where: str, got: Any, known: Any, *, what: str = "key") -> str:
    """The sentence for a word that is not one of those known; names the nearest."""
    begins = [word for word in known if got and word.startswith(str(got))]
    near = begins or difflib.get_close_matches(str(got), list(known), 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{where} has no {what} {got!r:.60}.{hint} It takes {', '.join(known)}."
