"""The report's attacks are the package's attacks, and leave no trace."""

import numpy as np
import pytest

from tfadvrec import adversary
from tfadvrec.audit.attacker import Attacker
from tfadvrec.audit.evidence import Evidence
from tfadvrec.audit.spsa import spsa
from tfadvrec.audit.triples import other_items, training_triples
from tfadvrec.audit.victim import Victim
from tfadvrec.evaluation import RankingTask
from tfadvrec.losses import BayesianPersonalizedRanking


def attacker_of(cases, **options):
    train, _ = cases.world()
    model = cases.factorised(train, **options)
    batches = training_triples(train, batch_size=100)
    tables = [model.user_embedding.embeddings, model.item_embedding.embeddings]
    return Attacker(model, batches, BayesianPersonalizedRanking(), variables=tables), batches


@pytest.mark.parametrize(
    "perturbation",
    [
        adversary.FastGradient(0.3),
        adversary.ProjectedGradient(0.3, steps=4),
        adversary.RandomNoise(0.3),
    ],
    ids=repr,
)
def test_agrees_with_the_public_attack(cases, perturbation):
    attacker, batches = attacker_of(cases)
    found, _ = attacker.attack(perturbation, seed=3)
    expected = adversary.attack(attacker.model, batches, perturbation, seed=3)
    assert found.keys() == expected.keys()
    for path in expected:
        np.testing.assert_allclose(found[path], expected[path], atol=1e-5)


def test_tables_are_restored_bit_for_bit(cases):
    attacker, _ = attacker_of(cases)
    before = [weight.numpy().tobytes() for weight in attacker.model.weights]
    deltas, losses = attacker.attack(adversary.ProjectedGradient(0.5, steps=3))
    with attacker.moved(deltas):
        assert attacker.model.weights[0].numpy().tobytes() != before[0]
    assert [weight.numpy().tobytes() for weight in attacker.model.weights] == before
    with pytest.raises(ZeroDivisionError), attacker.moved(deltas):
        _ = 1 / 0
    assert [weight.numpy().tobytes() for weight in attacker.model.weights] == before
    assert losses == sorted(losses)


def test_longer_tables_meet_the_same_attack(cases):
    """EVALUATION 2.2: tables ten times longer leave the curve over relative sizes unchanged."""
    train, test = cases.world()
    task, batches = RankingTask(train, test), training_triples(train)
    values = []
    for scale in (1.0, 10.0):
        victim = Victim(
            "model", cases.factorised(train, scale=scale), task, Evidence(), k=(5,), steps=5
        )
        victim.prepare(batches, BayesianPersonalizedRanking())
        for size in (0.3, 0.6, 1.2):
            for attack in ("random noise", "fast gradient", "projected gradient"):
                victim.run(attack, size)
        values.append(victim.evidence.columns)
    for key, column in values[0].items():
        np.testing.assert_allclose(values[1][key], column, atol=1e-6, err_msg=str(key))
    assert values[0]["model", "projected gradient", 1.2, "ndcg@5"].mean() < 0.5


def test_triples_cover_every_interaction_once(cases):
    train, _ = cases.world()
    batches = training_triples(train, batch_size=100, seed=1)
    assert {batch[1].shape for batch in batches} == {(96, 2)}
    user = np.concatenate([x["user_id"] for x, _ in batches])
    item = np.concatenate([x["item_id"] for x, _ in batches])
    label = np.concatenate([y for _, y in batches])
    real = label[:, 0] == 1
    assert sorted(zip(user[real], item[real, 0], strict=True)) == sorted(
        zip(train.user, train.item, strict=True)
    )
    assert not train.csr().toarray()[user[real], item[real, 1]].any()


def test_padding_changes_nothing(cases):
    train, _ = cases.world()
    model = cases.factorised(train)
    tables = [model.user_embedding.embeddings, model.item_embedding.embeddings]
    padded, whole = (
        Attacker(
            model,
            training_triples(train, batch_size=size),
            BayesianPersonalizedRanking(),
            variables=tables,
        )
        for size in (50, 10_000)
    )
    assert padded.gradient()[0] == pytest.approx(whole.gradient()[0], rel=1e-5)
    assert padded.scale == pytest.approx(whole.scale, rel=1e-5)


def test_a_user_with_every_item_still_gets_a_negative(cases):
    train, _ = cases.world()
    full = train.replace(user=np.zeros(30, int), item=np.arange(30))
    drawn = other_items(full, np.zeros(5, np.int64), np.random.default_rng(0))
    assert drawn.shape == (5,)


def test_spsa_climbs_and_stays_in_its_ball(cases):
    attacker, _ = attacker_of(cases)
    deltas, queries = spsa(attacker, 0.4, steps=6, directions=8)
    assert queries == 96
    for delta in deltas.values():
        assert np.linalg.norm(delta, axis=1).max() <= 0.4 + 1e-5
    clean = attacker.gradient(attacker.scale, batches=1)[0]
    with attacker.moved(deltas):
        assert attacker.gradient(attacker.scale, batches=1)[0] > clean
