"""Every ```python block of the README and of docs/ runs, page by page, in an empty folder."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs: (\w+), (\[\w+\]) -->")
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__page__"}
    text = page.read_text(encoding="utf-8")
    for package, extra in NEEDS.findall(text):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"NOT TESTED: {page.name} needs {package}, which the extra {extra} brings")
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        # the code object carries the page's own line numbers, so a failure points into the page
        exec(compile("\n" * line + block.group(1), str(page), "exec"), names)
    assert os.getcwd() == str(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_page_lead_somewhere(page):
    broken = [
        link
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_zoo_table_of_the_readme_is_made_from_the_folders():
    command = [sys.executable, "-m", "tfadvrec", "zoo", "list", "--markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- zoo table: begin -->")[2].partition("<!-- zoo table: end -->")[0]
    assert shown.strip() == done.stdout.strip(), "run `tfadvrec zoo list --markdown`"
