"""Writes the tables of the pages that show measurements from the results.

python -m tests.benchmarks.page
"""

import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DOCS = HERE.parent.parent / "docs"
PAGES = (DOCS / "performance.md", DOCS / "serving.md", DOCS / "large_logs.md")
PLACE = re.compile(r"(<!-- benchmark: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, results: Path) -> str:
    """The page with each part's tables in its place, or a line that says it was not measured."""

    def tables(found: re.Match) -> str:
        file = results / f"{found[2]}.md"
        if not file.exists():
            return f"{found[1]}Not measured yet.\n{found[3]}"
        text = file.read_text(encoding="utf-8").strip()
        text = re.sub(r"^# .*\n+", "", text)
        text = re.sub(r"^## (.*)$", r"*\1*", text, flags=re.MULTILINE)
        return f"{found[1]}\n{text}\n\n{found[3]}"

    return PLACE.sub(tables, page)


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")
    figure = RESULTS / "growth.png"
    if figure.exists():
        shutil.copyfile(figure, DOCS / "figures" / figure.name)


if __name__ == "__main__":
    main()
