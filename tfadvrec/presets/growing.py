"""A preset for other users and items: known rows are kept, new rows start near the known ones."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.presets.files import PresetError
from tfadvrec.presets.tensors import flat_names
from tfadvrec.presets.vocabulary import write_ids

NOISE = 0.1  # of the known rows' spread, in each coordinate

Wanted = tuple[Sequence[Any] | None, Mapping[Any, Any] | str | None]


def grown(
    model: Any,
    arguments: Mapping[str, Any],
    ids: Mapping[str, np.ndarray | None],
    wanted: Mapping[str, Wanted],
    *,
    seed: int = 0,
    verbose: bool = True,
) -> tuple[Any, dict[str, np.ndarray]]:
    """Makes a model of the same class for other rows.

    A weight with a row an item (or user) takes the preset's row where the id is known. A new row of
    a trained table is the mean of the preset's rows plus a tenth of their spread as noise: it ranks
    like the average item, and differs from its neighbours enough to learn apart. A new row of a
    table that is not trained (features) is empty, zero or -1, until `bind` fills it. Everything
    else is the preset's.

    Args:
        model: The preset's model.
        arguments: Its constructor arguments.
        ids: `{"user": ids, "item": ids}` of the preset's rows.
        wanted: `{"user": (new ids, map), "item": (new ids, map)}`; see `load`.
        seed: Seed of the noise.
        verbose: Whether to say on standard error how many rows matched.

    Returns:
        The new model, with `model.matched`; and of each side whose rows changed, the preset's row
        of each row, -1 where it is new.

    Raises:
        PresetError: When the model declares no rows, or a map does not fit the ids.
    """
    if not hasattr(model, "row_weights"):
        raise PresetError(
            f"{type(model).__name__} does not say which weights have a row a user or an item "
            "(`row_weights`), so it cannot take other ids."
        )
    sources, arguments, new_ids = {}, dict(arguments), dict(ids)
    matched: dict[str, dict[str, int]] = {}
    for side, (given, how) in wanted.items():
        if given is None:
            if how is not None:
                raise PresetError(f"a map of {side} ids needs {side}_ids: the new rows, in order.")
            continue
        new_ids[side] = np.asarray(given)
        write_ids(new_ids[side], f"{side}_ids")  # the same rules as in a file
        sources[side] = _sources(ids[side], new_ids[side], how, side)
        known = int((sources[side] >= 0).sum())
        rows = len(new_ids[side])
        matched[side] = {"rows": rows, "known": known, "new": rows - known}
        arguments[f"n_{side}s"] = rows
    other = type(model)(**arguments)
    _fill(model, other, sources, np.random.default_rng(seed))
    other.set_ids(new_ids["user"], new_ids["item"])
    other.matched = matched
    if verbose:
        for side, counts in matched.items():
            print(_sentence(side, counts, wanted[side], ids[side], new_ids[side]), file=sys.stderr)
    return other, sources


def _sources(
    old: np.ndarray | None, new: np.ndarray, how: Mapping[Any, Any] | str | None, side: str
) -> np.ndarray:
    """The preset's row of each new row; -1 where it is new."""
    if how is None:
        return np.full(len(new), -1)
    if old is None:
        raise PresetError(f"the preset ships no {side} ids, so no id can be matched.")
    row_of = {identity: row for row, identity in enumerate(old.tolist())}
    listed = new.tolist()
    if isinstance(how, str):
        if how != "identity":
            raise PresetError(
                f"a map of {side} ids is {{new id: preset id}}, 'identity' or None; got {how!r}."
            )
        return np.array([row_of.get(identity, -1) for identity in listed])
    plain = {_plain(key): _plain(value) for key, value in how.items()}
    unknown = [value for value in plain.values() if value not in row_of]
    if unknown:
        raise PresetError(
            f"the map names {len(unknown)} {side} ids that the preset does not have: "
            f"{unknown[:5]}. Its ids look like {old[:3].tolist()}; the map is "
            f"{{new id: preset id}}."
        )
    if plain and not any(identity in plain for identity in listed):
        raise PresetError(
            f"none of the map's keys is one of the new {side} ids: keys like {list(plain)[:3]}, "
            "ids "
            f"like {listed[:3]}. The map is {{new id: preset id}}; text and integers differ."
        )
    return np.array([row_of[plain[i]] if i in plain else -1 for i in listed])


def _fill(
    model: Any, other: Any, sources: Mapping[str, np.ndarray], noise: np.random.Generator
) -> None:
    """Gives the new model the preset's weights, row by row where rows changed."""
    sides = model.row_weights()
    old, new = flat_names(model), flat_names(other)
    if set(old) != set(new):
        raise PresetError(f"{type(model).__name__} has other weights when it has other rows.")
    for name, variable in old.items():
        value = variable.numpy()
        side, axis = sides.get(variable.path, (None, 0))
        if side in sources:
            rows = np.moveaxis(value, axis, 0)
            value = np.moveaxis(_rows(rows, sources[side], variable.trainable, noise), 0, axis)
        if value.shape != tuple(new[name].shape):
            raise PresetError(
                f"{type(model).__name__} cannot take other ids: its weight {name!r} would need "
                "shape "
                f"{tuple(new[name].shape)} and `row_weights` gives {value.shape}."
            )
        new[name].assign(value)


def _rows(
    rows: np.ndarray, source: np.ndarray, trainable: bool, noise: np.random.Generator
) -> np.ndarray:
    """Known rows and, where the source is -1, new ones."""
    result = rows[np.maximum(source, 0)]
    fresh = source < 0
    if not trainable or rows.dtype.kind != "f":
        result[fresh] = -1 if rows.dtype.kind == "i" else 0
    else:
        spread = NOISE * rows.std(axis=0)
        drawn = noise.normal(size=(int(fresh.sum()), *rows.shape[1:]))
        result[fresh] = (rows.mean(axis=0) + spread * drawn).astype(rows.dtype)
    return result


def _sentence(
    side: str, counts: Mapping[str, int], wanted: Wanted, old: np.ndarray | None, new: np.ndarray
) -> str:
    """How many rows matched, and why none did when nobody said which are the same."""
    text = (
        f"{counts['known']:,} of {counts['rows']:,} {side}s are the preset's; {counts['new']:,} "
        "are "
        f"new and start at the mean {side}."
    )
    if wanted[1] is None and old is not None:
        equal = len(set(old.tolist()) & set(new.tolist()))
        if equal:
            name = "id_map" if side == "item" else "user_id_map"
            text += (
                f" {equal:,} ids are equal, which proves nothing by itself: if the two sets are "
                "the "
                f"same, pass {name}='identity', else {name}={{new id: preset id}}."
            )
    return text


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python value that equals it."""
    return value.item() if isinstance(value, np.generic) else value
