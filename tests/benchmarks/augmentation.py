"""Does adding synthetic interactions to a small log help? The augmentation ablation on MovieLens.

    TFADVREC_BENCHMARK_DATA=... python -m tests.benchmarks.augmentation

MovieLens-100K, a fifth of each user's interactions held out at random for the test; of the rest
20% and 5% of the interactions are kept. A fifth of what is kept is the validation part, on which
each arm's setting is chosen (`augmentation_ablation`); then samplers, generators and models learn
from all that is kept and the test is read once a seed. Arms: nothing added, random pairs, popular
pairs, pairs of an EASE fitted to the kept log, pairs of the conditional augmentation game, and of
its twin without the adversary (the same generator trained by cross-entropy alone). Writes
`results/augmentation.json` and `results/augmentation.md`.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfadvrec.data import Interactions, Split, by_ratio
from tfadvrec.evaluation import holm
from tfadvrec.games.augmentation import AugmentationGame
from tfadvrec.models.conditional_item_generator import ConditionalItemGenerator
from tfadvrec.synthesis import augmentation_ablation, factors, game_rows, linear

KEPT = (0.2, 0.05)
RATIOS = (3.0,)  # 1 and 3 were tried on the validation part, with 3 mostly ahead
ARMS = ("none", "random", "popularity", "ease", "no adversary", "game")
GRIDS = {
    "EASE": (linear, [{"regularization": value} for value in (100.0, 300.0, 1000.0)]),
    "BPR-MF": (factors, [{"regularization": value} for value in (0.0, 10.0)]),
}
STEPS = 500
GAME = {
    "likelihood": 1.0,
    "adversarial_weight": 0.1,
    "epochs": 10,
    "batch_size": 256,
    "generator_rate": 2e-3,
    "discriminator_rate": 3e-4,
    "dropout": 0.5,
}


def load(folder: pathlib.Path) -> Split:
    """MovieLens-100K with a random fifth of each user's interactions as the test."""
    log = Interactions.from_csv(folder / "u.data", header=False, user=0, item=1, rating=2, time=3)
    return by_ratio(log.replace(name="ml-100k"), validation=0, test=0.2, seed=0)


def cut(whole: Split, share: float) -> Split:
    """The split with a share of its training interactions, a fifth of those as validation."""
    order = np.random.default_rng(0).permutation(len(whole.train))
    kept = whole.train.take(np.sort(order[: round(share * len(whole.train))]))
    inner = by_ratio(kept, validation=0, test=0.2, seed=1)
    return Split(inner.train, inner.test, whole.test)


def trained(adversarial_weight: float) -> Callable[[Interactions, int], ConditionalItemGenerator]:
    """A function of a log and a seed that trains the game once for each of them."""
    made: dict[tuple[str, int], ConditionalItemGenerator] = {}

    def train(log: Interactions, seed: int) -> ConditionalItemGenerator:
        key = (log.fingerprint(), seed)
        if key not in made:
            game = AugmentationGame.for_log(
                log,
                likelihood=GAME["likelihood"],
                dropout=GAME["dropout"],
                discriminator=(32,),
                generator={"dropout": GAME["dropout"]},
                seed=seed,
            )
            game.compile(
                keras.optimizers.Adam(GAME["generator_rate"], beta_1=0.5),
                keras.optimizers.Adam(GAME["discriminator_rate"], beta_1=0.5),
                adversarial_weight=adversarial_weight,
            )
            batches = game.batches(log, batch_size=GAME["batch_size"], seed=seed, block=1000)
            game.fit(batches, epochs=GAME["epochs"], verbose=0)
            made[key] = game.product
        return made[key]

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--ratios", nargs="*", type=float, default=list(RATIOS))
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results"
    )
    given, began = parser.parse_args(), time.time()
    whole = load(pathlib.Path(os.environ["TFADVREC_BENCHMARK_DATA"]) / "ml-100k")
    settings = []
    twin, game = trained(0.0), trained(GAME["adversarial_weight"])

    def plain_rows(log: Interactions, n: int, *, to: str = "all", seed: int = 0) -> Interactions:
        return game_rows(twin(log, seed))(log, n, to=to, seed=seed)

    for name in given.models:
        build, grid = GRIDS[name]
        for kept in KEPT:
            split = cut(whole, kept)
            for ratio in given.ratios:
                found = augmentation_ablation(
                    split,
                    build=build,
                    arms=ARMS,
                    game=game,
                    samplers={"no adversary": plain_rows},
                    ratio=ratio,
                    seeds=range(given.seeds),
                    steps=STEPS,
                    grid=grid,
                )
                settings.append({"kept": kept, "model": name, **found.to_dict()})
                print(f"\n### {kept:.0%} kept, {name}\n\n{found.markdown()}", flush=True)
                write(settings, given, time.time() - began)


def write(settings: list[dict], given: argparse.Namespace, seconds: float) -> None:
    """The record as JSON, and a page made from it."""
    report = {
        "data": "ml-100k",
        "command": "python -m tests.benchmarks.augmentation "
        f"--seeds {given.seeds} --models {' '.join(given.models)} "
        f"--ratios {' '.join(f'{ratio:g}' for ratio in given.ratios)}",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds),
        "game": GAME,
        **verdicts(settings),
        "settings": settings,
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "augmentation.json").write_text(json.dumps(report, indent=1) + "\n")
    (given.output / "augmentation.md").write_text(page(report))


def verdicts(settings: list[dict]) -> dict[str, Any]:
    """Which arms of which settings help, after Holm's correction over all of them."""
    p_values, fine = {}, set()
    for one in settings:
        where = f"{one['kept']:.0%} kept, {one['model']}, ratio {one['ratio']:g}"
        for arm in one["slices"]["all"]["arms"]:
            gap = one["slices"]["all"]["differences"].get(f"{arm} - none")
            if gap:
                p_values[f"{where}: {arm}"] = gap["p"]
                if arm in one["claim"]["better than none"]:
                    fine.add(f"{where}: {arm}")
    adjusted = holm(p_values)
    helped = {name: p for name, p in adjusted.items() if name in fine and p < 0.05}
    return {
        "better than none, p (Holm)": helped
        or "no setting is significantly better than adding nothing",
        "the game better than none and than popularity": [
            f"{one['kept']:.0%} kept, {one['model']}, ratio {one['ratio']:g}"
            for one in settings
            if one["claim"]["game"]
        ],
    }


def page(report: dict) -> str:
    """The figures as Markdown."""
    verdict = report["better than none, p (Holm)"]
    told = (
        [verdict] if isinstance(verdict, str) else [f"{k}, p {p:.4f}" for k, p in verdict.items()]
    )
    lines = [
        "# Augmentation of a small log",
        "",
        f"`{report['command']}`, {report['date']}, {report['seconds']} s. NDCG@10 over all "
        "items, mean over users and seeds; differences to `none` with both intervals.",
        "",
        "Significantly better than adding nothing (intervals over users and over seeds above zero, "
        "sign-flip p below .05 after Holm's correction over all rows below):",
        "",
        *(f"- {one}" for one in told),
        "",
        "The game better than none and than popularity rows: "
        + ("; ".join(report["the game better than none and than popularity"]) or "nowhere")
        + ".",
        "",
        "| kept | model | ratio | slice | rows | NDCG@10 | sd over seeds | - none | over users | "
        "over seeds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in report["settings"]:
        for name, part in one["slices"].items():
            for arm, row in part["arms"].items():
                gap = part["differences"].get(f"{arm} - none")
                lines.append(_line(one, name, arm, row, gap))
    return "\n".join(lines) + "\n"


def _line(one: dict, name: str, arm: str, row: dict, gap: dict | None) -> str:
    cells = [f"{one['kept']:.0%}", one["model"], f"{one['ratio']:g}", name, arm]
    cells += [f"{row['mean']:.4f}", f"{row['sd over seeds'] or 0:.4f}"]
    if gap is None:
        cells += ["", "", ""]
    else:
        ends = [gap["over users"], gap["over seeds"]]
        cells += [f"{gap['difference']:+.4f}"]
        cells += [f"[{end[0]:+.4f}, {end[1]:+.4f}]" if end else "" for end in ends]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
