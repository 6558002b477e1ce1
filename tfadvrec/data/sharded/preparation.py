"""The steps from the files of a log to a prepared set; an engine does each on all files or shards.

survey      every file: read and checked; its ids as they are spelled
number_ids  every file: ids become rows of the vocabularies, rows are dealt to shards by user
gather      every shard: put together, repeated pairs treated, counted
core        every shard, again and again: counted without what is below the k-core
renumber    every shard: what is left gets the rows of the smaller vocabularies; gather again
time_counts every shard: where the moments of a split by time lie
write       every shard: split and written
"""

import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data import checks
from tfadvrec.data.assembly import warn_of_merged
from tfadvrec.data.checks import DataError
from tfadvrec.data.sharded import pieces, shards
from tfadvrec.data.sharded.engine import Engine
from tfadvrec.data.sharded.manifest import FORMAT, MANIFEST, write_vocabulary
from tfadvrec.data.sharded.moments import cuts_of
from tfadvrec.data.sharded.pieces import AGAIN, DEALT, SHARDS, SIDES, SURVEYED
from tfadvrec.data.sharded.plan import Plan
from tfadvrec.data.sharded.records import sealed, write_metadata
from tfadvrec.data.sharded.tally import Tally
from tfadvrec.data.vocabulary import encode


class Preparation:
    """One preparation, in a folder of its own.

    Args:
        room: The folder; what is written there besides the result may be removed afterwards.
        plan: What is asked for.
        engine: What does a step on many files or shards.
    """

    def __init__(self, room: Path, plan: Plan, engine: Engine) -> None:
        self.room, self.plan, self.engine = room, plan, engine
        self.source, self.shards, self.names = "", 0, ["user", "item"]
        self.ids: dict[str, np.ndarray] = {}
        self.counts: dict[str, np.ndarray] = {}
        self.dropped: dict[str, int] = {}
        self.span: dict[str, tuple[Any, Any]] = {}

    def run(self, files: Sequence[Path]) -> Path:
        """Goes through the steps.

        Returns:
            The folder with the result.
        """
        roles = self._survey(files)
        self._gather(DEALT, len(files), self.plan.choice.duplicates)
        n_items = int((self.counts["item"] > 0).sum())
        checks.check_catalogue(self.source, self.rows, n_items)
        if "rating" in roles and self.rows > 1:
            ends = np.array(self.span["rating"])
            checks.check_varies(self.source, roles["rating"], ends, " (rating=False)")
        if self.plan.k_core is not None:
            self._core(self.plan.k_core)
        self._renumber()
        checks.check_memory(*self.sizes)
        return self._write()

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of the vocabularies."""
        return len(self.ids["user"]), len(self.ids["item"])

    @property
    def rows(self) -> int:
        """How many interactions are left."""
        return int(self.counts["user"].sum())

    def _do(self, work: Any, count: int, **options: Any) -> Tally:
        return self.engine(functools.partial(work, folder=self.room, **options), range(count))

    def _survey(self, files: Sequence[Path]) -> dict[str, str]:
        """Reads the files, makes the vocabularies, deals the rows; returns role -> column."""
        work = functools.partial(_survey_one, files=tuple(map(str, files)), plan=self.plan)
        found = self._do(work, len(files))
        facts = sorted(found.facts, key=lambda fact: fact["number"])
        self.source = _names(files)
        roles = _agreed(facts)
        for fact in facts:
            for reason, count in fact["dropped"].items():
                self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.names += [name for name in ("rating", "time") if name in roles]
        rows = sum(fact["rows"] for fact in facts)
        if not rows:
            checks.check_catalogue(self.source, 0, 0)
        for side in SIDES:
            encoded = encode(found.ids[side], side)
            warn_of_merged(self.source, roles[side], side, encoded, stacklevel=7)
            if encoded.merged:
                self.dropped[f"{side} ids spelled in several ways, merged"] = len(encoded.merged)
            pieces.write_ids(self.room / f"{side}.arrow", found.ids[side])
            np.save(self.room / f"{side}-rows.npy", encoded.rows)
            self._keep_ids(side, encoded.ids)
        self.shards = self._wanted(rows)
        self._do(pieces.number_ids, len(files), shards=self.shards)
        shutil.rmtree(self.room / SURVEYED)
        return roles

    def _wanted(self, rows: int) -> int:
        return max(1, -(-rows // self.plan.shard_rows))

    def _keep_ids(self, side: str, ids: np.ndarray) -> None:
        self.ids[side] = ids
        np.save(self.room / f"{side}-ids.npy", ids, allow_pickle=False)

    def _gather(self, stage: str, count: int, duplicates: str) -> None:
        """Puts the shards together out of what was dealt, and counts."""
        found = self._do(
            shards.gather,
            self.shards,
            stage=stage,
            pieces=count,
            duplicates=duplicates,
            sizes=self.sizes,
        )
        shutil.rmtree(self.room / stage)
        self.counts = found.counts
        repeated = sum(fact["repeated"] for fact in found.facts)
        if repeated:
            self.dropped["repeated (user, item) pairs"] = repeated
        for name in ("rating", "time"):
            spans = [fact[name] for fact in found.facts if name in fact]
            if spans:
                self.span[name] = (min(low for low, _ in spans), max(high for _, high in spans))

    def _core(self, k: int) -> None:
        """Counts what stays, until nothing changes; what is no more in the core counts zero."""
        before = self.rows
        for _ in range(self.plan.rounds):
            fine = {side: self.counts[side] >= k for side in SIDES}
            if all((fine[side] | (self.counts[side] == 0)).all() for side in SIDES):
                break
            for side, mask in fine.items():
                np.save(self.room / f"{side}-fine.npy", mask)
            self.counts = self._do(shards.core, self.shards, sizes=self.sizes).counts
        else:
            raise DataError(
                f"{self.plan.name}: the {k}-core is not reached after {self.plan.rounds} rounds "
                f"({self.rows:,} of {before:,} interactions are left and still shrinking). Raise "
                "rounds, or lower k_core."
            )
        if not self.rows:
            raise DataError(
                f"{self.plan.name}: nothing is left of {before:,} interactions with k_core={k}."
            )
        if self.rows < before:
            self.dropped[f"outside the {k}-core"] = before - self.rows

    def _renumber(self) -> None:
        """Drops ids without interactions from the vocabularies, and what belongs to them."""
        wanted = self._wanted(self.rows)
        if wanted == self.shards and all((self.counts[side] > 0).all() for side in SIDES):
            return
        for side in SIDES:
            used = self.counts[side] > 0
            new = np.where(used, np.cumsum(used, dtype=np.int32) - np.int32(1), np.int32(-1))
            np.save(self.room / f"{side}-new.npy", new)
            self._keep_ids(side, self.ids[side][used])
        dealt, self.shards = self.shards, wanted
        self._do(pieces.renumber, dealt, shards=wanted)
        self._gather(AGAIN, dealt, "keep")

    def _write(self) -> Path:
        """Splits and writes the shards, and all that describes them."""
        made, plan = self.room / "made", self.plan
        made.mkdir()
        cuts = {}
        if plan.split == "by_time":
            cuts = cuts_of(plan, self.rows, self.span.get("time"), self._time_counts)
        found = self._do(
            shards.write,
            self.shards,
            target=made,
            shards=self.shards,
            split=plan.split,
            cuts=cuts,
            validation=bool(plan.validation),
            sizes=self.sizes,
        )
        facts = sorted(found.facts, key=lambda fact: (fact["part"], fact["shard"]))
        _not_empty(plan, facts)
        write_metadata(made, self.names, facts)
        kinds = {side: write_vocabulary(made, side, self.ids[side]) for side in SIDES}
        np.savez(made / "counts.npz", **found.counts)
        self._write_manifest(made, facts, cuts, kinds)
        shutil.rmtree(self.room / SHARDS)
        return made

    def _time_counts(self, **options: int) -> np.ndarray:
        return self._do(shards.time_counts, self.shards, **options).counts["bucket"]

    def _write_manifest(
        self,
        made: Path,
        facts: list[dict[str, Any]],
        cuts: Mapping[str, int],
        kinds: dict[str, str],
    ) -> None:
        parts: dict[str, Any] = {}
        for fact in facts:
            part = parts.setdefault(fact["part"], {"rows": [], "most": [0, 0]})
            part["rows"].append(fact["rows"])
            part["most"] = max(part["most"], fact["most"])
        files = {fact["file"]: {key: fact[key] for key in ("bytes", "sha256")} for fact in facts}
        for file in sorted(made.iterdir()):
            if file.name not in files:
                files[file.name] = sealed(file)
        content = {
            "format": FORMAT,
            "name": self.plan.name,
            "origin": f"prepared from {self.source}",
            "users": self.sizes[0],
            "items": self.sizes[1],
            "shards": self.shards,
            "columns": self.names,
            "ids": kinds,
            "parts": parts,
            "split": self.plan.split,
            "cuts": cuts,
            "k_core": self.plan.k_core,
            "dropped": self.dropped,
            "files": files,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (made / MANIFEST).write_text(text, encoding="utf-8")


def _survey_one(number: int, *, folder: Path, files: tuple[str, ...], plan: Plan) -> Tally:
    return pieces.survey(
        number, path=files[number], folder=folder, choice=plan.choice, layout=plan.layout
    )


def _names(files: Sequence[Path]) -> str:
    shown = " + ".join(map(str, files[: checks.SHOWN]))
    return shown + (f" + {len(files) - checks.SHOWN} more" if len(files) > checks.SHOWN else "")


def _agreed(facts: list[dict[str, Any]]) -> dict[str, str]:
    """The columns that all files have; they must agree, also on the unit of time."""
    first = facts[0]
    for fact in facts:
        if fact["roles"] != first["roles"]:
            raise DataError(
                f"{fact['source']}: its columns are {fact['roles']}, and those of "
                f"{first['source']} are {first['roles']}. All files of a log have the same columns."
            )
    units: dict[str, str] = {}
    for fact in facts:
        if fact["unit"]:
            units.setdefault(fact["unit"], fact["source"])
    if len(units) > 1:
        found = ", ".join(f"{unit} in {source}" for unit, source in units.items())
        raise DataError(
            f"times in more than one unit ({found}). Convert them to one unit, or say which it is "
            'with time_unit="s" (or "ms", "us", "ns").'
        )
    return first["roles"]


def _not_empty(plan: Plan, facts: list[dict[str, Any]]) -> None:
    rows: dict[str, int] = {}
    for fact in facts:
        rows[fact["part"]] = rows.get(fact["part"], 0) + fact["rows"]
    empty = [part for part, count in rows.items() if not count]
    if empty:
        raise DataError(
            f"{plan.name}: the split leaves {' and '.join(empty)} empty. Ask for larger shares, or "
            "for no validation."
        )
