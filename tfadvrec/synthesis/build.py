"""Makes the report on a synthetic log: fidelity, utility, privacy."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from tfadvrec.data import Interactions
from tfadvrec.synthesis.copy_section import copy_check
from tfadvrec.synthesis.fidelity_section import fidelity
from tfadvrec.synthesis.membership_section import membership
from tfadvrec.synthesis.report import KIND, SCHEMA_VERSION, SynthesisReport
from tfadvrec.synthesis.shared_items import active_users, with_all_items, with_items
from tfadvrec.synthesis.utility_section import utility

SEEDS = {"fidelity": 0, "utility": 0, "privacy": 0}

LIMITS = (
    "Close columns and pairs do not make a log real: only the printed measures were taken, on one "
    "synthetic log; another draw or another training of the generator gives other figures. A ratio "
    "of utility holds for the printed models and this split. The copy check finds copies and "
    "nothing else. A membership attack that fails bounds nothing: a stronger attack, or one aimed "
    "at one person, may succeed, and with few non-members the intervals are wide. This is no "
    "statement about any law on personal data."
)
NO_PRIVACY = (
    "No differential privacy is claimed for this log: no epsilon and delta were stated, so nothing "
    "bounds what it says about a person."
)


def synthesis_report(
    real: Interactions,
    synthetic: Interactions,
    *,
    train: Interactions | None = None,
    test: Interactions | None = None,
    validation: Interactions | None = None,
    holdout: Interactions | None = None,
    rebuild: Callable[[Interactions, int], Interactions] | None = None,
    models: Sequence[str] | Mapping[str, Callable[[Interactions], Any]] = ("EASE",),
    shadows: int = 16,
    repeats: int = 5,
    resamples: int = 1000,
    seeds: Mapping[str, int] | None = None,
    generator: str | None = None,
    differential_privacy: str | None = None,
    limits: str | None = None,
) -> SynthesisReport:
    """Measures a synthetic log against the real one.

    Args:
        real: What the generator learnt from.
        synthetic: What it made: other users, the same items (by id).
        train: Training histories of the users who are ranked for; `real` by default.
        test: Their held-out interactions; without them there is no utility section.
        validation: Held-out interactions that the ranking models' settings are chosen on.
        holdout: Real users of the same population whom the generator has not seen; without them
            there is no membership inference, and the copy check has nothing to compare with.
        rebuild: `(log, seed)` -> the synthetic log of the same generator trained on `log`, for
            shadow models.
        models: As in `synthesis.utility`.
        shadows: How often `rebuild` is called.
        repeats: Random halvings of the real users in the fidelity section.
        resamples: Resamples of the bootstrap over users.
        seeds: Seeds of `fidelity`, `utility` and `privacy`; 0 by default.
        generator: What made the log, in words.
        differential_privacy: The statement, if one holds: epsilon, delta, unit, cap on
            interactions per user, adjacency, sampling that was used, accountant and version,
            clipping norm, noise multiplier, steps, whether the search of settings was charged, and
            whether vocabularies and counts are public.
        limits: What a reader must not conclude; a default text when not given.

    Returns:
        A `SynthesisReport`.

    Raises:
        DataError: When the synthetic log has items that the real one does not know.
        ValueError: When a user is in the real log and in the holdout.

    Example:

    >>> from tfadvrec.data import synthetic
    >>> log = synthetic(60, 40, n_interactions=900)
    >>> report = synthesis_report(log, log, repeats=2)
    >>> report.to_dict()["copy_check"]["against"]["train"]["exact profiles"]
    1.0
    """
    used = _seeds(seeds)
    others = (synthetic, train, test, validation, holdout)
    real = with_all_items(real, [log for log in others[1:] if log is not None])
    synthetic, train, test, validation, holdout = (
        None if log is None else with_items(log, real) for log in others
    )
    record = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "generator": generator or synthetic.origin,
        "data": _data(real, synthetic, train, validation, test, holdout),
        "seeds": used,
        "settings": {
            "shadows": shadows if rebuild else 0,
            "repeats": repeats,
            "resamples": resamples,
        },
        "fidelity": fidelity(real, synthetic, repeats=repeats, seed=used["fidelity"]),
        "utility": _not_run("no test interactions were given"),
        "copy_check": copy_check(synthetic, real, holdout, seed=used["privacy"]),
        "membership": _not_run("no holdout users were given, so there are no non-members"),
        "differential_privacy": differential_privacy or NO_PRIVACY,
        "limits": LIMITS if limits is None else limits,
        "versions": _versions(),
    }
    if test is not None:
        record["utility"] = utility(
            real if train is None else train,
            synthetic,
            test,
            validation=validation,
            models=models,
            resamples=resamples,
            seed=used["utility"],
        )
    if holdout is not None:
        record["membership"] = membership(
            synthetic, real, holdout, rebuild=rebuild, shadows=shadows, seed=used["privacy"]
        )
    return SynthesisReport(record)


def _seeds(given: Mapping[str, int] | None) -> dict[str, int]:
    used = {**SEEDS, **(given or {})}
    if set(used) != set(SEEDS):
        raise ValueError(f"seeds: expected {', '.join(SEEDS)}, got {sorted(used)}.")
    return used


def _not_run(reason: str) -> dict[str, str]:
    return {"status": "NOT RUN", "reason": reason}


def _data(real: Interactions, synthetic: Interactions, *others: Interactions | None) -> dict:
    names = ("train", "validation", "test", "holdout")
    logs = {"real": real, "synthetic": synthetic, **dict(zip(names, others, strict=True))}
    return {
        name: {
            "name": log.name,
            "origin": log.origin,
            "real": log.real,
            "interactions": len(log),
            "users": len(active_users(log)),
            "items": log.n_items,
            "fingerprint": log.fingerprint(),
        }
        for name, log in logs.items()
        if log is not None
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("tfadvrec", "tensorflow", "keras", "numpy", "scipy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found
