"""A new version of a published servable with other items or another index, without the model."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.serving.contract import changed_files, read_contract
from tfadvrec.serving.export_spec import ExportSpec
from tfadvrec.serving.graph.factors import Factors, UserTable
from tfadvrec.serving.index.brute_force import BruteForce
from tfadvrec.serving.index.top_of_blocks import out_of_blocks
from tfadvrec.serving.model_vectors import check_vectors, in_chunks
from tfadvrec.serving.planning import EXTRAS, Plan, make_whole
from tfadvrec.serving.publishing import choose_version, find_version
from tfadvrec.serving.releasing import release
from tfadvrec.serving.report import Report
from tfadvrec.serving.vocabulary import read_vocabulary, wire_ids

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
USERS = f"ranker/askers/table{VALUE}"
ITEMS = f"ranker/items/blocks{VALUE}"
SHOWN = 3


def reindex(
    path: str | Path,
    *,
    item_ids: Sequence[str | int] | np.ndarray | None = None,
    item_vectors: Any = None,
    index: BruteForce | None = None,
    version: int | None = None,
) -> Report:
    """Publishes a new version of a servable with other items or another index; users stay.

    User vectors and options are read from the published version, so neither the model nor training
    is needed, only, for new items, their vectors. The new version is verified and published as
    `export` does it.

    Args:
        path: A version folder of a factorised model, or a base path, which means its newest one.
        item_ids: The ids of the new catalogue. Without `item_vectors` they choose among the
            version's items, in any order. By default those of the model that `item_vectors` is, or
            else the version's.
        item_vectors: `(n_items, dimension)` in the order of the ids, for the whole new catalogue;
            or a model with `embed_items(rows)`, which gives them. By default the version's.
        index: The new index; by default the version's.
        version: The new version's number; None for the highest plus one.

    Returns:
        The `Report` of the new version.

    Raises:
        ExportError: If the verification failed.
        FileExistsError: If the version exists.
        FileNotFoundError: If there is no servable at `path`.
        ValueError: If nothing is to change, if the servable has no user vectors or more than
            vectors, if its files have changed since the export, or if ids and vectors do not fit.

    Example:

    ```python
    report = tar.serving.reindex("serving/movies", index=tar.serving.BruteForce(dtype="float16"))
    report = tar.serving.reindex("serving/movies", item_ids=ids, item_vectors=vectors)
    ```
    """
    if item_ids is None and item_vectors is None and index is None:
        raise ValueError("Give item_ids, item_vectors or index: there is nothing to change.")
    folder = find_version(Path(path))
    if not folder.name.isdecimal():
        raise ValueError(
            f"{folder} must lie below a base path and be named by its version number: the new "
            "version is published beside it."
        )
    contract = read_contract(folder)
    refuse_unfit(folder, contract)
    number = choose_version(folder.parent, version)
    users, stored = stored_vectors(folder, contract)
    ids, items = new_items(folder, contract, item_ids, item_vectors, stored)
    same = item_ids is None and item_vectors is None
    plan = make_plan(folder, contract, users, ids, items, index=index, same_items=same)
    return release(plan, folder.parent, number)


def refuse_unfit(folder: Path, contract: dict[str, Any]) -> None:
    """Refuses a servable that is more than two tables of vectors, or is damaged."""
    made = contract["model"]["class"]
    kept = f"Export {made} again: a new index needs a servable of user and item vectors only"
    if contract["model"]["kind"] != "factors":
        raise ValueError(f"{folder} has no user and item vectors. {kept}.")
    if contract["options"].get("history"):
        raise ValueError(f"{folder} computes its queries from histories. {kept}.")
    traced = [name for name in EXTRAS if name in contract["signatures"]]
    if traced:
        raise ValueError(f"{folder} offers {traced}, computed by the model itself. {kept}.")
    changed = changed_files(folder, contract["files"])
    if changed:
        raise ValueError(f"{folder} is damaged: {' '.join(changed)} Take another version.")


def stored_vectors(folder: Path, contract: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the vectors of users and, where the index holds them in float32, of items."""
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    users = reader.get_tensor(USERS)[:-1]  # the last row is the unknown user's
    if contract["index"]["dtype"] != "float32":
        return users, None
    n_items = contract["vocabularies"]["items"]["rows"]
    return users, out_of_blocks(reader.get_tensor(ITEMS), n_items)


def new_items(
    folder: Path,
    contract: dict[str, Any],
    item_ids: Any,
    item_vectors: Any,
    stored: np.ndarray | None,
) -> tuple[list[str], np.ndarray]:
    """Finds the ids and vectors of the new catalogue."""
    old = read_vocabulary(folder / "assets" / "items.txt")
    if item_vectors is not None:
        return given_items(item_ids, item_vectors, old)
    if stored is None:
        raise ValueError(
            f"{folder} holds its items in {contract['index']['dtype']}, from which float32 vectors "
            "cannot be recovered. Give item_vectors, or a version whose index is float32."
        )
    if item_ids is None:
        return old, stored
    ids, row = wire_ids(item_ids, "item"), {one: row for row, one in enumerate(old)}
    strangers = [one for one in ids if one not in row]
    if strangers:
        raise ValueError(
            f"{folder} does not have the items {strangers[:SHOWN]} ({len(strangers)} of {len(ids)} "
            "item_ids). Give item_vectors for new items."
        )
    return ids, stored[[row[one] for one in ids]]


def given_items(item_ids: Any, item_vectors: Any, old: list[str]) -> tuple[list[str], np.ndarray]:
    """Checks ids and vectors that the caller gives; a model is asked for its vectors."""
    candidates = (item_vectors, getattr(item_vectors, "model", None))
    model = next((one for one in candidates if hasattr(one, "embed_items")), None)
    if item_ids is None:
        item_ids = getattr(model, "item_ids", None)
    ids = old if item_ids is None else wire_ids(item_ids, "item")
    if model is not None:
        rows = getattr(model, "n_items", len(ids))
        fits, shape = rows == len(ids), f"a model of {rows} items"
        vectors = in_chunks(model.embed_items, rows, "embed_items") if fits else None
    else:
        vectors = np.asarray(item_vectors, np.float32)
        fits, shape = vectors.ndim == 2 and len(vectors) == len(ids), f"the shape {vectors.shape}"
        if fits and not np.isfinite(vectors).all():
            raise ValueError("item_vectors must be finite numbers.")
    if not fits:
        raise ValueError(
            f"item_vectors must be one vector for each of the {len(ids)} item ids, got {shape}. "
            "Give item_ids for another catalogue."
        )
    return ids, vectors


def make_plan(
    folder: Path,
    contract: dict[str, Any],
    users: np.ndarray,
    ids: list[str],
    items: np.ndarray,
    *,
    index: BruteForce | None,
    same_items: bool,
) -> Plan:
    """Plans the new version with the options of the old one.

    Offline metrics are those of the old catalogue, so they are kept with the same items only.
    """
    if items.shape[1] != users.shape[1]:
        raise ValueError(
            f"item_vectors must have the width of the servable's user vectors, {users.shape[1]}, "
            f"got {items.shape[1]}."
        )
    check_vectors(users, items)
    known = {field.name for field in fields(ExportSpec)} & set(contract["options"])
    spec = ExportSpec(
        **{name: contract["options"][name] for name in known},
        index=index or BruteForce(**old_index(contract["index"])),
        signatures=list(contract["signatures"]),
        metrics=contract.get("metrics", {}) if same_items else {},
    )
    table = UserTable(users, unknown_user=spec.unknown_user)
    ranker = Factors(table, spec.index.build(items), items.shape[1])
    return make_whole(
        contract["model"],
        ranker,
        {},
        spec,
        users=read_vocabulary(folder / "assets" / "users.txt"),
        items=ids,
        vectors=(users, items),
    )


def old_index(described: dict[str, Any]) -> dict[str, Any]:
    """Picks the arguments of `BruteForce` out of the contract."""
    return {field.name: described[field.name] for field in fields(BruteForce)}
