"""What an augmentation ablation found."""

import copy
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class AblationResult:
    """Ranking quality with and without added rows, as a record.

    Attributes:
        record: The JSON-able record. Read it through `to_dict`, which copies.
    """

    record: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """A copy of the whole record."""
        return copy.deepcopy(self.record)

    def to_json(self) -> str:
        """The record as strict JSON text."""
        return json.dumps(self.record, indent=1, allow_nan=False, ensure_ascii=False)

    @property
    def claim(self) -> dict[str, Any]:
        """What may be claimed: `better than none` (arms), `game` (yes, no or None) and why."""
        return copy.deepcopy(self.record["claim"])

    def markdown(self) -> str:
        """The record as Markdown tables, one a slice."""
        record, lines = self.record, [self._head()]
        for name, part in record["slices"].items():
            users = next(iter(part["arms"].values()))["users"]
            lines.append(
                f"**{name}** ({users:,} users), {record['lead']}: mean over users and seeds "
                "[95% over users], standard deviation over seeds\n"
            )
            lines.append("| rows added | " + record["lead"] + " | sd over seeds | - none |")
            lines.append("|---|---|---|---|")
            for arm, row in part["arms"].items():
                gap = part["differences"].get(f"{arm} - none")
                sd = "-" if row["sd over seeds"] is None else f"{row['sd over seeds']:.4f}"
                lines.append(
                    f"| {arm} | {row['mean']:.4f} [{row['low']:.4f}, {row['high']:.4f}] | {sd} | "
                    f"{_gap(gap)} |"
                )
            if "game - popularity" in part["differences"]:
                lines.append(
                    f"\ngame - popularity: {_gap(part['differences']['game - popularity'])}"
                )
            lines.append("")
        return "\n".join([*lines, self._said(), "", record["policy"]]) + "\n"

    def _head(self) -> str:
        record = self.record
        return (
            f"Augmentation of {record['data']['name']} ({record['data']['rows']:,} rows): "
            f"{record['added rows']:,} rows added (ratio {record['ratio']:g}, to "
            f"{record['to']}), {record['steps']:,} training steps in every arm, seeds "
            f"{', '.join(map(str, record['seeds']))}.\n"
        )

    def _said(self) -> str:
        claim = self.record["claim"]
        helped = ", ".join(claim["better than none"])
        text = (
            f"Better than no added rows, both intervals above zero: {helped}."
            if helped
            else "No arm is significantly better than adding nothing."
        )
        if claim["game"] is None:
            return text
        verdict = "A benefit of the game is shown" if claim["game"] else "No benefit of the game"
        return f"{text} {verdict}: {claim['why']}"


def _gap(gap: dict[str, Any] | None) -> str:
    """A difference with its intervals over users and over seeds."""
    if gap is None:
        return "-"
    text = f"{gap['difference']:+.4f} [{gap['over users'][0]:+.4f}, {gap['over users'][1]:+.4f}]"
    if gap["over seeds"]:
        text += f"; seeds [{gap['over seeds'][0]:+.4f}, {gap['over seeds'][1]:+.4f}]"
    return text
