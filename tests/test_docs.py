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
# a page that says so at its top runs in a process of its own
ENVIRONMENT = re.compile(r"^<!-- environment: (\w+)=(\S+) -->$", re.MULTILINE)
NEEDS = re.compile(r"<!-- needs: (\w+), (\[\w+\]) -->")
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")


def run_page(page):
    """Runs the blocks of a page, one after the other, in one namespace."""
    names = {"__name__": "__page__"}
    text = pathlib.Path(page).read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        # the code object carries the page's own line numbers, so a failure points into the page
        exec(compile("\n" * line + block.group(1), str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    for package, extra in NEEDS.findall(text):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"NOT TESTED: {page.name} needs {package}, which the extra {extra} brings")
    needed = dict(ENVIRONMENT.findall(text))
    if needed:
        run_apart(page, needed)
    else:
        run_page(page)
    assert os.getcwd() == str(tmp_path)


def run_apart(page, needed):
    """Runs a page that needs variables set before TensorFlow is imported."""
    if "TF_USE_LEGACY_KERAS" in needed and not importlib.util.find_spec("tensorflow_recommenders"):
        pytest.skip(f"NOT TESTED: {page.name} needs tensorflow-recommenders")
    code = "import sys; from tests.test_docs import run_page; run_page(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(page)],
        env={**os.environ, **needed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]


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
