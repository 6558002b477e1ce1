"""Text files of which a line is a user and what the user took, in order."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from tfadvrec.data.assembly import RawLog
from tfadvrec.data.checks import SHOWN, DataError
from tfadvrec.data.choice import Choice
from tfadvrec.data.text_files import explain_encoding, open_bytes


def _shown(lines: list[str]) -> str:
    return f", first of them {'; '.join(lines[:SHOWN])}" if lines else ""


def read_lists(
    path: str | Path, choice: Choice, *, encoding: str = "utf-8"
) -> tuple[RawLog, Choice]:
    """Reads a log of which a line is a user's id and the ids of items, separated by blanks.

    Args:
        path: The file; gzip and bzip2 are unpacked.
        choice: What becomes of bad rows; columns are not asked for.
        encoding: The text's encoding.

    Returns:
        The columns `user` and `item` in the order of the file, and the choice with both named.

    Raises:
        DataError: When the file is no such text, or a line has a user and no item (unless such
            lines are to be dropped).
    """
    path = Path(path)
    with open_bytes(path) as file:
        try:
            lines = file.read().decode(encoding).removeprefix("\ufeff").splitlines()
        except UnicodeDecodeError:
            raise explain_encoding(path, encoding) from None
    found = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    empty = [f"line {number}: {ids[0]!r}" for number, ids in found if len(ids) == 1]
    if not found or len(empty) == len(found) or (empty and choice.invalid == "error"):
        raise DataError(
            f"{path}: a line is a user and at least one item, separated by blanks; {len(empty):,} "
            f"of {len(found):,} lines have nothing behind the user{_shown(empty)}. A table with "
            'one interaction a line is read by from_csv; invalid="drop" leaves such users out and '
            "counts them."
        )
    taken = [(number, ids) for number, ids in found if len(ids) > 1]
    lengths = [len(ids) - 1 for _, ids in taken]
    columns = {
        "user": np.repeat(np.array([ids[0] for _, ids in taken], dtype=str), lengths),
        "item": np.array(list(chain.from_iterable(ids[1:] for _, ids in taken)), dtype=str),
    }
    numbers = np.repeat([number for number, _ in taken], lengths)

    def locate(rows: Sequence[int]) -> list[str]:
        return [f"line {numbers[row]}" for row in rows]

    dropped = {"user without items": len(empty)} if empty else {}
    return RawLog(columns, str(path), locate, dropped), choice.named(
        {"user": "user", "item": "item"}, []
    )
