"""The benchmark: one command measures, prints tables and writes JSON.

    python -m tests.benchmarks [--part training ...] [--peers FOLDER] [--quick] [--output FOLDER]

The peers' environments are made by `python -m tests.benchmarks.peers FOLDER`; a peer that is
missing is reported missing. Real data is read from the folder that TFADVREC_BENCHMARK_DATA names.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import machine, tables
from tests.benchmarks.context import Context

PARTS = (
    "training",
    "experiment",
    "quality",
    "crossover",
    "evaluation",
    "input",
    "growth",
    "export",
    "serving",
    "start",
    "large_logs",
)
DATA = "TFADVREC_BENCHMARK_DATA"
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Runs the parts; 1 when one of them failed."""
    options = _parser().parse_args(arguments)
    output = Path(options.output) if options.output else RESULTS
    if options.quick and not options.output:
        output = RESULTS / "quick"
    context = Context(
        data=Path(os.environ[DATA]) if os.environ.get(DATA) else None,
        peers=Path(options.peers).absolute() if options.peers else None,
        quick=options.quick,
        rounds=options.rounds or (2 if options.quick else 5),
        output=output,
        console=Console(width=options.width or (None if sys.stdout.isatty() else 200)),
        threads=options.threads,
        groups=tuple(options.group or ()),
    )
    output.mkdir(parents=True, exist_ok=True)
    if context.data is None:
        context.say(f"{DATA} names no folder: the logs are generated")
    return max([measure(part, context) for part in options.part or PARTS], default=0)


def measure(part: str, context: Context) -> int:
    """Runs one part, prints its table and writes `<part>.json` and `<part>.md`."""
    if importlib.util.find_spec(f"tests.benchmarks.{part}") is None:
        context.say(f"{part}: there is no such part yet; skipped")
        return 0
    context.console.rule(part)
    facts, started = machine.facts(command(part, context)), time.perf_counter()
    try:
        result = import_module(f"tests.benchmarks.{part}").run(context)
    except Exception:
        context.console.print(traceback.format_exc(), markup=False)
        return 1
    whole: dict[str, Any] = {
        "part": part,
        "quick": context.quick,
        "machine": facts,
        "seconds": round(time.perf_counter() - started, 1),
        **result,
    }
    write(whole, context.output / f"{part}.json")
    for title, rows, names in shown(result):
        context.console.print(tables.screen(f"{part} {title}".strip(), rows, names))
    for line in [*tables.problems(result["rows"]), result.get("note", "")]:
        context.console.print(line, markup=False)
    return 0


def shown(result: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]], tuple[str, ...]]]:
    """Title, rows and columns of a result's tables: `rows`, and more in `tables`."""
    more = [(title, rows, ()) for title, rows in result.get("tables", {}).items() if rows]
    return [("", result["rows"], tuple(result.get("columns", ()))), *more]


def write(result: dict[str, Any], path: Path) -> None:
    """Writes a result and, beside it, its tables in Markdown."""
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    facts = result["machine"]
    head = (
        f"# {result['part']}\n\n`{facts['command']}`, {facts['date']}, {facts['processor']}, "
        f"{facts['cores']} cores, {facts['memory_gb']} GB, Python {facts['python']}, "
        f"TensorFlow {facts['packages']['tensorflow']}."
    )
    if result["quick"]:
        head += " QUICK: a trial, its figures mean nothing."
    pieces = [head]
    for title, rows, names in shown(result):
        pieces += [f"## {title}"] if title else []
        pieces.append(tables.markdown(rows, names).rstrip())
    pieces.append("\n".join(f"- {line}" for line in tables.problems(result["rows"])))
    pieces.append(result.get("note", ""))
    text = "\n\n".join(piece for piece in pieces if piece)
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def command(part: str, context: Context) -> str:
    """The command that makes this part's figures, with no folder of this machine in it."""
    words = ["python -m tests.benchmarks", f"--part {part}", f"--rounds {context.rounds}"]
    words += [f"--group {group}" for group in context.groups]
    words += ["--peers FOLDER"] if context.peers else []
    words += [f"--threads {context.threads}"] if context.threads != 2 else []
    return " ".join(words + (["--quick"] if context.quick else []))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="measure this; all if none")
    parser.add_argument("--group", action="append", help="of part training: this group only")
    parser.add_argument("--peers", help="folder of the peers' environments")
    parser.add_argument("--rounds", type=int, help="repetitions; 5, or 2 if quick")
    parser.add_argument("--threads", type=int, default=2, help="threads of each system; 2")
    parser.add_argument("--quick", action="store_true", help="try everything on little")
    parser.add_argument("--output", help="folder of the results; tests/benchmarks/results")
    parser.add_argument("--width", type=int, help="columns of the screen")
    return parser


if __name__ == "__main__":
    sys.exit(main())
