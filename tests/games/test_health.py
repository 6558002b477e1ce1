"""Health of games: signals by hand, games made to fall ill, and what is done about it."""

import json
import math
import warnings

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse, stats
from scipy.spatial.distance import jensenshannon

from tests.games.ring_game import RingGame, observed, ring
from tfadvrec import data
from tfadvrec.games import losses
from tfadvrec.games.health import (
    AdaptiveBalance,
    HealthMonitor,
    HealthReport,
    HealthWarning,
    Limit,
    Observation,
    measure,
)
from tfadvrec.games.health import signals as s
from tfadvrec.games.health.snapshot import Snapshot, state_of
from tfadvrec.games.health.streaks import Streaks
from tfadvrec.games.health.training_signals import TrainingSignals

REAL = observed(ring(500, seed=9))
NO_ACCURACY = {"accuracy_least": None}
ONLY_DUPLICATES = dict.fromkeys(("coverage", "gini", "entropy", "accuracy_least"))


def compiled(generator=1e-3, discriminator=1e-3, **settings):
    made = RingGame(width=8)
    averaging = keras.optimizers.Adam(generator, use_ema=True, ema_momentum=0.9)
    made.compile(averaging, keras.optimizers.Adam(discriminator), jit_compile=False, **settings)
    return made


@pytest.fixture(scope="module")
def traced():
    """One game whose step is traced once, and its state before the first step."""
    made = compiled(instance_noise=0.0)
    made.build_on({"x": ring(32)})
    return made, Snapshot(made)


@pytest.fixture
def game(traced):
    """A game as on the first day: `game(sight=0.0)` is one whose generator ignores its noise."""
    made, start = traced

    def begin(generator=1e-3, discriminator=1e-3, sight=1.0, steps=1):
        start.restore(made)
        made.generator_optimizer.learning_rate = generator
        made.optimizer.learning_rate = discriminator
        made.sight.assign(sight)
        made.discriminator_steps.assign(steps)
        return made

    return begin


def train(made, *callbacks, epochs=8):
    batches = data.rows({"x": ring(3 * 32)}, batch_size=32)
    return made.fit(batches, epochs=epochs, verbose=0, callbacks=list(callbacks))


class At(keras.callbacks.Callback):
    """Does something to the model when an epoch, or a batch of it, begins or ends."""

    def __init__(self, what, *, begin=None, end=None, batch=None):
        super().__init__()
        self.what, self.begin, self.end, self.batch, self.epoch = what, begin, end, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.batch is None and self.begin == epoch:
            self.what(self.model)

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.begin, self.batch):
            self.what(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self.end == "every":
            self.what(epoch, self.model)


def states(into):
    def copy(epoch, model):
        into[epoch] = {id(v): v.numpy().copy() for v in state_of(model)}

    return At(copy, end="every")


# -- signals ----------------------------------------------------------------------------------


def test_gini_is_half_the_relative_mean_difference():
    counts = np.random.default_rng(0).integers(0, 50, 30)
    by_hand = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert s.gini(counts) == pytest.approx(by_hand)


def test_entropy_agrees_with_scipy():
    counts = np.random.default_rng(1).integers(0, 50, 30)
    assert s.entropy(counts) == pytest.approx(stats.entropy(counts))


def test_kolmogorov_smirnov_agrees_with_scipy_with_ties_too():
    rng = np.random.default_rng(2)
    for decimals in (0, 6):
        a, b = rng.normal(0, 1, 200).round(decimals), rng.normal(0.3, 2, 150).round(decimals)
        assert s.number_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_jensen_shannon_agrees_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, 200), rng.integers(2, 9, 150)
    p, q = (np.bincount(x, minlength=9) / len(x) for x in (a, b))
    assert s.category_distance(a, b) == pytest.approx(jensenshannon(p, q, base=2))
    assert s.category_distance(a, a) == 0.0
    assert s.category_distance(a.astype(str), b.astype(str)) == s.category_distance(a, b)


def test_sparse_and_dense_duplicates_are_the_same():
    rows = np.random.default_rng(4).integers(0, 2, (60, 4)) * 1.0
    by_hand = 1 - len({tuple(row) for row in rows}) / 60
    assert s.duplicate_rate(rows) == s.duplicate_rate(sparse.csr_matrix(rows)) == by_hand > 0
    stored_zeros = sparse.csr_matrix(rows)
    stored_zeros.data[:] = 0
    assert s.duplicate_rate(stored_zeros) == pytest.approx(59 / 60)


def test_a_larger_sample_has_no_better_coverage():
    rng = np.random.default_rng(5)
    real = Observation(items=rng.integers(0, 1000, 300), n_items=1000)
    fake = Observation(items=rng.integers(0, 1000, 30_000), n_items=1000)
    found = measure(fake, real)
    # uncut, the large sample would cover nearly four times as many items
    assert found["coverage"] == pytest.approx(1.0, abs=0.1)
    assert found["entropy"] == pytest.approx(1.0, abs=0.02)
    assert found["gini"] == pytest.approx(0.0, abs=0.05)


def test_measure_by_hand():
    fake = Observation(
        items=np.array([0, 0, 0, 1]),
        profiles=np.array([[1, 0, 0, 0], [1, 0, 0, 0]]),
        columns={"hour": np.array([1, 1, 2, 2]), "gap": np.array([0.0, 0.0, 1.0, 1.0])},
        n_items=4,
    )
    real = Observation(
        items=np.array([0, 1, 2, 2]),
        profiles=sparse.csr_matrix([[1, 0, 0, 0], [0, 1, 0, 0]]),
        columns={"hour": np.array([1, 1, 2, 2]), "gap": np.array([0.0, 1.0, 1.0, 1.0])},
        n_items=4,
    )
    found = measure(fake, real)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["entropy"] == pytest.approx(stats.entropy([3, 1]) / stats.entropy([1, 1, 2]))
    assert found["gini"] == pytest.approx(0.625 - 0.375)
    assert found["duplicates"] == 0.5
    assert found["distance_hour"] == 0.0
    assert found["column_distance"] == found["distance_gap"] == 0.25


def test_rows_of_columns_stand_for_profiles_where_there_are_none():
    fake = Observation(columns={"a": np.array(["x", "x"]), "b": np.array([1, 1])})
    real = Observation(columns={"a": np.array(["x", "x"]), "b": np.array([1, 2])})
    assert measure(fake, real)["duplicates"] == 0.5


def test_a_generator_of_nothing_covers_nothing():
    none = Observation(profiles=np.zeros((3, 4)), n_items=4)
    found = measure(none, Observation(profiles=np.eye(3, 4), n_items=4))
    assert (found["coverage"], found["entropy"]) == (0.0, 0.0)


# -- observations -----------------------------------------------------------------------------


def test_a_real_sample_has_the_parts_and_sizes_of_the_fake_one(blocks_log):
    log = blocks_log.replace(rating=np.full(len(blocks_log), 4.0, np.float32))
    like = Observation(
        items=np.zeros(50, int),
        profiles=np.zeros((7, 20)),
        columns={"rating": np.zeros(50), "hour": np.zeros(50), "weekday": np.zeros(50)},
        n_items=20,
    )
    real = Observation.of_log(log, like)
    assert len(real.items) == 50
    assert real.profiles.shape == (7, 20)
    assert set(real.profiles.data) == {1.0}
    assert set(np.unique(real.columns["rating"])) == {4.0}
    assert set(real.columns["weekday"]) == {3}  # the log's seconds are of a Thursday
    assert np.array_equal(real.items, Observation.of_log(log, like).items)
    rated = Observation(profiles=np.full((30, 20), 2.5), side="item")
    by_item = Observation.of_log(log, rated)
    assert by_item.profiles.shape == (20, 20)
    assert set(by_item.profiles.data) == {4.0}
    with pytest.raises(ValueError, match="no column 'mood'"):
        Observation.of_log(log, Observation(columns={"mood": np.zeros(3)}))


def test_scores_become_profiles_of_given_lengths():
    scores = np.array([[0.1, 0.3, 0.2], [0.5, 0.5, -np.inf], [1.0, 2.0, 3.0]])
    made = Observation.of_scores(scores, [1, 3, 2])
    assert made.profiles.toarray().tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert made.counts.tolist() == [1, 3, 1]


def test_wrong_observations_are_refused():
    with pytest.raises(ValueError, match="n_items"):
        Observation(items=np.array([1]))
    with pytest.raises(ValueError, match=r"0\.\.3, got"):
        Observation(items=np.array([4]), n_items=4)
    with pytest.raises(ValueError, match="as wide as the catalogue"):
        Observation(profiles=np.zeros((2, 3)), n_items=4)
    with pytest.raises(ValueError, match="one length"):
        Observation(columns={"a": np.zeros(2), "b": np.zeros(3)})
    assert not Observation(columns={"a": np.array([np.nan])}).finite()


# -- limits -----------------------------------------------------------------------------------


def test_three_breaches_in_a_row_are_told_once():
    streaks = Streaks({"coverage": Limit(warn_below=0.5, act_below=0.2)}, patience=3)
    told = [streaks.update({"coverage": v}) for v in (0.4, 0.4, 0.6, 0.4, 0.4, 0.4, 0.4)]
    assert [len(each) for each in told] == [0, 0, 0, 0, 0, 1, 0]
    assert told[5][0].level == 1
    worse = [streaks.update({"coverage": 0.1}) for _ in range(4)]
    assert [[b.level for b in each] for each in worse] == [[], [], [2], [2]]
    assert [b.fresh for each in worse for b in each] == [True, False]


def test_chance_is_called_dead_where_diversity_is_lost():
    streaks = Streaks({"coverage": Limit(act_below=0.2, low="collapse")}, patience=1)
    values = {"coverage": 0.1, "accuracy_real": 0.5, "accuracy_fake": 0.51}
    assert "dead" in streaks.update(values)[0].meaning
    assert "dead" not in streaks.update({**values, "accuracy_fake": 0.9})[0].meaning


def test_limits_can_be_changed_and_are_checked():
    limits = HealthMonitor(limits={"gini": None, "coverage": {"act_below": 0.4}}).limits
    assert "gini" not in limits
    assert (limits["coverage"].warn_below, limits["coverage"].act_below) == (0.5, 0.4)
    with pytest.raises(ValueError, match="further out"):
        Limit(warn_above=0.5, act_above=0.4)
    with pytest.raises(ValueError, match="none of 'warn', 'rollback', 'stop'"):
        HealthMonitor(action="pray")
    with pytest.raises(TypeError, match="expected the real Interactions"):
        HealthMonitor([1, 2])


# -- games made to fall ill -------------------------------------------------------------------


def test_a_generator_that_ignores_its_noise_is_stopped(game, tmp_path):
    ill, folder = game(sight=0.0), tmp_path / "out"
    monitor = HealthMonitor(REAL, action="stop", warm_up=1, limits=NO_ACCURACY, folder=folder)
    with pytest.warns(HealthWarning, match="collapse"):
        history = train(ill, monitor).history
    # one epoch of warm-up, and three breaches
    assert len(history["generator_loss"]) == 4
    assert history["health_action"] == [0, 0, 0, 3]
    assert history["health_coverage"][-1] == pytest.approx(1 / 8)
    assert history["health_duplicates"][-1] > 0.9
    saved = HealthReport.load(tmp_path / "out")
    assert saved.status == "stopped"
    assert saved.to_dict() == monitor.report.to_dict()


def test_a_warning_leaves_the_training_alone(game):
    ill = game(sight=0.0)
    with pytest.warns(HealthWarning) as told:
        history = train(ill, HealthMonitor(REAL, warm_up=0), epochs=5).history
    watched = ill.get_weights()
    alone = train(game(sight=0.0), epochs=5).model.get_weights()
    assert len(history["generator_loss"]) == 5
    grave = [str(w.message) for w in told if "duplicates" in str(w.message)]
    assert len(grave) == 1  # told once, not at every epoch
    for one, other in zip(watched, alone, strict=True):
        assert np.array_equal(one, other)


def test_a_collapse_is_rolled_back_to_the_last_healthy_epoch(game):
    ill, before, after = game(), {}, {}
    blind = At(lambda model: model.sight.assign(0.0), begin=3)
    monitor = HealthMonitor(REAL, action="rollback", warm_up=0, limits=ONLY_DUPLICATES)
    with pytest.warns(HealthWarning, match="back to epoch 2"):
        history = train(ill, blind, states(before), monitor, states(after), epochs=9).history
    assert history["health_action"] == [0, 0, 0, 0, 0, 2, 0, 0, 0]
    rates = [ill.generator_optimizer, ill.optimizer]
    halved = {id(o._learning_rate) for o in rates}
    slots = {id(v) for o in rates for v in o.variables if len(v.shape)}
    assert len(slots) == 5 * 6  # two moments of both sides and the generator's averages
    assert {id(v) for v in ill.generator.weights} < set(before[2])
    for key, healthy in before[2].items():
        share = 0.5 if key in halved else 1.0
        assert np.array_equal(after[5][key], share * healthy)
        assert key not in slots or np.abs(healthy).max() > 0
    changed = [k for k in slots if not np.array_equal(before[5][k], before[2][k])]
    assert len(changed) > len(slots) / 2
    assert history["health_duplicates"][-1] == pytest.approx(0.0, abs=0.01)  # it sees again
    assert monitor.report.status == "rolled back"


def test_the_third_collapse_stops_at_the_last_healthy_state(game):
    ill, after = game(sight=0.0), {}
    start = {id(v): v.numpy() for v in ill.generator.weights}
    monitor = HealthMonitor(REAL, action="rollback", warm_up=0, patience=1, limits=NO_ACCURACY)
    with pytest.warns(HealthWarning) as told:
        history = train(ill, monitor, states(after)).history
    assert "training stops after 2 rollbacks" in str(told[-1].message)
    assert history["health_action"] == [2, 2, 3]
    assert float(ill.optimizer.learning_rate) == pytest.approx(2.5e-4)
    assert float(ill.generator_optimizer.learning_rate) == pytest.approx(2.5e-4)
    assert all(np.array_equal(after[2][key], value) for key, value in start.items())


def test_an_exploding_learning_rate_is_stopped_at_once(game):
    def explode(model):
        model.generator_optimizer.learning_rate = 1e38

    ill = game()
    monitor = HealthMonitor(action="stop")
    with pytest.warns(HealthWarning, match="numerical failure"):
        history = train(ill, At(explode, begin=2), monitor).history
    assert len(history["generator_loss"]) == 3
    event = monitor.report.events[-1]
    assert (event["signal"], event["action"], event["epoch"]) == ("not_finite", "stop", 2)
    assert event["batch"] < 3
    assert not math.isfinite(monitor.report.curve("generator_loss")[1][-1])
    json.loads(monitor.report.to_json(), parse_constant=pytest.fail)


def test_a_failure_within_an_epoch_is_rolled_back_within_it(game):
    def poison(model):
        kernel = model.discriminator.weights[0]
        kernel.assign(np.full(kernel.shape, np.nan))

    ill = game()
    monitor = HealthMonitor(REAL, action="rollback", limits=ONLY_DUPLICATES)
    with pytest.warns(HealthWarning, match="back to epoch 1"):
        history = train(ill, At(poison, begin=2, batch=1), monitor, epochs=4).history
    assert [event["batch"] for event in monitor.report.events] == [2]
    assert history["health_action"] == [0, 0, 2, 0]
    assert np.isfinite(history["discriminator_loss"]).all()
    assert all(np.isfinite(v).all() for v in ill.weights)


def test_a_discriminator_far_too_strong_is_told(game):
    ill = game(generator=1e-9, discriminator=0.05, sight=0.0)
    monitor = HealthMonitor(action="stop", warm_up=5, limits={"gradient_ratio": None})
    with pytest.warns(HealthWarning, match="too strong"):
        history = train(ill, monitor, epochs=30).history
    assert len(history["accuracy_fake"]) < 30
    event = monitor.report.events[-1]
    assert (event["signal"], event["action"]) == ("accuracy_least", "stop")


def test_a_gradient_that_vanishes_is_told(game):
    def still(model):
        model.discriminator.layers[-1].kernel.assign(np.zeros((8, 1)))

    ill = game(discriminator=0.0)
    with pytest.warns(HealthWarning, match="gradient vanishes"):
        train(ill, At(still, begin=4), HealthMonitor(limits=NO_ACCURACY))


def test_rollback_refuses_a_schedule():
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    monitor = HealthMonitor(action="rollback")
    monitor.set_model(compiled(discriminator=rate))
    with pytest.raises(ValueError, match="schedule sets that of the discriminator"):
        monitor.on_train_begin()


def test_values_are_written_to_history_report_and_tensorboard(game, tmp_path):
    fine = game()
    monitor = HealthMonitor(REAL, every=2, warm_up=9, log_dir=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = train(fine, monitor, epochs=3).history
        train(fine, monitor, epochs=1)
    assert [len(values) for values in history.values()] == [3] * len(history)
    coverage = monitor.report.curve("coverage")
    assert coverage[0] == [0, 1, 2, 3]  # first, every second, last, and the second fit goes on
    assert coverage[1][:3] == history["health_coverage"]
    written = {}
    for path in sorted(tmp_path.glob("events.out.tfevents.*")):
        for raw in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(raw.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                written.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
                assert plugin in ("", "scalars")
    assert sorted(written["health_coverage"]) == [0, 1, 2, 3]
    assert written["health_coverage"][2] == pytest.approx(coverage[1][2])
    assert written["accuracy_real"][0] == pytest.approx(history["accuracy_real"][0])


# -- report -----------------------------------------------------------------------------------


def report(epochs=6):
    values = [
        {"generator_loss": 1.0 / (e + 1), "accuracy_real": 0.6, "coverage": 0.9 - 0.15 * e}
        for e in range(epochs)
    ]
    values[-1]["generator_loss"] = math.nan
    event = {"epoch": 4, "batch": None, "signal": "coverage", "value": 0.3, "bound": 0.5}
    return HealthReport(
        settings=HealthMonitor().report.settings,
        epochs=tuple({"epoch": e, "values": v, "levels": {}} for e, v in enumerate(values)),
        events=({**event, "action": "warn", "message": "coverage 0.3 | collapse"},),
    )


def test_a_report_is_written_whole_and_read_back(tmp_path):
    made = report()
    folder = made.save(tmp_path / "new" / "health")
    assert sorted(p.name for p in folder.iterdir()) == ["health.json", "health.md", "health.png"]
    record = json.loads((folder / "health.json").read_text())
    assert record["epochs"][-1]["values"]["generator_loss"] == "nan"
    again = HealthReport.load(folder)
    assert again.to_json() == made.to_json()
    assert math.isnan(again.curve("generator_loss")[1][-1])
    assert (again.status, again.reason) == ("warned", "coverage 0.3 | collapse")
    page = (folder / "health.md").read_text()
    assert "| coverage | 0.15 | 0.15 to 0.9 | < 0.5 (0.2) | act | 5 |" in page
    assert "epoch 4, **warn**" in page
    drawn = matplotlib.image.imread(folder / "health.png")
    assert drawn.shape[1] == 1500
    colours = {tuple(c) for c in (drawn[::3, ::3, :3] * 255).round().astype(int).reshape(-1, 3)}
    assert (0x00, 0x72, 0xB2) in colours  # a curve


def test_a_report_without_measurements_is_a_report(tmp_path):
    folder = HealthReport().save(tmp_path)
    assert HealthReport.load(folder / "health.json").status == "healthy"
    (folder / "health.json").write_text("{}")
    with pytest.raises(ValueError, match="schema"):
        HealthReport.load(folder)


# -- balance ----------------------------------------------------------------------------------


def test_balance_takes_steps_before_it_adds_noise(game):
    made = game(steps=3)
    balance = AdaptiveBalance(change=0.1, max_steps=4, max_strength=0.2)
    balance.set_model(made)
    balance.on_train_begin()

    def told(accuracy):
        logs = {"accuracy_real": accuracy, "accuracy_fake": accuracy}
        balance.on_epoch_end(0, logs)
        return int(made.discriminator_steps), round(float(made.instance_noise), 6)

    assert [told(0.9) for _ in range(5)] == [(2, 0), (1, 0), (1, 0.1), (1, 0.2), (1, 0.2)]
    assert told(0.7) == (1, 0.2)
    weak = [told(0.5) for _ in range(6)]
    assert weak == [(1, 0.1), (1, 0), (2, 0), (3, 0), (4, 0), (4, 0)]


def test_balance_brings_a_strong_discriminator_back(game):
    def trained(*callbacks):
        made = game(generator=1e-9, discriminator=0.05, sight=0.0, steps=2)
        return train(made, *callbacks, epochs=30).history

    alone, balanced = trained(), trained(AdaptiveBalance(change=0.25, max_strength=3.0))
    mean = [np.mean([h["accuracy_real"][-1], h["accuracy_fake"][-1]]) for h in (alone, balanced)]
    assert mean[0] > 0.95
    assert 0.55 < mean[1] < 0.87
    assert balanced["discriminator_steps"][-1] == 1
    assert balanced["instance_noise"][-1] > 0.25


def test_balance_refuses_what_it_cannot_balance():
    def refused(message, balance, **settings):
        balance.set_model(compiled(**settings))
        with pytest.raises(ValueError, match=message):
            balance.on_train_begin()

    refused("gives no accuracy", AdaptiveBalance(), loss=losses.Wasserstein())
    refused("without instance noise", AdaptiveBalance(), instance_noise=None)
    refused("no variable", AdaptiveBalance(strength="sound"))
    with pytest.raises(ValueError, match="low < high"):
        AdaptiveBalance(low=0.9, high=0.8)


def test_an_epoch_without_a_turn_of_the_generator_is_no_vanished_gradient():
    signals = TrainingSignals(early=2)
    for norm in (1.0, 3.0):
        assert signals.update({"generator_gradient_norm": norm, "generator_loss": 0.7}) == {}
    logs = {"generator_gradient_norm": 0.0, "generator_loss": 0.0}
    assert signals.update(logs) == {}
    assert signals.update({**logs, "generator_loss": 0.7}) == {"gradient_ratio": 0.0}
    assert signals.update({**logs, "generator_gradient_norm": 1.0}) == {"gradient_ratio": 0.5}
