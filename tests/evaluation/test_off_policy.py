"""What another policy would have earned: a toy whose answer is known, and a real log's smoke."""

import numpy as np
import pytest

from tfadvrec.data import ClickLog
from tfadvrec.evaluation import off_policy_value

RATES = np.array([[0.1, 0.4, 0.7], [0.6, 0.2, 0.1]])  # context, action -> reward
LOGGED = np.array([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4]])
WANTED = np.array([[0.0, 0.2, 0.8], [0.9, 0.1, 0.0]])
TRUTH = float((WANTED * RATES).sum(axis=1).mean())


def logged(count, seed):
    rng = np.random.default_rng(seed)
    context = np.arange(count) % 2
    action = (rng.random(count)[:, None] > LOGGED[context].cumsum(axis=1)).sum(axis=1)
    reward = (rng.random(count) < RATES[context, action]).astype(float)
    return context, action, reward, LOGGED[context, action]


def estimated(count, seed, model=RATES, propensity=None):
    context, action, reward, shown = logged(count, seed)
    shown = shown if propensity is None else propensity[context, action]
    return off_policy_value(reward, shown, WANTED[context], action=action, predicted=model[context])


def test_every_estimate_finds_the_known_value():
    result = estimated(40_000, 0)
    for name in ("ips", "snips", "dr"):
        assert result.means[name] == pytest.approx(TRUTH, abs=0.02)
        low, high = result.interval(name, resamples=300)
        assert low < TRUTH < high
    assert result.means["logged"] < TRUTH - 0.2
    assert result.facts["mean_weight"] == pytest.approx(1.0, abs=0.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    found = {"ips": 0, "snips": 0, "dr": 0}
    for seed in range(60):
        result = estimated(600, 100 + seed)
        for name in found:
            low, high = result.interval(name, resamples=200)
            found[name] += low < TRUTH < high
    assert min(found.values()) >= 51  # of 57 expected


def test_the_doubly_robust_estimate_needs_one_of_the_two_to_be_right():
    nonsense = np.full_like(RATES, 0.9)
    assert estimated(40_000, 1, model=nonsense).means["dr"] == pytest.approx(TRUTH, abs=0.03)
    uniform = np.full_like(LOGGED, 1 / 3)
    wrong = estimated(40_000, 1, propensity=uniform)
    assert wrong.means["dr"] == pytest.approx(TRUTH, abs=0.02)
    assert abs(wrong.means["ips"] - TRUTH) > 0.05


def test_a_good_model_lowers_the_variance():
    spread = {
        name: np.std([estimated(500, seed).means[name] for seed in range(40)])
        for name in ("ips", "snips", "dr")
    }
    assert spread["dr"] < spread["snips"] < spread["ips"]


def test_the_logging_policy_itself_earns_what_was_logged():
    context, action, reward, shown = logged(100, 3)
    result = off_policy_value(reward, shown, LOGGED[context], action=action)
    assert result.means == pytest.approx(dict.fromkeys(("logged", "ips", "snips"), reward.mean()))
    assert result.facts["effective_sample_size"] == pytest.approx(100)
    same = off_policy_value(reward, shown, shown)
    assert same.means == result.means


def test_a_clip_bounds_the_weights():
    context, action, reward, shown = logged(200, 4)
    result = off_policy_value(reward, shown, WANTED[context], action=action, clip=2.0)
    assert result.facts["largest_weight"] == 2.0


def test_what_cannot_be_meant_is_refused_with_its_rows():
    reward, shown, policy = [1, 0], [0.5, 0.5], [[0.5, 0.5]] * 2
    with pytest.raises(ValueError, match="propensity outside"):
        off_policy_value(reward, [0.5, 0.0], policy, action=[0, 1])
    with pytest.raises(ValueError, match=r"does not add up to 1 in 1 rows \(row 1"):
        off_policy_value(reward, shown, [[0.5, 0.5], [0.5, 0.6]], action=[0, 1])
    with pytest.raises(ValueError, match="action has no column in 1 rows"):
        off_policy_value(reward, shown, policy, action=[0, 2])
    with pytest.raises(ValueError, match="action= must be integers"):
        off_policy_value(reward, shown, policy)
    with pytest.raises(ValueError, match="reward is not finite in 1 rows"):
        off_policy_value([1, np.nan], shown, policy, action=[0, 1])
    with pytest.raises(ValueError, match="predicted is not finite in 1 rows"):
        off_policy_value(reward, shown, policy, action=[0, 1], predicted=[[1, 2], [np.nan, 0]])
    with pytest.raises(ValueError, match="clip must be above 0"):
        off_policy_value(reward, shown, policy, action=[0, 1], clip=0)
    with pytest.raises(ValueError, match="owner must have shape"):
        off_policy_value(reward, shown, policy, action=[0, 1], owner=[1])
    with pytest.raises(ValueError, match="probabilities of all actions"):
        off_policy_value(reward, shown, [0.5, 0.5], predicted=[[0.1, 0.2]] * 2)


def test_open_bandit_smoke(benchmark_data):
    """Ten thousand impressions with a few dozen clicks prove that it runs, and no more."""
    folder = benchmark_data / "obd-men"
    logs = {
        policy: ClickLog.from_csv(
            folder / policy / "men.csv",
            label="click",
            fields=["item_id", "position", *(f"user_feature_{n}" for n in range(4))],
            propensity="propensity_score",
            action="item_id",
        )
        for policy in ("random", "bts")
    }
    random = logs["random"]
    actions = random.values["item_id"]
    assert (len(random), len(actions)) == (10_000, 34)
    uniform = np.full((len(random), len(actions)), 1 / len(actions))
    result = off_policy_value(
        random.label, random.propensity, uniform, action=random.codes["item_id"]
    )
    assert result.means["ips"] == pytest.approx(random.label.mean(), rel=1e-3)
    # the Thompson policy's mean share of each item, whatever the context
    shown = logs["bts"].codes["item_id"]
    share = np.bincount(shown, minlength=len(actions)) / len(shown)
    other = off_policy_value(random.label, random.propensity, share[random.codes["item_id"]])
    low, high = other.interval("snips", resamples=200)
    assert 0 < low < other.means["snips"] < high < 0.05
    assert 30 < random.label.sum() + logs["bts"].label.sum() < 200
