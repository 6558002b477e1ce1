"""The behaviour game: what it learns, what it keeps, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.data import Interactions, synthetic
from tfadvrec.games.behaviour import BehaviourGame, calibrate
from tfadvrec.games.penalties import slopes
from tfadvrec.models.behaviour_generator import BehaviourGenerator

SMALL = {
    "item_dimension": 8,
    "taste_dimension": 6,
    "critic_widths": (32, 32),
    "generator": {"noise": 12, "taste_widths": (32,), "event_widths": (32,), "head_width": 16},
}


def dependent(users=150, items=24, each=12, seed=0):
    """Users of two kinds: one takes even items on a phone by night, the other odd ones by day."""
    rng = np.random.default_rng(seed)
    kind = np.arange(users) % 2
    user = np.repeat(np.arange(users), each)
    own = kind[user]
    item = np.concatenate([rng.permutation(items // 2)[:each] * 2 + k for k in kind])
    kept = np.tile(np.arange(each), users) < 8 + user % 5
    hour = np.where(own == 0, 23, 12)
    step = np.tile(np.arange(each), users)
    time = 1_577_836_800 + (user % 50) * 86_400 + step * 86_400 + hour * 3600
    device = np.where(rng.random(len(user)) < 0.95, own, 1 - own)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=np.where(own == 0, 5.0, rng.integers(1, 4, len(user))),
        time=time,
        columns={"device": np.array(["phone", "tv"])[device]},
        user_ids=np.array([f"real-{n:03d}" for n in range(users)]),
        item_ids=np.arange(100, 100 + items),
        user_features={"group": np.array(["north", "south"])[kind]},
        name="two kinds",
        real=False,
    ).take(kept)


@pytest.fixture(scope="module")
def trained():
    log = dependent()
    game = BehaviourGame.for_log(log, seed=0, **SMALL)
    adam = [keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.9) for _ in range(2)]
    game.compile(*adam, jit_compile=False)
    history = game.fit(game.batches(log, batch_size=100, block=7), epochs=12, verbose=0)
    return log, game, history.history


def associations(log):
    """Joint counts of pairs of columns, as shares."""
    columns = [
        log.item % 2,
        (log.rating == 5).astype(int),
        log.columns["device"] == "tv",
        log.time % 86_400 // 3600 >= 18,
        log.user_features["group"][log.user] == "south",
    ]
    tables = []
    for n, a in enumerate(columns):
        for b in columns[:n]:
            tables.append(np.histogram2d(a, b, bins=2, range=[[0, 1], [0, 1]])[0] / len(log))
    return np.array(tables)


def shuffled(log, seed=0):
    """The same columns, each on its own."""
    rng = np.random.default_rng(seed)
    mixed = [rng.permutation(len(log)) for _ in range(4)]
    return log.replace(
        item=log.item[mixed[0]],
        rating=log.rating[mixed[1]],
        time=log.time[mixed[2]],
        columns={"device": log.columns["device"][mixed[3]]},
    )


def test_pairs_of_columns_are_nearer_than_those_of_independent_columns(trained):
    log, game, _ = trained
    made = game.generate_profiles(150, seed=1)
    real = associations(log)
    ours = np.abs(associations(made) - real).sum() / len(real)
    independent = np.abs(associations(shuffled(log)) - real).sum() / len(real)
    assert ours < 0.4 * independent


def test_a_profile_is_one_users(trained):
    _log, game, _ = trained
    made = game.generate_profiles(100, seed=2)
    own = [np.mean(made.item[made.user == u] % 2) for u in np.unique(made.user)]
    assert np.mean(np.minimum(own, 1 - np.array(own))) < 0.2  # independent items: about .4


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"rating": 5}, lambda log: log.rating == 5),
        ({"device": "tv"}, lambda log: log.columns["device"] == "tv"),
        ({"hour": "12"}, lambda log: log.time % 86_400 // 3600 == 12),
        ({"weekday": 3}, lambda log: log.time // 86_400 % 7 == 0),
        ({"weekday": "Thursday"}, lambda log: log.time // 86_400 % 7 == 0),
        ({"group": "south"}, lambda log: log.user_features["group"][log.user] == "south"),
        ({"item": 104}, lambda log: log.item_ids[log.item] == 104),
        ({"length": 10}, lambda log: np.bincount(log.user)[:-1] == 10),
    ],
    ids=["rating", "device", "hour", "weekday", "its name", "group", "item", "length"],
)
def test_a_condition_holds(trained, condition, holds):
    made = trained[1].generate(300, condition, seed=3)
    assert len(made) == 300
    assert np.mean(holds(made)) > 0.95


def test_a_condition_moves_what_depends_on_it(trained):
    _, game, _ = trained
    north, south = (game.generate(400, {"group": g}, seed=4) for g in ("north", "south"))
    assert np.mean(south.item % 2) - np.mean(north.item % 2) > 0.5
    five, two = (game.generate(400, {"rating": r}, seed=4) for r in (5, 2))
    assert np.mean(two.item % 2) - np.mean(five.item % 2) > 0.2


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"ratng": 5}, "no column 'ratng'.*nearest is 'rating'"),
        ({"device": "phon"}, "no category 'phon'.*nearest is 'phone'"),
        ({"length": 10_000}, "numbers from"),
        ({"item": 999}, "no item is '999'"),
    ],
)
def test_a_bad_condition_names_what_is_near(trained, condition, message):
    with pytest.raises(ValueError, match=message):
        trained[1].generate(10, condition)


def test_the_same_seed_gives_the_same_rows_whatever_the_count(trained):
    _, game, _ = trained
    many, few = game.generate(700, seed=5), game.generate(40, seed=5)
    for name in ("user", "item", "rating", "time"):
        assert (getattr(many, name)[:40] == getattr(few, name)).all()
    assert (game.generate(40, seed=6).item != few.item).any()


def test_types_ranges_and_order_are_the_logs(trained):
    log, game, _ = trained
    made = game.generate_profiles(80, seed=7)
    assert not made.real
    assert made.rating.dtype == log.rating.dtype
    assert set(np.unique(made.rating)) <= set(np.unique(log.rating))
    assert made.time.min() >= log.time.min() - 1
    assert made.time.max() <= log.time.max() + 1
    assert set(made.columns) == set(log.columns)
    assert set(made.user_features) == {"group"}
    assert (made.item_ids == log.item_ids).all()
    assert made.user_ids[0] == "synthetic-000001"
    assert not np.isin(made.user_ids, log.user_ids).any()
    for user in range(5):
        own = made.time[made.user == user]
        assert (np.diff(own) >= 0).all()
        assert len(np.unique(made.item[made.user == user])) == len(own)


def test_integer_ids_lie_above_the_real_ones():
    log = synthetic(30, 20, n_interactions=200)
    game = BehaviourGame.for_log(log, **SMALL)
    made = game.generate_profiles(3)
    assert made.user_ids.tolist() == [31, 32, 33]


def test_a_preset_generates_the_same(trained, tmp_path):
    _log, game, _ = trained
    game.product.save_to_preset(str(tmp_path / "behaviour"))
    again = BehaviourGenerator.from_preset(str(tmp_path / "behaviour"))
    a, b = game.generate(200, seed=8), again.generate(200, seed=8)
    for name in ("user", "item", "rating", "time", "item_ids", "user_ids"):
        assert (getattr(a, name) == getattr(b, name)).all()
    assert not (tmp_path / "behaviour" / "user_ids.txt").exists()


def test_the_packed_penalty_is_that_of_the_pack():
    log = dependent(users=20)
    game = BehaviourGame.for_log(log, packing=2, **SMALL)
    width = 3
    weights = np.arange(1.0, 7.0, dtype=np.float32)
    game.discriminator = keras.Sequential([keras.Input((2 * width,)), keras.layers.Dense(1)])
    game.discriminator.layers[0].set_weights([weights[:, None], np.zeros(1)])
    found = slopes(game, tf.random.normal([4, width]))
    np.testing.assert_allclose(found, [np.square(weights).sum()] * 2, rtol=1e-5)
    real, fake = tf.zeros([4, width]), tf.ones([4, width])
    between = game.between(real, fake, tf.constant([1, 2])).numpy()
    assert np.ptp(between[:2]) < 1e-6
    assert np.ptp(between[2:]) < 1e-6
    assert abs(between[0, 0] - between[2, 0]) > 1e-4


def test_both_sides_get_gradients_and_all_terms_are_logged(trained):
    history = trained[2]
    for name in ("critic_gap", "gradient_penalty", "condition", "likelihood"):
        assert np.isfinite(history[name]).all()
    assert min(history["generator_gradient_norm"]) > 0
    assert history["condition"][-1] < history["condition"][0]
    assert history["likelihood"][-1] < history["likelihood"][0]


def test_a_taste_of_half_says_nothing_of_its_row_nor_of_the_items_that_it_should_tell():
    log = Interactions.from_arrays([1, 1, 2, 3, 3, 3], [7, 8, 7, 7, 8, 9], time=np.arange(6))
    game = BehaviourGame.for_log(log, seed=0, taste_noise=0.0, halves=True, **SMALL)
    data, held = game.data, game._held
    nothing = data.taste[0, 1 - data.half[0, 2], 1]  # the only event of user 2 is in one half
    event = np.repeat(np.arange(6), 50).astype(np.int32)
    batch = {"event": tf.constant(event), "column": tf.constant(np.where(event == 5, 0, -1))}
    seed = tf.constant([3, 4])
    taste, half = held.tastes(batch, seed)
    cut, told = (part.numpy() for part in half)
    np.testing.assert_array_equal(taste, data.taste[cut, told, data.made.owner[event]])
    np.testing.assert_array_equal(taste[event == 2], np.tile(nothing, (50, 1)))
    assert (data.half[cut, event] != told).all()
    assert len(np.unique(cut)) == len(data.half)
    items, weight = (part.numpy() for part in held.history(batch, half, 6, seed))
    for n, (row, counts) in enumerate(zip(items, weight, strict=True)):
        owner, own = data.made.owner[event[n]], data.half[cut[n]] != told[n]
        new = data.made.item[(data.made.owner == owner) & own]
        expected = np.isin(row, new) * np.sum(data.made.owner == owner) * (event[n] != 5)
        np.testing.assert_array_equal(counts, expected)


def test_a_whole_taste_tells_all_items_of_its_user():
    log = Interactions.from_arrays([1, 1, 2, 3, 3, 3], [7, 8, 7, 7, 8, 9], time=np.arange(6))
    game = BehaviourGame.for_log(log, seed=0, taste_noise=0.0, **SMALL)
    data, held = game.data, game._held
    batch = {"event": tf.range(6), "column": tf.fill([6], -1)}
    taste, half = held.tastes(batch, tf.constant([3, 4]))
    np.testing.assert_array_equal(taste, data.taste[0, 1, data.made.owner])
    assert len(np.unique(data.taste[0, 1], axis=0)) == 3
    _, weight = held.history(batch, half, 4, tf.constant([3, 4]))
    lengths = np.bincount(data.made.owner)[data.made.owner]
    np.testing.assert_array_equal(weight, np.repeat(lengths[:, None], 4, axis=1))


def test_the_game_alone_moves_the_tastes():
    log = dependent(users=40)
    game = BehaviourGame.for_log(log, rounds=0, likelihood=0.0, **SMALL)
    batch = next(iter(game.batches(log, batch_size=40)))
    seed = tf.constant([0, 1])
    with tf.GradientTape() as tape:
        verdict = -tf.reduce_mean(game.judge(game.fake(batch, seed)))
    found = tape.gradient(verdict, [w.value for w in game.generator.taste.trainable_variables])
    assert all(float(tf.reduce_max(tf.abs(g))) > 0 for g in found)


def test_training_rows_have_the_category_they_were_drawn_for():
    log = dependent(users=40)
    data = BehaviourGame.for_log(log, **SMALL).data
    drawn = data.draw(4000, seed=1)
    column, choice, event = (drawn[k] for k in ("column", "choice", "event"))
    for number in range(len(data.columns)):
        rows = column == number
        assert rows.sum() > 50
        assert (data.choice[number][event[rows]] == choice[rows]).all()
    items = column == len(data.columns)
    assert (data.made.item[event[items]] == choice[items]).all()
    assert 0.4 < np.mean(column < 0) < 0.6


def test_a_large_catalogue_goes_through_vectors():
    log = synthetic(120, 400, n_interactions=3000)
    game = BehaviourGame.for_log(log, seed=0, rounds=1, **SMALL)
    assert game.generator.item_vectors.shape == (400, 8)
    before, after = calibrate(game.generator, game.data, rounds=2)
    assert after["item"] < before["item"]
    made = game.generate_profiles(60, seed=1)
    assert len(made) > 200
    assert made.n_items == 400
    game.generator.bind(log)
    war = game.generate(50, {"genre": "War"}, seed=1)
    assert all("War" in log.item_features["genre"][i] for i in war.item)


def test_another_log_and_a_batch_that_packs_do_not_divide_are_refused():
    log = dependent(users=40)
    game = BehaviourGame.for_log(log, **SMALL)
    with pytest.raises(ValueError, match="multiple of 10"):
        game.batches(log, batch_size=55)
    with pytest.raises(ValueError, match="made for a log of"):
        game.batches(log.take(np.arange(100)), batch_size=50)
    with pytest.raises(ValueError, match="no columns of the log"):
        BehaviourGame.for_log(log, columns=["devise"], **SMALL)


def test_the_health_monitor_sees_items_profiles_and_columns(trained):
    log, game, _ = trained
    seen = game.observe(300, 1)
    assert seen.items.shape == (300,)
    assert set(seen.columns) == {"rating", "weekday", "hour", "device"}
    assert seen.profiles.shape[1] == log.n_items


def test_items_are_those_of_the_period_in_which_a_user_starts():
    rng = np.random.default_rng(0)
    late = np.repeat(np.arange(120) >= 60, 8)
    log = Interactions.from_arrays(
        np.repeat(np.arange(120), 8),
        np.concatenate([rng.permutation(20)[:8] for _ in range(120)]) + 20 * late,
        time=late * 90 * 86_400 + np.tile(np.arange(8), 120) * 60,
    )
    game = BehaviourGame.for_log(log, **SMALL, rare=1)

    def of_own_period():
        made = game.generate_profiles(60, seed=1)  # nothing was trained: the table alone speaks
        start = np.array([made.time[made.user == user].min() for user in range(made.n_users)])
        is_late = start > 45 * 86_400
        assert 10 < is_late.sum() < 50
        return ((made.item >= 20) == is_late[made.user]).mean()

    informed = of_own_period()
    game.generator.item_periods.assign(np.zeros_like(game.generator.item_periods.numpy()))
    assert informed > 0.7 > 0.6 > of_own_period()
