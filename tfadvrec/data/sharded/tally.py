"""What the workers of a step found, put together: sums, unions and lists."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The findings of one worker, or of many.

    Attributes:
        counts: Name -> integers, which add up.
        ids: Name -> distinct ids, which unite.
        facts: Records that JSON can hold, one after the other, in no order.
    """

    counts: dict[str, np.ndarray] = field(default_factory=dict)
    ids: dict[str, pa.Array] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Writes the findings into a new folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "counts.npz", **self.counts)
        for name, values in self.ids.items():
            feather.write_feather(pa.table({name: values}), str(folder / f"{name}.arrow"))
        (folder / "facts.json").write_text(json.dumps(self.facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Tally":
        """Reads what `save` wrote."""
        with np.load(folder / "counts.npz", allow_pickle=False) as archive:
            counts = {name: archive[name] for name in archive.files}
        ids = {}
        for path in sorted(folder.glob("*.arrow")):
            ids[path.stem] = feather.read_table(path)[path.stem].combine_chunks()
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        return cls(counts=counts, ids=ids, facts=facts)


def merged(tallies: Iterable[Tally]) -> Tally:
    """Puts findings together; in which order makes no difference but to the order of facts.

    Example:

    >>> one = Tally(counts={"item": np.array([1, 0])}, facts=[{"rows": 1}])
    >>> merged([one, one]).counts["item"].tolist()
    [2, 0]
    """
    counts: dict[str, np.ndarray] = {}
    ids: dict[str, pa.Array] = {}
    facts: list[dict[str, Any]] = []
    for tally in tallies:
        for name, values in tally.counts.items():
            counts[name] = counts[name] + values if name in counts else values
        for name, values in tally.ids.items():
            ids[name] = united(ids[name], values) if name in ids else values
        facts += tally.facts
    return Tally(counts=counts, ids=ids, facts=facts)


def united(first: pa.Array, second: pa.Array) -> pa.Array:
    """The distinct ids of two arrays; as text where one holds numbers and the other does not.

    Example:

    >>> united(pa.array(["a", "b"]), pa.array(["b", "c"])).to_pylist()
    ['a', 'b', 'c']
    """
    if first.type != second.type:
        first, second = first.cast(pa.large_string()), second.cast(pa.large_string())
    return pa.chunked_array([first, second]).unique()
