"""Calls with which a servable is tried: few rows, every kind of input."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.serving.ladder.live_answers import LiveAnswers
from tfadvrec.serving.ladder.tensors import encoded, packed, strings, unpacked

PROBE_ROWS = 8
Call = dict[str, Any]


def make_calls(
    live: LiveAnswers, interface: dict[str, Any], *, rows: int = PROBE_ROWS, seed: int = 0
) -> list[Call]:
    """Makes calls of each signature, with the model's answers.

    Askers are the first, the last, random ones, an unknown one and the empty id. Exclusions are
    none, the asker's own best with repetitions and unknown ids, as many of the best as fit, and
    random ones. Each call comes again with its rows reversed, whose answers must be reversed and
    nothing else: that is what a batching server relies on. Inputs with defaults are left out in
    every combination.

    Args:
        live: Who answers.
        interface: What `signatures.interface` gives for the offered signatures.
        rows: Rows of each call, at least 4.
        seed: Seed of the choice.

    Returns:
        Calls `{"signature", "inputs", "outputs"}`, all values plain.
    """
    rng = np.random.default_rng(seed)
    askers = _askers(live, rows, rng)
    items = strings([*some(live.items, rows - 1, rng), stranger(live.item_row)][::-1])
    calls = []
    for name, sides in interface.items():
        inputs = {}
        for key, one in sides["inputs"].items():
            if key in ("user_id", "history"):
                inputs[key] = askers
            elif key == "item_id":
                inputs[key] = items  # an unknown item for a known user
            else:
                inputs[key] = _MAKERS[key](live, one, askers, rng)
        whole = {"signature": name, "inputs": inputs, "outputs": live.answer(name, inputs)}
        calls += [whole, _reversed(whole), *_shorter(live, whole, sides["inputs"])]
    return calls


def _askers(live: LiveAnswers, rows: int, rng: np.random.Generator) -> dict[str, Any]:
    if live.history is None:
        return strings([*some(live.users, rows - 2, rng), stranger(live.user_row), ""])
    nothing, width = stranger(live.item_row), live.history
    every = [some(live.items, 1 + row % width, rng) for row in range(rows - 3)]
    every += [[nothing, live.items[0]], [nothing], []]
    padded = [(row + [""] * width)[:width] for row in every]
    return {
        "dtype": "string",
        "shape": [rows, width],
        "values": [one for row in padded for one in row],
    }


def _exclude(
    live: LiveAnswers, described: dict[str, Any], askers: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Chooses what each asker does not want; an open width becomes 3."""
    width = described["shape"][1] if described["shape"][1] > 0 else 3
    name = "history" if live.history else "user_id"
    best = unpacked(live.listed(*live.askers({name: askers}), {})["item_id"])
    nothing = stranger(live.item_row)
    chosen = []
    for row, listed in enumerate(best.tolist()):
        kinds = (
            [],
            [listed[0], listed[0], nothing, listed[-1], "", listed[len(listed) // 2]],
            [*listed, *live.items] if width >= len(live.items) else listed,
            some(live.items, width, rng),
        )
        chosen.append(([*kinds[row % 4]] + [""] * width)[:width])
    return {
        "dtype": "string",
        "shape": [len(chosen), width],
        "values": [one for each in chosen for one in each],
    }


def _k(
    live: LiveAnswers, described: dict[str, Any], askers: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Wants lists of several lengths: none, and more than there are items where those are few."""
    many = [1, live.width, 3, 0, min(len(live.items) + 5, 2 * live.width)]
    return packed(np.resize(np.array(many, np.int32), askers["shape"][0]))


def _seed(
    live: LiveAnswers, described: dict[str, Any], askers: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Draws a seed a row, the first two alike."""
    seeds = rng.integers(2**40, size=(askers["shape"][0], 2))
    seeds[1] = seeds[0]
    return packed(seeds)


def _profile(
    live: LiveAnswers, described: dict[str, Any], askers: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Draws profiles, an empty one among them."""
    profiles = rng.random((askers["shape"][0], described["shape"][1])) < 0.2
    profiles[-1] = False
    return packed(profiles.astype(np.float32))


def _examples(
    live: LiveAnswers, described: dict[str, Any], askers: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Serialises who asks as `tf.Example`s, the last one without the feature."""
    name = "history" if live.history else "user_id"
    asked = unpacked(askers).reshape(askers["shape"][0], -1).tolist()
    made = []
    for row in asked:
        example = tf.train.Example()
        value = [one.encode("utf-8") for one in row if one or live.history is None]
        example.features.feature[name].bytes_list.value.extend(value)
        made.append(example.SerializeToString(deterministic=True))
    return encoded([*made[:-1], b""])


_MAKERS = {
    "exclude": _exclude,
    "k": _k,
    "seed": _seed,
    "profile": _profile,
    "examples": _examples,
}


def _reversed(call: Call) -> Call:
    """The same call with its rows in reverse."""
    turned = {
        side: {
            name: {**one, "values": unpacked(one)[::-1].ravel().tolist()}
            for name, one in call[side].items()
        }
        for side in ("inputs", "outputs")
    }
    return {"signature": call["signature"], **turned}


def _shorter(live: LiveAnswers, call: Call, described: dict[str, Any]) -> list[Call]:
    """The same call without some, or all, of the inputs that have defaults."""
    optional = [name for name, one in described.items() if "default" in one]
    left_out = [{name} for name in optional] + ([set(optional)] if len(optional) > 1 else [])
    calls = []
    for names in left_out:
        inputs = {name: one for name, one in call["inputs"].items() if name not in names}
        outputs = live.answer(call["signature"], inputs)
        calls.append({"signature": call["signature"], "inputs": inputs, "outputs": outputs})
    return calls


def some(ids: Any, count: int, rng: np.random.Generator) -> list[str]:
    """Chooses ids: the first, the last and random ones."""
    rows = [0, len(ids) - 1, *rng.integers(len(ids), size=max(count - 2, 0))]
    return [ids[int(row)] for row in rows[:count]]


def stranger(known: dict[str, int]) -> str:
    """Makes up an id that is not known."""
    made = "no such id"
    while made in known:
        made += "!"
    return made
