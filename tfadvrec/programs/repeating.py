"""A program over several seeds: means, spreads and intervals."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfadvrec.evaluation import over_seeds
from tfadvrec.presets.replacing import check_replaceable
from tfadvrec.programs.listing import Progress, run_program
from tfadvrec.programs.output import save_json

SUMMARY = "summary.json"


def repeat(
    name: str,
    output: str | os.PathLike,
    *,
    seeds: Sequence[int] = range(5),
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Runs a program once a seed, and says how far the seeds differ.

    Args:
        name: The program.
        output: The folder; it gets `seed-0`, `seed-1`, ... and `summary.json`.
        seeds: The seeds.
        progress: Called with a text, how much is done, and of how much.
        **settings: As for `run_program`.

    Returns:
        `{"program", "data", "epochs", "seeds", "figures"}`, as in `summary.json`: a figure is
        `{"mean", "sd", "low", "high", "seeds", "values"}` with Student's 95% interval over seeds.
    """
    folder, seeds = check_replaceable(output, known={"seed-*", SUMMARY}), list(seeds)
    if not seeds:
        raise ValueError("seeds: expected at least one, got none.")
    folder.mkdir(parents=True, exist_ok=True)
    Path(folder, SUMMARY).unlink(missing_ok=True)
    records = []
    for seed in seeds:
        told = _with_seed(progress, seed)
        place = folder / f"seed-{seed}"
        records.append(run_program(name, place, seed=seed, progress=told, **settings))
    arms = {
        arm: over_seeds([{k: v for k, v in r["figures"][arm].items() if v is not None}
                         for r in records])
        for arm in records[0]["figures"]
    }  # fmt: skip
    summary = {
        "program": name,
        "data": records[0]["data"],
        "epochs": records[0]["epochs"],
        "seeds": seeds,
        "figures": arms,
    }
    save_json(folder / SUMMARY, summary)
    return summary


def _with_seed(progress: Progress | None, seed: int) -> Progress | None:
    if progress is None:
        return None
    return lambda text, done, total: progress(f"seed {seed}: {text}", done, total)
