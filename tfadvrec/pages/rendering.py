"""Blocks of text, tables and figures as Markdown and as one HTML page that needs nothing else."""

import base64
import html as markup
from collections.abc import Mapping, Sequence

from tfadvrec.pages.block import Block

STATES = ("PASS", "FAIL", "NOT RUN")
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.7rem; }}
h2 {{ margin-top: 2.4rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; margin: .8rem 0; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid #ddd; overflow-wrap: anywhere; min-width: 4.5rem; }}
th {{ border-bottom: 2px solid #888; overflow-wrap: normal; }}
td {{ font-variant-numeric: tabular-nums; }}
img {{ max-width: 100%; height: auto; }}
.PASS, .FAIL, .NOT-RUN {{ font-weight: 600; white-space: nowrap; padding: .05rem .4rem;
  border-radius: .2rem; }}
.PASS {{ background: #d5ecf9; }} .FAIL {{ background: #fbd9c3; }}
.NOT-RUN {{ background: #e6e6e6; }}
figure {{ margin: 1rem 0; }} figcaption {{ font-size: .85rem; color: #555; }}
</style></head><body>
"""


def html_page(blocks: Sequence[Block], figures: Mapping[str, bytes]) -> str:
    """A self-contained page: no script, no link, images inside.

    Args:
        blocks: The parts; the first one's title is the page's.
        figures: Name -> PNG bytes.
    """
    body = "\n".join(_html(block, figures) for block in blocks)
    return _HEAD.format(title=markup.escape(blocks[0].title)) + body + "\n</body></html>\n"


def markdown_page(blocks: Sequence[Block]) -> str:
    """The same as Markdown; figures are PNG files beside it.

    Args:
        blocks: The parts.
    """
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _html(block: Block, figures: Mapping[str, bytes]) -> str:
    parts = [f"<h{block.level}>{markup.escape(block.title)}</h{block.level}>"]
    parts += [f"<p>{markup.escape(line)}</p>" for line in block.text]
    if block.head:
        head = "".join(f"<th>{markup.escape(name)}</th>" for name in block.head)
        rows = "\n".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in block.rows)
        parts.append(f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>')
    if block.figure and block.figure in figures:
        data = base64.b64encode(figures[block.figure]).decode()
        caption = markup.escape(block.caption)
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return "\n".join(parts)


def _html_cell(text: str) -> str:
    if text in STATES:
        return f'<td><span class="{text.replace(" ", "-")}">{text}</span></td>'
    return f"<td>{markup.escape(text)}</td>"


def _markdown(block: Block) -> str:
    parts = [f"{'#' * block.level} {_plain(block.title)}", *map(_plain, block.text)]
    if block.head:
        rows = [block.head, ("---",) * len(block.head), *block.rows]
        parts.append("\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows))
    if block.figure:
        parts.append(f"![{_plain(block.caption)}]({block.figure}.png)")
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Text in which nothing is markup: names come from data."""
    for sign in "\\`*_[]<>#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text if text == "---" else _plain(text).replace("|", "\\|")
