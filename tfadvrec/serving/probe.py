"""Calls with which a servable is tried: few users, every kind of input."""

from typing import Any

import numpy as np

from tfadvrec.serving.live_answers import LiveAnswers

PROBE_ROWS = 8
Call = dict[str, Any]


def make_calls(
    live: LiveAnswers, interface: dict[str, Any], *, rows: int = PROBE_ROWS, seed: int = 0
) -> list[Call]:
    """Makes one call for each signature, with the model's answers.

    The users are the first, the last, random ones, an unknown one and the empty id. Exclusions are
    none, the user's own best with repetitions and unknown ids, as many of the best as fit, and
    random ones.

    Args:
        live: Who answers.
        interface: What `signatures.interface` gives for the offered signatures.
        rows: Rows of each call, at least 4.
        seed: Seed of the choice.

    Returns:
        Calls `{"signature", "inputs", "outputs"}`, all values plain.
    """
    rng = np.random.default_rng(seed)
    users = strings([*some(live.users, rows - 2, rng), stranger(live.user_row), ""])
    items = strings([*some(live.items, rows - 1, rng), stranger(live.item_row)])
    items["values"] = items["values"][::-1]  # an unknown item for a known user
    calls = []
    for name, sides in interface.items():
        inputs = {"user_id": users, "item_id": items}
        inputs = {side: inputs[side] for side in sides["inputs"] if side in inputs}
        if "exclude" in sides["inputs"]:
            width = sides["inputs"]["exclude"]["shape"][1]
            inputs["exclude"] = exclusions(live, users, width=width, rng=rng)
        calls.append({"signature": name, "inputs": inputs, "outputs": live.answer(name, inputs)})
    return calls


def exclusions(
    live: LiveAnswers, users: dict[str, Any], *, width: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Chooses what each user does not want."""
    best = live.listed(
        np.array([live.user_row.get(one, -1) for one in users["values"]]), exclude=None
    )["item_id"]
    lists = np.asarray(best["values"], dtype=object).reshape(best["shape"])
    nothing = stranger(live.item_row)
    chosen = []
    for row, listed in enumerate(lists.tolist()):
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


def strings(values: list[str]) -> dict[str, Any]:
    """Makes a string tensor of rank 1."""
    return {"dtype": "string", "shape": [len(values)], "values": values}
