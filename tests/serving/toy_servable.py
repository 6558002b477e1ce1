"""Version folders with a contract and no graph: enough for what only reads them."""

from tfadvrec.serving import contract as contracts
from tfadvrec.serving.ladder.tensors import encoded, strings

USER = {"user_id": {"dtype": "string", "shape": [-1]}}
LISTS = {
    "item_id": {"dtype": "string", "shape": [-1, 2]},
    "score": {"dtype": "float32", "shape": [-1, 2]},
}
SIGNATURES = {
    "recommend": {"inputs": USER, "outputs": LISTS},
    "recommend_excluding": {
        "inputs": USER | {"exclude": {"dtype": "string", "shape": [-1, 6]}},
        "outputs": LISTS,
    },
    "recommend_examples": {
        "inputs": {"examples": {"dtype": "string", "shape": [-1]}},
        "outputs": LISTS,
    },
    "generate": {
        "inputs": USER | {"seed": {"dtype": "int64", "shape": [-1, 2]}},
        "outputs": {"profile": {"dtype": "float32", "shape": [-1, 3]}},
    },
    "detect": {
        "inputs": {"profile": {"dtype": "float32", "shape": [-1, 3]}},
        "outputs": {"p_fake": {"dtype": "float32", "shape": [-1]}},
    },
}
FLEX = {
    "recommend_flex": {
        "inputs": USER
        | {
            "exclude": {
                "dtype": "string",
                "shape": [-1, -1],
                "default": {"dtype": "string", "shape": [1, 1], "values": [""]},
            },
            "k": {
                "dtype": "int32",
                "shape": [-1],
                "default": {"dtype": "int32", "shape": [1], "values": [2]},
            },
        },
        "outputs": LISTS,
    }
}
INPUTS = {
    "user_id": strings(["ann", "bob's", "ümit"]),
    "exclude": {
        "dtype": "string",
        "shape": [3, 6],
        "values": [*[""] * 6, "tea", "mate", *[""] * 4, "x", *[""] * 5],
    },
    "examples": encoded([b"\n\x01\xff", b"\n\x02\xfe", b""]),
    "seed": {"dtype": "int64", "shape": [3, 2], "values": [1, 2, 3, 2**40, 5, 6]},
    "profile": {"dtype": "float32", "shape": [3, 3], "values": [0, 1, 0, 0.5, 0, 0, 1, 1, 1]},
    "k": {"dtype": "int32", "shape": [3], "values": [1, 2, 9]},
}


def contract(*, flex=False, batch_sizes=(1, 4), **changes):
    """A contract, but for what `write_contract` adds."""
    signatures = SIGNATURES | (FLEX if flex else {})
    probe = [
        {"signature": name, "inputs": {key: INPUTS[key] for key in sides["inputs"]}}
        for name, sides in signatures.items()
    ]
    if flex:  # a call that leaves a default out comes in probes, too
        probe.insert(0, {"signature": "recommend_flex", "inputs": {"user_id": INPUTS["user_id"]}})
    return {
        "version": 1,
        "model": {"class": "Toy", "kind": "factors", "dimension": 4},
        "options": {"k": 2, "max_exclude": 6, "batch_sizes": list(batch_sizes)},
        "index": {"kind": "brute_force", "dtype": "float32", "bytes": 48},
        "metrics": {"ndcg@10": 0.25},
        "vocabularies": {"items": {"file": "assets/items.txt", "rows": 3, "sha256": "ab12"}},
        "warmup": {"records": 0, "why": "a toy has none"},
        "signatures": signatures,
        "probe": probe,
    } | changes


def publish_toy(base, version=1, **changes):
    """Writes a version folder, without a graph in it."""
    folder = base / str(version)
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"no graph")
    (folder / "assets" / "items.txt").write_text("tea\nmate\nx\n")
    contracts.write_contract(folder, contract(version=version, **changes))
    return folder
