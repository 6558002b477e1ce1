"""The modalities of a model's items: as they are given, learnt from a log, filled from a log."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.models.modality import Modality
from tfadvrec.models.modality_table import ModalityTable

Modalities = Sequence[Modality | Mapping[str, Any]]
Vectors = Mapping[str, np.ndarray]
Wanted = Sequence[str] | Mapping[str, str | Mapping[str, Any] | None] | None


def as_modalities(given: Modalities) -> tuple[Modality, ...]:
    """Makes modalities of dictionaries, and leaves modalities as they are.

    Raises:
        ValueError: Two have names that differ only in signs.
    """
    modalities = tuple(
        one if isinstance(one, Modality) else Modality.from_dict(one) for one in given
    )
    labels = [label_of(one) for one in modalities]
    if len(set(labels)) < len(labels):
        raise ValueError(
            "modalities need names that differ in their letters and digits, got "
            f"{[one.name for one in modalities]}."
        )
    return modalities


def label_of(modality: Modality) -> str:
    """The modality's name as part of a weight's name."""
    return re.sub(r"\W+", "_", modality.name)


def make_tables(rows: int, modalities: Iterable[Modality]) -> list[ModalityTable]:
    """One table a modality."""
    return [ModalityTable(rows=rows, modality=one, name=label_of(one)) for one in modalities]


def learn_modalities(
    log: Interactions, wanted: Wanted = None, vectors: Vectors | None = None
) -> tuple[Modality, ...]:
    """Learns modalities from the items that a log interacts with.

    Args:
        log: The training interactions.
        wanted: Names of item features; or name -> kind, or fields of a `Modality`; None for all
            features of the log. Given vectors may be named too.
        vectors: Name -> given vectors, `(n_items, width)`; NaN in a row that has none.

    Raises:
        ValueError: The log has no such feature.
    """
    vectors = vectors or {}
    if wanted is None:
        wanted = [*log.item_features, *vectors]
    if not isinstance(wanted, Mapping):
        wanted = dict.fromkeys([wanted] if isinstance(wanted, str) else wanted)
    wanted = dict(wanted) | {name: None for name in vectors if name not in wanted}
    known, modalities = np.unique(log.item), []
    for name, fields in wanted.items():
        if name not in vectors and name not in log.item_features:
            raise ValueError(
                f"the log has no item feature {name!r}; it has {sorted(log.item_features)}. Add "
                "it with log.with_features(...), or pass vectors={...}."
            )
        values = vectors[name] if name in vectors else log.item_features[name]
        fields = {"kind": fields} if isinstance(fields, str) else dict(fields or {})
        modalities.append(Modality.learn(name, np.asarray(values)[known], **fields))
    return tuple(modalities)


def encode_modalities(
    tables: Sequence[ModalityTable],
    log: Interactions,
    vectors: Vectors | None = None,
    *,
    required: bool = True,
) -> dict[str, float]:
    """Fills tables from a log's item features and given vectors.

    Args:
        tables: The tables.
        log: A log with the tables' rows as items.
        vectors: Name -> given vectors.
        required: Whether a table without values is an error; else it stays as it is.

    Returns:
        Name -> share of the items that have the modality.

    Raises:
        ValueError: A modality has no values, or another number of them.
    """
    given = {**log.item_features, **(vectors or {})}
    names = [table.modality.name for table in tables]
    strange = sorted(set(vectors or {}) - set(names))
    missing = [name for name in names if name not in given]
    if strange or (required and missing):
        raise ValueError(
            f"this model has the modalities {names}: values for {missing} are missing, and "
            f"vectors for {strange} are of no use. Add features with log.with_features(...), or "
            "pass vectors={...}."
        )
    found = [table for table in tables if table.modality.name in given]
    return {table.modality.name: table.encode(given[table.modality.name]) for table in found}


def table_of(tables: Sequence[ModalityTable], name: str) -> ModalityTable:
    """The table of a modality.

    Raises:
        ValueError: There is none of that name.
    """
    for table in tables:
        if table.modality.name == name:
            return table
    raise ValueError(
        f"no modality is called {name!r}; there are {[t.modality.name for t in tables]}."
    )
