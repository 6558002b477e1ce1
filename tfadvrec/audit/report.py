"""The robustness report as a frozen record: JSON is the truth, everything else is drawn from it."""

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfadvrec.pages import html_page, markdown_page, read_record, write_files

SCHEMA_VERSION = 1
KIND = "tfadvrec robustness report"


@dataclass(frozen=True, eq=False)
class RobustnessReport:
    """What happened to a recommender's ranking under attack and noise.

    Attributes:
        record: The JSON-able record. Read it through `to_dict`, which copies.

    Raises:
        ValueError: If the record is of another kind or schema version.
    """

    record: dict[str, Any]

    def __post_init__(self) -> None:
        """Checks that the record is one that this version can read."""
        found = (self.record.get("kind"), self.record.get("schema_version"))
        if found != (KIND, SCHEMA_VERSION):
            raise ValueError(
                f"not a report that this version reads: kind {found[0]!r}, schema version "
                f"{found[1]!r}; expected {KIND!r}, {SCHEMA_VERSION}. Make the report again, or "
                "read it with the tfadvrec version named under its 'versions'."
            )

    def to_dict(self) -> dict[str, Any]:
        """A copy of the whole record."""
        return copy.deepcopy(self.record)

    def to_json(self) -> str:
        """The record as strict JSON text."""
        return json.dumps(self.record, indent=1, allow_nan=False, ensure_ascii=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines of the sanity box are PASS, FAIL and NOT RUN."""
        return dict(self.record["check_counts"])

    def models(self) -> dict[str, dict[str, dict[str, float]]]:
        """Label -> `{"clean": {metric: mean}, "attacked": {...}}`, the latter for model and twin.

        `attacked` is the headline attack's, at the size where the twin has lost half.
        """
        table = {}
        attacked = self.record["headline"].get("attacked") or {}
        for role in ("model", "twin"):
            if self.record["clean"].get(role) is None:
                continue
            row: dict[str, Any] = {"clean": _values(self.record["clean"][role])}
            if role in attacked:
                row["attacked"] = _values(attacked[role])
            table[self.record["models"][role]["label"]] = row
        for name, metrics in self.record["baselines"].items():
            table[name] = {"clean": _values(metrics)}
        return table

    def markdown(self) -> str:
        """The report as Markdown; figures are the files that `save` writes beside it."""
        from tfadvrec.audit.tables import blocks

        return markdown_page(blocks(self.record))

    def html(self) -> str:
        """The report as one self-contained HTML page."""
        from tfadvrec.audit.plots import figures
        from tfadvrec.audit.tables import blocks

        return html_page(blocks(self.record), figures(self.record))

    def summary_table(self) -> Any:
        """A `rich` table of the models, clean and attacked."""
        from tfadvrec.audit.summary import summary_table

        return summary_table(self.record)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes `report.json`, `report.md`, `report.html` and the PNG figures.

        Everything is rendered before the first file is written, and each file replaces its
        predecessor whole.

        Args:
            folder: Folder, made where it is missing.

        Returns:
            The folder.

        Raises:
            ValueError: If a section that was run has no threat model, or limits are empty.
        """
        from tfadvrec.audit.plots import figures
        from tfadvrec.audit.tables import blocks

        drawn = figures(self.record)
        files: dict[str, bytes] = {
            "report.md": self.markdown().encode(),
            "report.html": html_page(blocks(self.record), drawn).encode(),
            **{f"{name}.png": image for name, image in drawn.items()},
            "report.json": self.to_json().encode(),
        }
        return write_files(folder, files)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "RobustnessReport":
        """Reads `report.json`, or a folder that holds it.

        Args:
            path: The file or its folder.

        Returns:
            The report.

        Raises:
            ValueError: If the file is not a report, or of another schema version.
        """
        return cls(read_record(path, "report.json"))


def _values(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: estimate["value"] for name, estimate in metrics.items()}
