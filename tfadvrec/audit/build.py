"""Makes a robustness report: everything measured, then one record."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfadvrec.audit import facts, natural_noise
from tfadvrec.audit.clean import clean_quality
from tfadvrec.audit.embedding import EPSILONS
from tfadvrec.audit.embedding_section import embedding_section, hyperparameters
from tfadvrec.audit.evidence import Evidence
from tfadvrec.audit.report import KIND, SCHEMA_VERSION, RobustnessReport
from tfadvrec.audit.sections import RUNNABLE, TITLES, limits_in_words, not_run, section
from tfadvrec.audit.victim import Victim
from tfadvrec.evaluation import RankingTask
from tfadvrec.losses import BayesianPersonalizedRanking


def robustness_report(
    model: Any,
    train: Any,
    test: Any,
    *,
    validation: Any = None,
    twin: Any = None,
    baselines: Mapping[str, Any] | None = None,
    rebuild: Callable[[Any, int], Any] | None = None,
    sections: Sequence[str] = RUNNABLE,
    epsilons: Sequence[float] | None = None,
    steps: int = 20,
    k: Sequence[int] | int = (10,),
    draws: int = 5,
    noise_rates: Sequence[float] = (0.05, 0.1),
    noise_seeds: Sequence[int] = (0, 1, 2),
    loss: Any = None,
    trained_against: Sequence[str] | None = None,
    split: str | None = None,
    selection: str | None = None,
    labels: Mapping[str, str] | None = None,
    limits: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> RobustnessReport:
    """Attacks a recommender, checks the attacks, and reports all of it.

    Sizes are multiples of the mean row length of the attacked tables (`epsilons`); the record also
    holds them as absolute numbers. The attacks' gradient is that of the summed loss over all
    training interactions, each with one uniform negative.

    Args:
        model: The recommender. Without trainable embedding tables it gets a clean row only.
        train: The training `Interactions` (masked in every ranking).
        test: The held-out `Interactions`, usually the test part.
        validation: The validation part; masked too. Selection belongs on it.
        twin: The undefended twin: same architecture, budget and seed, trained without adversary.
        baselines: Label -> fitted model. By default MostPopular, ItemKNN and EASE are fitted here
            with their own settings; `{}` for none. A random ranking is always there.
        rebuild: `(log, seed) -> trained model`; without it the sections that retrain say NOT RUN.
        sections: Out of `"embedding"`, `"noise"`.
        epsilons: Relative sizes, increasing; `0` is always there.
        steps: Steps of the iterative attack; its step size is `2.5 * epsilon / steps`.
        k: Cuts; the smallest leads.
        draws: Draws of the random noise control.
        noise_rates: Shares of training interactions that are dropped or flipped.
        noise_seeds: Training seeds of natural noise; at least three say something.
        loss: Loss whose gradient attacks, of labels 1, 0 and -1 (ignored) and scores, summed;
            `BayesianPersonalizedRanking` by default.
        trained_against: Class names of the perturbations met in training (`["FastGradient"]`, or
            `[]` for none), for the check that an unseen attack is in the set.
        split: How the log was split, in words.
        selection: How settings and epochs were chosen, in words.
        labels: `"model"` and `"twin"` -> names in tables and figures.
        limits: What a reader must not conclude, in words; by default what follows from the run.
        resamples: Resamples of the intervals over users.
        seed: Seed of triples, noise, controls and resampling (each recorded).
        progress: Called with a line before each longer step.

    Returns:
        A `RobustnessReport`.

    Raises:
        ValueError: If an argument makes no sense, or the logs do not fit.

    Reference:
        Carlini et al., On evaluating adversarial robustness, arXiv 1902.06705.
    """
    began, say = time.perf_counter(), progress or (lambda line: None)
    sizes = _checked_sizes(EPSILONS if epsilons is None else epsilons)
    _check_sections(sections)
    if draws < 1 or steps < 1:
        raise ValueError(f"draws and steps must be at least 1, got {draws} and {steps}")
    cuts = tuple(sorted({int(cut) for cut in np.atleast_1d(k)}))
    task = RankingTask(train, test, seen=[] if validation is None else [validation])
    evidence = Evidence(resamples=resamples, seed=seed)
    say("ranking the clean models")
    given = {"model": model} | ({} if twin is None else {"twin": twin})
    victims = [
        Victim(role, one, task, evidence, k=cuts, steps=steps, draws=draws, seed=seed)
        for role, one in given.items()
    ]
    names = _labels(victims, labels)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "models": {v.role: {"label": names[v.role], **facts.model_facts(v.model)} for v in victims},
        "data": facts.data_facts(train, validation, test),
        "split": facts.split_facts(train, test, split),
        "selection": facts.selection_facts(validation, selection),
        "mask": task.mask,
        "policy": victims[0].clean.policy,
        "users": task.counts,
        "k": list(cuts),
        "lead": victims[0].lead,
        **clean_quality(victims, task, baselines, train, seed, resamples, say),
    }
    done = {name: not_run(name) for name in TITLES}
    done["embedding"], attacked = embedding_section(
        victims,
        train,
        sections=sections,
        sizes=sizes,
        loss=loss or BayesianPersonalizedRanking(),
        trained_against=trained_against,
        seed=seed,
        say=say,
    )
    done["noise"] = _noise(
        train, task, rebuild, sections, cuts=cuts, rates=noise_rates, seeds=noise_seeds, say=say
    )
    counts = {
        verdict: sum(line["verdict"] == verdict for line in attacked["checks"])
        for verdict in ("PASS", "FAIL", "NOT RUN")
    }
    record |= attacked
    record |= {
        "poisoning": done["poisoning"],
        "natural": done["noise"],
        "sections": done,
        "threat_models": {
            name: one["threat_model"] for name, one in done.items() if one["status"] == "RUN"
        },
        "check_counts": counts,
        "attacks": hyperparameters(steps, draws, sizes, loss, len(train)),
        "seeds": {
            "triples": seed,
            "noise draws": [1000 * seed + draw for draw in range(draws)],
            "controls": seed,
            "bootstrap": seed,
            "natural noise and its training": list(noise_seeds),
            "training of the given models": "not known to the report",
        },
        "bootstrap": {"resamples": resamples, "level": 0.95, "unit": "user", "paired": True},
        "versions": facts.versions(),
        "limits": limits_in_words(done, counts, record["split"]) if limits is None else limits,
        "seconds": round(time.perf_counter() - began, 2),
    }
    return RobustnessReport(record)


def _checked_sizes(epsilons: Sequence[float]) -> tuple[float, ...]:
    sizes = tuple(float(size) for size in epsilons if size != 0)
    if not sizes or any(size < 0 or not np.isfinite(size) for size in sizes):
        raise ValueError(f"epsilons must be positive multiples of the mean norm, got {epsilons!r}")
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"epsilons must increase, got {epsilons!r}")
    return sizes


def _check_sections(sections: Sequence[str]) -> None:
    unknown = [name for name in sections if name not in RUNNABLE]
    if unknown or isinstance(sections, str):
        later = ", ".join(name for name in TITLES if name not in RUNNABLE)
        raise ValueError(
            f"unknown sections {unknown or sections!r}: this version runs {', '.join(RUNNABLE)} "
            f"(given as a tuple); {later} are listed as NOT RUN."
        )


def _labels(victims: list[Victim], labels: Mapping[str, str] | None) -> dict[str, str]:
    names = {victim.role: str(getattr(victim.model, "name", victim.role)) for victim in victims}
    names |= dict(labels or {})
    if len(victims) == 2 and names["model"] == names["twin"]:
        names["twin"] = f"{names['twin']} (undefended twin)"
    return names


def _noise(
    train: Any,
    task: RankingTask,
    rebuild: Any,
    sections: Sequence[str],
    *,
    cuts: tuple[int, ...],
    rates: Sequence[float],
    seeds: Sequence[int],
    say: Any,
) -> dict[str, Any]:
    if "noise" not in sections:
        return not_run("noise", "it was not asked for")
    if rebuild is None:
        return not_run("noise", "it trains again, and no `rebuild` was given")
    found = natural_noise.noise_section(
        train, task, rebuild, k=cuts, rates=rates, seeds=seeds, say=say
    )
    return section("noise", threat_model=natural_noise.THREAT_MODEL, **found)
