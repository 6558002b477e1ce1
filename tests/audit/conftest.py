"""Fixtures of the audit's tests: one small report, made once."""

import importlib.util
from pathlib import Path

import pytest


def _cases():
    spec = importlib.util.spec_from_file_location(
        "audit_cases", Path(__file__).with_name("audit_cases.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cases():
    """The module `audit_cases`."""
    return _cases()


@pytest.fixture(scope="session")
def report(cases):
    """A report with a twin, baselines and natural noise."""
    from tfadvrec.audit import robustness_report

    train, test = cases.world()
    rebuilt = []

    def rebuild(log, seed):
        rebuilt.append((len(log), seed))
        return cases.factorised(log, seed=seed)

    made = robustness_report(
        cases.factorised(train, name="robust"),
        train,
        test,
        twin=cases.factorised(train, noise=0.1, seed=1, name="plain"),
        labels={"twin": "<b>twin|$x$"},
        rebuild=rebuild,
        epsilons=(0.2, 0.5, 1.0, 2.0),
        steps=4,
        k=(5, 10),
        draws=3,
        noise_rates=(0.2,),
        noise_seeds=(0, 1),
        resamples=200,
        trained_against=["FastGradient"],
        split="leave one out",
    )
    assert rebuilt == [(384, 0), (384, 1), (307, 0), (307, 1), (384, 0), (384, 1)]
    return made
