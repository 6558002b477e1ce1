"""Verdicts of the sanity box: PASS, FAIL or NOT RUN, each with its reason."""

from dataclasses import dataclass
from typing import Any

PASS, FAIL, NOT_RUN = "PASS", "FAIL", "NOT RUN"


@dataclass(frozen=True)
class Check:
    """One line of the sanity box.

    Attributes:
        name: What is checked.
        verdict: `"PASS"`, `"FAIL"` or `"NOT RUN"`.
        detail: The numbers, or why it was not run.
    """

    name: str
    verdict: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """A JSON-able record."""
        return {"check": self.name, "verdict": self.verdict, "detail": self.detail}


def check(name: str, passed: bool | None, detail: str) -> Check:
    """A check from a truth value; `None` means that it was not run."""
    verdict = NOT_RUN if passed is None else PASS if passed else FAIL
    return Check(name, verdict, detail)


def spoken(estimate: dict[str, Any]) -> str:
    """A value and its interval in words, four decimals."""
    if estimate["value"] is None:
        return "undefined"
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"
