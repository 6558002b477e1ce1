"""Made-up files in the layout of MovieLens, for the tests of every way to that set."""

import pytest

ITEMS = [
    "1|Toy Story (1995)|01-Jan-1995||u|" + "|".join("0001110" + "0" * 12),
    "2|unknown||||1|" + "|".join("0" * 18),
    "3|Miserables, Les (1998) |x||u|" + "|".join("0" * 8 + "1" + "0" * 10),
]
FILES = {
    "u.data": "2\t1\t3\t20\n1\t2\t5\t10\n1\t1\t4\t30\n2\t3\t1\t20\n",
    "u.item": "\n".join(ITEMS) + "\n",
    "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
}


def _write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


@pytest.fixture
def write():
    """Writes texts into a folder, as GroupLens encodes them."""
    return _write


@pytest.fixture
def ml_100k_files():
    """Two users and three films in the layout of MovieLens-100K."""
    return dict(FILES)
