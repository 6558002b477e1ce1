"""Checks what a client is given, and brings it into the shapes of a signature."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any


def as_ids(values: Any, name: str) -> list[str]:
    """Turns ids into text; integers become decimal.

    Args:
        values: A list of text or integers.
        name: What they are, for the errors.

    Returns:
        The ids as they travel.

    Raises:
        ValueError: If it is not a list, or one is neither text nor integer.

    Example:

    >>> as_ids([7, "x"], "users")
    ['7', 'x']
    >>> as_ids("x", "users")
    Traceback (most recent call last):
    ...
    ValueError: users must be a list of ids, got 'x'. Write ['x'] for a single one.
    """
    if isinstance(values, str | bytes):
        raise ValueError(
            f"{name} must be a list of ids, got {values!r}. Write [{values!r}] for a single one."
        )
    listed = as_list(values, name)
    ids = [as_id(one) for one in listed]
    if None in ids:
        row = ids.index(None)
        raise ValueError(f"{name} must be text or integers, row {row} is {listed[row]!r}.")
    return ids


def as_id(one: Any) -> str | None:
    """One id as text; None where it is none."""
    if isinstance(one, str):
        return str(one)
    if isinstance(one, bool) or not hasattr(one, "__index__"):
        return None
    return str(one.__index__())


def as_list(values: Any, name: str) -> list[Any]:
    """Makes a list of what can be gone through."""
    if not isinstance(values, Iterable):
        raise ValueError(f"{name} must be a list, got {values!r}.")
    return list(values)


def padded(rows: Sequence[Any], width: int, name: str, advice: str) -> list[list[str]]:
    """Fills lists of ids up with `""` to one width.

    Args:
        rows: One list of ids a row.
        width: How many ids fit.
        name: What they are, for the errors.
        advice: What to do about a list that is too long.

    Returns:
        Lists of `width` ids.

    Raises:
        ValueError: If one is too long or no list of ids.
    """
    filled = []
    for place, row in enumerate(rows):
        ids = as_ids(row, f"{name}[{place}]")
        if len(ids) > width:
            raise ValueError(
                f"{name} of one row may have at most {width} ids in this servable, row {place} has "
                f"{len(ids)}. {advice}"
            )
        filled.append(ids + [""] * (width - len(ids)))
    return filled


def same_length(**lists: Sequence[Any]) -> int:
    """Checks that lists have one entry a row, and says how many.

    Raises:
        ValueError: If they do not.
    """
    sizes = {name: len(one) for name, one in lists.items()}
    if len(set(sizes.values())) != 1:
        told = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise ValueError(f"{' and '.join(sizes)} must be as many as each other, got {told}.")
    return next(iter(sizes.values()))


def tensor(rows: Sequence[Any], spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Makes the tensor of an input.

    Args:
        rows: One value, or nested list of values, a row.
        spec: The input's `{"dtype", "shape"}` by the metadata; -1 is open.
        name: The input's name, for the errors.

    Returns:
        `{"dtype", "shape", "values"}` with flat values.

    Raises:
        ValueError: If a row does not have the shape.

    Example:

    >>> tensor([[1, 2], [3, 4]], {"dtype": "int64", "shape": [-1, 2]}, "seed")
    {'dtype': 'int64', 'shape': [2, 2], 'values': [1, 2, 3, 4]}
    """
    inner = spec["shape"][1:]
    values = list(rows)
    for depth, _ in enumerate(inner):
        if not all(isinstance(one, Sequence) and not isinstance(one, str) for one in values):
            raise ValueError(f"{name} must have lists of shape {inner} as rows.")
        sizes = {len(one) for one in values} or {max(inner[depth], 0)}
        if len(sizes) > 1 or (inner[depth] >= 0 and sizes != {inner[depth]}):
            raise ValueError(f"{name} must have rows of shape {inner}, got sizes {sorted(sizes)}.")
        inner = [*inner[:depth], sizes.pop(), *inner[depth + 1 :]]
        values = [one for each in values for one in each]
    return {"dtype": spec["dtype"], "shape": [len(rows), *inner], "values": values}


def rows_of(tensor: dict[str, Any]) -> list[Any]:
    """Turns a tensor into one value, or nested list of values, a row.

    Example:

    >>> rows_of({"shape": [2, 2], "values": [1, 2, 3, 4]})
    [[1, 2], [3, 4]]
    """
    values = tensor["values"]
    for axis in range(len(tensor["shape"]) - 1, 0, -1):
        size, count = tensor["shape"][axis], prod(tensor["shape"][:axis])
        values = [values[place * size :][:size] for place in range(count)]
    return values
