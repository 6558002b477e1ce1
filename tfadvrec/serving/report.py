"""What an export or a verification found."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of `export` or `verify`.

    Args:
        path: The version folder.
        version: Its number; None where the folder's name is none.
        verified: Whether every check that ran passed.
        signatures: What the servable offers.
        index_bytes: Bytes that one request searches.
        recall: What part of the exact lists the index finds; None where it is exact.
        warm_up: Warm-up requests that a server will replay when it loads the version.
        max_difference: The largest difference between an expected and a served number, relative
            to the largest expected number of its tensor where that is above one; None where
            nothing was compared.
        checks: The checks that ran, in words.
        failures: What is wrong, in words.
        skipped: Check -> why it did not run.
        seconds: Stage -> wall time.
    """

    path: str
    version: int | None
    verified: bool
    signatures: tuple[str, ...] = ()
    index_bytes: int = 0
    recall: float | None = None
    warm_up: int = 0
    max_difference: float | None = None
    checks: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values that `json.dumps` takes."""
        plain = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
        }

    def __str__(self) -> str:
        lines = [f"{'verified' if self.verified else 'NOT VERIFIED'}: {self.path}"]
        lines += [f"  signatures      {', '.join(self.signatures) or 'none'}"]
        lines += [f"  index           {self.index_bytes:,} bytes"]
        if self.recall is not None:
            lines += [f"  recall          {self.recall:.4f} of the exact lists"]
        lines += [f"  warm-up         {self.warm_up} requests"]
        if self.max_difference is not None:
            lines += [f"  max difference  {self.max_difference:.1e}"]
        lines += [f"  passed          {check}" for check in self.checks if not self.failures]
        lines += [f"  failed          {failure}" for failure in self.failures]
        lines += [f"  skipped         {check}: {why}" for check, why in self.skipped.items()]
        return "\n".join(lines)
