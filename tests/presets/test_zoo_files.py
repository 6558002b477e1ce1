"""What the zoo ships, as text: nothing of the machine that made it."""

import re
from pathlib import Path

import pytest

from tfadvrec.presets import zoo

TEXTS = (".json", ".toml", ".md", ".txt")
ELSEWHERE = re.compile(r"(?<![\w.:/])(?:/(?:home|root|work|tmp|Users|mnt|opt|var)/|[A-Za-z]:\\)")


@pytest.mark.parametrize("name", sorted(zoo.folders()))
def test_no_file_of_a_preset_names_a_folder_of_the_machine_that_made_it(name):
    texts = [path for path in Path(zoo.folders()[name]).iterdir() if path.suffix in TEXTS]
    found = {
        path.name: match.group()
        for path in texts
        if (match := ELSEWHERE.search(path.read_text(encoding="utf-8")))
    }
    assert texts
    assert found == {}
