"""What a game's health was: a frozen record whose JSON is the truth."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfadvrec.pages import read_record, write_files

SCHEMA = 1
_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, kw_only=True)
class HealthReport:
    """Every value, breach and action of a game's training.

    Attributes:
        settings: How it was measured: `game`, `action`, `patience`, `warm_up`, `every`, `count`,
            `seed` and `limits` (signal -> bounds).
        epochs: One record an epoch, `{"epoch", "values", "levels"}`: values as in Keras's logs and
            the measured signals; levels 0 (fine), 1 (warn), 2 (act) of the signals with limits.
        events: What was told or done, `{"epoch", "batch", "signal", "value", "bound", "action",
            "message"}`; action is `"warn"`, `"rollback"` or `"stop"`.

    Example:
        >>> report = HealthReport(epochs=({"epoch": 0, "values": {"coverage": 0.9}, "levels": {}},))
        >>> report.status, report.curve("coverage")
        ('healthy', ([0], [0.9]))
    """

    settings: dict[str, Any] = field(default_factory=dict)
    epochs: tuple[dict[str, Any], ...] = ()
    events: tuple[dict[str, Any], ...] = ()

    @property
    def status(self) -> str:
        """The gravest thing that was done: healthy (nothing), warned, rolled back or stopped."""
        actions = {event["action"] for event in self.events}
        for action, status in (("stop", "stopped"), ("rollback", "rolled back")):
            if action in actions:
                return status
        return "warned" if actions else "healthy"

    @property
    def reason(self) -> str | None:
        """The message of the gravest event, or None where there is none."""
        order = {"warn": 0, "rollback": 1, "stop": 2}
        found = sorted(self.events, key=lambda event: -order[event["action"]])
        return found[0]["message"] if found else None

    @property
    def names(self) -> list[str]:
        """Every value that was measured in some epoch, in order of appearance."""
        return list(dict.fromkeys(name for record in self.epochs for name in record["values"]))

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Epochs and values of one signal or loss, where it was measured."""
        held = [(r["epoch"], r["values"][name]) for r in self.epochs if name in r["values"]]
        return [epoch for epoch, _ in held], [value for _, value in held]

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are none are the texts "nan", "inf" and "-inf"."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "reason": self.reason,
            "settings": _plain(self.settings),
            "epochs": _plain(self.epochs),
            "events": _plain(self.events),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "HealthReport":
        """The way back from `to_dict`.

        Raises:
            ValueError: If the record is of another schema.
        """
        if record.get("schema") != SCHEMA:
            raise ValueError(
                f"expected a health report of schema {SCHEMA}, got {record.get('schema')!r}"
            )
        parts = {key: _numbers(record[key]) for key in ("settings", "epochs", "events")}
        return cls(
            settings=parts["settings"], epochs=tuple(parts["epochs"]), events=tuple(parts["events"])
        )

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def markdown(self) -> str:
        """As a page; the figure is the file that `save` writes beside it."""
        from tfadvrec.games.health.page import markdown

        return markdown(self)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes `health.json`, `health.md` and `health.png`, each replaced whole.

        Args:
            folder: Folder, made where it is missing.

        Returns:
            The folder.
        """
        from tfadvrec.games.health.curves import curves

        files = {
            "health.png": curves(self),
            "health.md": self.markdown().encode(),
            "health.json": self.to_json().encode(),
        }
        return write_files(folder, files)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "HealthReport":
        """Reads `health.json`, or a folder that holds it.

        Raises:
            ValueError: If the file is not such a report.
        """
        return cls.from_dict(read_record(path, "health.json"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return _ODD.get(value, value) if isinstance(value, str) else value
