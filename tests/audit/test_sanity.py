"""The sanity box catches the faults that it is there for."""

import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.audit import robustness_report
from tfadvrec.audit.evidence import Evidence
from tfadvrec.audit.natural_noise import noisy
from tfadvrec.audit.sanity_model import model_checks
from tfadvrec.audit.triples import training_triples
from tfadvrec.audit.victim import Victim
from tfadvrec.evaluation import RankingTask
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import Recurrent


def verdicts(report):
    return {line["check"]: line["verdict"] for line in report.to_dict()["checks"]}


def test_a_plain_model_passes_what_it_should(report):
    found = verdicts(report)
    for name in (
        "Zero, NaN or infinite gradients",
        "Deterministic forward pass",
        "Logits, not probabilities",
        "No optimisation inside inference",
        "Attack works on the undefended twin",
        "Iterative at least as strong as single step",
        "Random noise of the same norm hurts less",
        "Gradient-free attack is weaker",
        "An attack absent from training",
        "Worst case per user",
    ):
        assert found[name] == "PASS", (name, report.to_dict()["checks"])
    assert len(found) == 15
    assert sum(report.counts.values()) == 15


def box_of(cases, change):
    train, test = cases.world()
    model = cases.factorised(train)
    change(model)
    return checked(model, train, test)


def checked(model, train, test):
    victim = Victim("model", model, RankingTask(train, test), Evidence(), k=(5,))
    victim.prepare(training_triples(train), BayesianPersonalizedRanking())
    return {check.name: check for check in model_checks(victim)}


def test_unusable_gradients_fail(cases):
    def stop(model):
        call = model.call
        model.call = lambda inputs, training=None: tf.stop_gradient(call(inputs))

    check = box_of(cases, stop)["Zero, NaN or infinite gradients"]
    assert check.verdict == "FAIL"
    assert "48 of 48 rows" in check.detail


def test_a_random_forward_pass_fails(cases):
    def shake(model):
        score = model.score_catalogue
        model.score_catalogue = lambda users: score(users) + tf.random.normal([30])

    assert box_of(cases, shake)["Deterministic forward pass"].verdict == "FAIL"


def test_probabilities_fail(cases):
    def squash(model):
        score = model.score_catalogue
        model.score_catalogue = lambda users: tf.sigmoid(score(users))

    assert box_of(cases, squash)["Logits, not probabilities"].verdict == "FAIL"


def test_optimisation_inside_inference_fails(cases):
    def loop(model):
        score = model.score_catalogue

        def climb(users):
            return tf.while_loop(
                lambda s: tf.reduce_max(s) < 0, lambda s: (s + 1,), (score(users),)
            )[0]

        model.score_catalogue = climb

    assert box_of(cases, loop)["No optimisation inside inference"].verdict == "FAIL"


def test_the_loop_of_a_recurrent_layer_is_no_finding_and_no_pass(cases):
    train, test = cases.world()
    rows = {"n_users": train.n_users, "n_items": train.n_items}
    model = Recurrent(**rows, dimension=4, length=3, seed=0).bind(train)
    line = checked(model, train, test)["No optimisation inside inference"]
    assert line.verdict == "NOT RUN"
    assert "recurrent" in line.detail


def test_masked_gradients_are_called_masked(cases):
    """A model whose training scores carry no gradient looks robust; the box must not believe it."""
    train, test = cases.world()
    model = cases.factorised(train)
    call = model.call

    def hidden(inputs, training=None):
        return tf.stop_gradient(call(inputs)) + 1e-20 * call(inputs)

    model.call = hidden
    made = robustness_report(
        model, train, test, baselines={}, epsilons=(0.5, 1.0), steps=3, draws=2, resamples=50, k=5
    )
    found = verdicts(made)
    assert found["Zero, NaN or infinite gradients"] == "FAIL"
    assert found["Gradient masking"] == "FAIL"


@pytest.mark.parametrize("kind", ["dropped", "flipped"])
def test_noise_changes_the_stated_share(cases, kind):
    train, _ = cases.world()
    changed = noisy(train, kind, 0.25, seed=3)
    if kind == "dropped":
        assert len(changed) == 288
    else:
        moved = changed.item != train.item
        assert moved.sum() == 96
        assert not train.csr().toarray()[changed.user[moved], changed.item[moved]].any()
    assert np.array_equal(noisy(train, kind, 0.25, seed=3).item, changed.item)
