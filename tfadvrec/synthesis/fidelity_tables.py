"""The fidelity section as blocks of text and tables."""

from collections.abc import Iterator
from typing import Any

from tfadvrec.pages import Block
from tfadvrec.synthesis.fidelity_section import ROWS
from tfadvrec.synthesis.wording import NOTHING, spread, times

_ROWS = {"synthetic": "synthetic", "real halves": "real half", "independent columns": "independent"}
_MEASURES = {"tv": "TV", "kl": "KL, bits", "ks": "KS", "wasserstein": "W1"}


def fidelity_blocks(record: dict[str, Any]) -> Iterator[Block]:
    """Columns, pairs and popularity.

    Args:
        record: The report's `fidelity`.
    """
    size = record["size"]
    heads = tuple(_ROWS[row] for row in ROWS)
    missing = record["not compared"]
    yield Block(
        "Fidelity",
        text=(
            record["policy"][0],
            f"About {size['users']:,} users and {size['interactions']:,} interactions in each row."
            + (f" The synthetic log lacks: {', '.join(missing)}." if missing else ""),
        ),
    )
    yield from _columns(record, heads)
    yield Block(
        "Pairs",
        level=3,
        text=record["policy"][2:3],
        head=("mean distance of", *heads, "synthetic / real half"),
        rows=tuple(
            (name, *(spread(values[row]) for row in ROWS), times(values))
            for name, values in record["pairs"].items()
        ),
    )
    yield from _popularity(record, heads)


def _columns(record: dict[str, Any], heads: tuple[str, ...]) -> Iterator[Block]:
    yield Block(
        "Columns",
        level=3,
        text=(
            "Jensen-Shannon distance, 0 the same and 1 disjoint. Synthetic data as good as a "
            "sample of other real users has a ratio to the real half of about 1.",
        ),
        head=("column", "kind", *heads, "synthetic / real half"),
        rows=tuple(
            (
                name,
                record["kinds"][name],
                *(spread(measures["js"][row]) for row in ROWS),
                times(measures["js"]),
            )
            for name, measures in record["columns"].items()
        ),
        figure="columns",
        caption="Jensen-Shannon distance of every column with both reference rows",
    )
    yield Block(
        "More distances of columns",
        level=3,
        text=record["policy"][1:2],
        head=("column", "measure", *heads),
        rows=tuple(
            (name, _MEASURES[key], *(spread(values[row]) for row in ROWS))
            for name, measures in record["columns"].items()
            for key, values in measures.items()
            if key != "js"
        ),
    )


def _popularity(record: dict[str, Any], heads: tuple[str, ...]) -> Iterator[Block]:
    facts = record["facts"]
    yield Block(
        "Popularity",
        level=3,
        text=(
            "Left the whole logs; right how far from a real half (absolute difference; Spearman is "
            "a correlation: higher is closer). Head: the 10% of items with most interactions; "
            "tail: the half with fewest.",
        ),
        head=("", "real", "synthetic", *(f"{name}, from a half" for name in heads)),
        rows=tuple(
            (
                name,
                *(
                    f"{facts[log][name]:.3f}" if name in facts[log] else NOTHING
                    for log in ("real", "synthetic")
                ),
                *(spread(values[row]) for row in ROWS),
            )
            for name, values in record["popularity"].items()
        ),
        figure="popularity",
        caption="Share of all interactions by rank, of items and of users, real and synthetic",
    )
