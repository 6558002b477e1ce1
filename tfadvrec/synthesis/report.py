"""The report on a synthetic log as a frozen record, from whose JSON all else is drawn."""

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfadvrec.pages import html_page, markdown_page, read_record, write_files

SCHEMA_VERSION = 1
KIND = "tfadvrec synthesis report"


@dataclass(frozen=True, eq=False)
class SynthesisReport:
    """How close a synthetic log is to the real one, what it teaches, and whom it gives away.

    Attributes:
        record: The JSON-able record. Read it through `to_dict`, which copies.

    Raises:
        ValueError: If the record is of another kind or schema version, or has no limits.
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
        if not str(self.record.get("limits") or "").strip():
            raise ValueError(
                "the report has no limits: say in words what a reader must not conclude "
                "(synthesis_report(..., limits=...)), or leave `limits` out for the default text."
            )

    def to_dict(self) -> dict[str, Any]:
        """A copy of the whole record."""
        return copy.deepcopy(self.record)

    def to_json(self) -> str:
        """The record as strict JSON text."""
        return json.dumps(self.record, indent=1, allow_nan=False, ensure_ascii=False)

    def markdown(self) -> str:
        """The report as Markdown; figures are the files that `save` writes beside it."""
        from tfadvrec.synthesis.tables import blocks

        return markdown_page(blocks(self.record))

    def html(self) -> str:
        """The report as one self-contained HTML page."""
        from tfadvrec.synthesis.plots import figures
        from tfadvrec.synthesis.tables import blocks

        return html_page(blocks(self.record), figures(self.record))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes `report.json`, `report.md`, `report.html` and the PNG figures.

        Everything is rendered before the first file is written, and each file replaces its
        predecessor whole.

        Args:
            folder: Folder, made where it is missing.

        Returns:
            The folder.
        """
        from tfadvrec.synthesis.plots import figures
        from tfadvrec.synthesis.tables import blocks

        drawn = figures(self.record)
        files: dict[str, bytes] = {
            "report.md": self.markdown().encode(),
            "report.html": html_page(blocks(self.record), drawn).encode(),
            **{f"{name}.png": image for name, image in drawn.items()},
            "report.json": self.to_json().encode(),
        }
        return write_files(folder, files)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SynthesisReport":
        """Reads `report.json`, or a folder that holds it.

        Args:
            path: The file or its folder.

        Returns:
            The report.

        Raises:
            ValueError: If the file is not a report, or of another schema version.
        """
        return cls(read_record(path, "report.json"))
