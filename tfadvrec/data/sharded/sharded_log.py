"""A prepared log on disk, of which a shard at a time is in memory."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.checks import DataError, check_rows
from tfadvrec.data.fingerprints import fingerprint
from tfadvrec.data.interactions import Interactions
from tfadvrec.data.ordering import stable_sort
from tfadvrec.data.sharded.manifest import COUNTS, read_manifest, read_vocabulary
from tfadvrec.data.sharded.records import file_name, read_records, sealed
from tfadvrec.data.vocabulary import known_rows

_IN_MEMORY = ("user", "item", "rating", "time", "csr", "take", "replace", "with_features")


class ShardedLog:
    """A part of a log that `tfadvrec.data.prepare` made: interactions on disk, counts in memory.

    `pairs`, `points` and `in_batch` take it as they take `Interactions`. A user's interactions
    all lie in shard `row % shards`, sorted by user and otherwise in the order of the source.

    Args:
        path: The prepared folder.
        part: `"train"`, `"validation"` or `"test"`, as the log was split.

    Attributes:
        path: The folder.
        part: Which part this is.
        parts: Which parts there are.
        shards: How many shards each part has.
        rows: How many interactions each shard of this part holds.
        columns: Which of `user`, `item`, `rating` and `time` it has.
        n_users, n_items: Rows of the vocabularies, which all parts share.
        name, origin, dropped: As in `Interactions`.

    Raises:
        DataError: The folder is no prepared log, not all of one, or has no such part.
    """

    def __init__(self, path: str | Path, part: str = "train") -> None:
        self.path, self.part = Path(path), part
        self._manifest = read_manifest(self.path)
        self.parts = tuple(self._manifest["parts"])
        if part not in self.parts:
            raise DataError(f"{path}: there is no part {part!r}; there are {self.parts}.")
        self.rows = tuple(self._manifest["parts"][part]["rows"])
        self.shards = len(self.rows)
        self.columns = tuple(self._manifest["columns"])
        self.n_users, self.n_items = self._manifest["users"], self._manifest["items"]
        self.name, self.origin = self._manifest["name"], self._manifest["origin"]
        self.dropped = dict(self._manifest["dropped"])

    def __getattr__(self, name: str) -> Any:
        if name in _IN_MEMORY:
            raise AttributeError(
                f"a ShardedLog has no {name!r}: its interactions are on disk. What needs all of "
                "them at once takes load(), or load(users) for those of some users."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __len__(self) -> int:
        return sum(self.rows)

    def __repr__(self) -> str:
        return (
            f"ShardedLog({self.name!r}, {self.part!r}: {len(self):,} interactions of "
            f"{self.n_users:,} users with {self.n_items:,} items in {self.shards:,} shards)"
        )

    @functools.cached_property
    def user_ids(self) -> np.ndarray:
        """Row -> user id, int64 or text of shape `(n_users,)`."""
        return read_vocabulary(self.path, "user", self._manifest["ids"]["user"])

    @functools.cached_property
    def item_ids(self) -> np.ndarray:
        """Row -> item id, int64 or text of shape `(n_items,)`."""
        return read_vocabulary(self.path, "item", self._manifest["ids"]["item"])

    def lookup_users(self, ids: object) -> np.ndarray:
        """Returns the rows of user ids, int32 of shape `(m,)`; -1 where one is unknown."""
        return known_rows(self.user_ids, np.argsort(self.user_ids, kind="stable"), ids)

    def lookup_items(self, ids: object) -> np.ndarray:
        """Returns the rows of item ids, int32 of shape `(m,)`; -1 where one is unknown."""
        return known_rows(self.item_ids, np.argsort(self.item_ids, kind="stable"), ids)

    def activity(self) -> np.ndarray:
        """Returns how many interactions each user has in this part, int64 `(n_users,)`."""
        return self._counts("user")

    def popularity(self) -> np.ndarray:
        """Returns how many interactions each item has in this part, int64 `(n_items,)`."""
        return self._counts("item")

    def fullest(self) -> tuple[int, int]:
        """Returns the most different items that a user of this part has, and such a user's row."""
        items, user = self._manifest["parts"][self.part]["most"]
        return items, user

    def shard(self, number: int) -> dict[str, np.ndarray]:
        """Reads one shard of this part.

        Returns:
            `user` and `item`, int32, and where the log has them `rating`, float32, and `time`,
            int64 seconds, all of shape `(rows[number],)`.

        Raises:
            DataError: The file is damaged.
        """
        path = self.path / file_name(self.part, number, self.shards)
        columns = read_records(path, self.columns)
        check_rows("user", columns["user"], self.n_users)
        check_rows("item", columns["item"], self.n_items)
        if len(columns["user"]) != self.rows[number]:
            raise DataError(
                f"{path}: holds {len(columns['user']):,} interactions, and the manifest says "
                f"{self.rows[number]:,}. Copy the whole folder again, or prepare the log again."
            )
        return columns

    def load(self, users: np.ndarray | None = None) -> Interactions:
        """Reads this part into memory, or what some users did, say for an evaluation.

        Args:
            users: User rows; None reads all.

        Returns:
            The interactions sorted by user and otherwise in the order of the source, with the
            vocabularies of the whole log.
        """
        wanted, numbers = None, range(self.shards)
        if users is not None:
            wanted = np.zeros(self.n_users, bool)
            wanted[check_rows("users", users, self.n_users)] = True
            numbers = np.unique(np.flatnonzero(wanted) % self.shards).tolist()
        found = []
        for number in numbers:
            columns = self.shard(number)
            keep = slice(None) if wanted is None else wanted[columns["user"]]
            found.append([columns[name][keep] for name in self.columns])
        whole = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        columns = dict(zip(self.columns, whole or [np.empty(0, np.int32)] * 2, strict=False))
        order = stable_sort(columns["user"])[1]
        return Interactions(
            **{name: values[order] for name, values in columns.items()},
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            name=self.name,
            origin=self.origin,
            dropped=self.dropped,
        )

    def fingerprint(self) -> str:
        """Returns a SHA-256 of the prepared files, of all parts; other shards, another one."""
        files = sorted(self._manifest["files"].items())
        return fingerprint([("files", np.array([f"{name}:{f['sha256']}" for name, f in files]))])

    def verify(self) -> None:
        """Reads every file of all parts and compares its SHA-256 with the manifest's.

        Raises:
            DataError: A file is not what was written; all such files are named.
        """
        files = self._manifest["files"].items()
        wrong = [name for name, known in files if sealed(self.path / name) != known]
        if wrong:
            raise DataError(
                f"{self.path}: {', '.join(wrong)} differ from what was prepared. Copy the whole "
                "folder again, or prepare the log again."
            )

    def describe(self) -> dict[str, Any]:
        """Returns what the log holds, as values that JSON can hold."""
        known = self._manifest
        return {
            "name": self.name,
            "origin": self.origin,
            "interactions": {name: sum(p["rows"]) for name, p in known["parts"].items()},
            "users": self.n_users,
            "items": self.n_items,
            "shards": self.shards,
            "columns": list(self.columns),
            "split": known["split"],
            "cuts": known["cuts"],
            "k_core": known["k_core"],
            "dropped": self.dropped,
            "bytes": sum(file["bytes"] for file in known["files"].values()),
            "fingerprint": self.fingerprint(),
        }

    def _counts(self, side: str) -> np.ndarray:
        with np.load(self.path / COUNTS, allow_pickle=False) as archive:
            return archive[f"{self.part}-{side}"].astype(np.int64)
