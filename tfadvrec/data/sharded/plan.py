"""What `prepare` was asked for."""

from dataclasses import dataclass
from typing import Any

from tfadvrec.data.choice import Choice
from tfadvrec.data.splitting import check_shares

SPLITS = (None, "by_time", "leave_last_out")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `prepare` was asked for; see there."""

    choice: Choice
    layout: dict[str, Any]
    k_core: int | None
    rounds: int
    split: str | None
    validation: float
    test: float
    shard_rows: int
    name: str

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}. Received: {self.split!r}")
        if min(self.shard_rows, self.rounds, 1 if self.k_core is None else self.k_core) < 1:
            raise ValueError(
                "shard_rows, rounds and k_core: expected at least 1, got shard_rows="
                f"{self.shard_rows}, rounds={self.rounds} and k_core={self.k_core}."
            )
        if self.split == "by_time":
            check_shares(self.validation, self.test)
