"""A preset grows with its optimizer: training goes on as if the new rows were not there."""

import keras
import numpy as np
import pytest

from tfadvrec import optimizers, presets
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import MatrixFactorization, Recommender, TwoTower

# Sizes in whole vector registers: a table's tail rounds by other instructions, in its last bit.
USERS, ITEMS = np.arange(100, 132), np.array([f"i{n:02d}" for n in range(16)])
NEW_USERS = np.array([*range(900, 916), 131, *range(100, 131)])  # all the old ones, turned
NEW_ITEMS = np.array([f"new-{n}" for n in range(17)] + ITEMS[:0:-1].tolist())  # without i00

MAKERS = {
    "adam": lambda: keras.optimizers.Adam(0.05),
    "amsgrad": lambda: keras.optimizers.Adam(0.05, amsgrad=True, global_clipnorm=0.5),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "ftrl": lambda: keras.optimizers.Ftrl(0.05),
    "accumulated": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05)),
    "lazy adam": lambda: optimizers.LazyAdam(0.05),
    "row-wise": lambda: optimizers.RowWiseAdagrad(0.1),
    "sparse adagrad": lambda: optimizers.SparseAdagrad(0.1),
    "sparse sgd": lambda: optimizers.SparseSGD(0.1),
    "scaled row-wise": lambda: keras.optimizers.LossScaleOptimizer(optimizers.RowWiseAdagrad(0.1)),
}


def batches(seed, count=3):
    """Batches of users and pairs of items, all of them known before and after."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield random.choice(USERS, 24), random.choice(ITEMS[1:], (24, 2))


def train(model, seed):
    users = {identity: row for row, identity in enumerate(model.user_ids.tolist())}
    items = {identity: row for row, identity in enumerate(model.item_ids.tolist())}
    labels = np.tile(np.array([[1.0, 0.0]], np.float32), (24, 1))
    for user, item in batches(seed):
        x = {
            "user_id": np.array([users[i] for i in user.tolist()]),
            "item_id": np.array([[items[i] for i in pair] for pair in item.tolist()]),
        }
        model.train_on_batch(x, labels)


def fitted(optimizer, model=None):
    model = model or MatrixFactorization(
        n_users=32, n_items=16, dimension=4, item_bias=True, initial_scale=0.3, seed=1
    )
    model.set_ids(USERS, ITEMS)
    model.compile(optimizer, loss=BayesianPersonalizedRanking(), run_eagerly=True)
    train(model, seed=0)
    return model


def grown(folder, optimizer, **options):
    options = {"item_ids": NEW_ITEMS, "id_map": "identity", **options}
    options = {"user_ids": NEW_USERS, "user_id_map": "identity", **options}
    return presets.load(folder, optimizer=optimizer, verbose=False, **options)


def rows_of(old, new):
    """The old rows that were kept, and where they are now."""
    place = {identity: row for row, identity in enumerate(new.tolist())}
    kept = [row for row, identity in enumerate(old.tolist()) if identity in place]
    return kept, [place[identity] for identity in old[kept].tolist()]


@pytest.mark.parametrize("name", MAKERS)
def test_training_goes_on_with_the_old_rows_exactly_as_without_the_new_ones(name, tmp_path):
    model = fitted(MAKERS[name]())
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    fresh = MAKERS[name]()
    larger = grown(folder, fresh)
    larger.compile(fresh, loss=BayesianPersonalizedRanking(), run_eagerly=True)
    before = [v.numpy() for v in larger.weights]
    train(model, seed=1)
    train(larger, seed=1)
    assert int(fresh.iterations) == int(model.optimizer.iterations) > 1
    sides = model.row_weights()
    for old, new, start in zip(model.weights, larger.weights, before, strict=True):
        ids = (USERS, NEW_USERS) if sides[old.path][0] == "user" else (ITEMS, NEW_ITEMS)
        kept, now = rows_of(*ids)
        np.testing.assert_array_equal(old.numpy()[kept], new.numpy()[now])
        added = np.setdiff1d(np.arange(len(ids[1])), now)
        if name != "ftrl":  # whose rule gives every row from its slots alone: 0
            np.testing.assert_array_equal(new.numpy()[added], start[added])
        assert not np.array_equal(new.numpy()[now], start[now])
    _slots_are_equal(model, larger)


def _slots_are_equal(model, larger):
    """Every slot has the old rows' state; new rows have none."""
    pairs = zip(model.optimizer.variables, larger.optimizer.variables, strict=True)
    for old, new in pairs:
        if old.shape == ():
            assert old.numpy() == new.numpy()
            continue
        kept, now = rows_of(*((USERS, NEW_USERS) if old.shape[0] == 32 else (ITEMS, NEW_ITEMS)))
        np.testing.assert_array_equal(old.numpy()[kept], new.numpy()[now])


def test_without_the_slots_training_would_go_on_otherwise(tmp_path):
    """The test above can fail."""
    model = fitted(keras.optimizers.Adam(0.05))
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    larger = presets.load(folder, item_ids=NEW_ITEMS, id_map="identity", verbose=False)
    larger.compile(
        keras.optimizers.Adam(0.05), loss=BayesianPersonalizedRanking(), run_eagerly=True
    )
    train(model, seed=1)
    train(larger, seed=1)
    kept, now = rows_of(ITEMS, NEW_ITEMS)
    old, new = (m.item_embedding.embeddings.numpy() for m in (model, larger))
    assert np.abs(old[kept] - new[now]).max() > 1e-3


def test_new_rows_have_the_slots_that_the_optimizer_starts_with(tmp_path):
    model = fitted(keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.25))
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    optimizer = keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.25)
    grown(folder, optimizer)
    items = next(v.numpy() for v in optimizer.variables if v.shape == (32, 4))
    assert (items[:17] == 0.25).all()
    assert (items[17:] > 0.25).all()


def test_a_moving_average_of_a_new_row_starts_at_the_row(tmp_path):
    def make():
        return keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)

    model = fitted(make())
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    fresh = make()
    larger = grown(folder, fresh)
    larger.compile(fresh, loss=BayesianPersonalizedRanking(), run_eagerly=True)
    start = larger.item_embedding.embeddings.numpy()
    for one in (model, larger):
        train(one, seed=1)
        one.optimizer.finalize_variable_values(one.trainable_variables)
    kept, now = rows_of(ITEMS, NEW_ITEMS)
    old, new = (m.item_embedding.embeddings.numpy() for m in (model, larger))
    np.testing.assert_array_equal(old[kept], new[now])
    np.testing.assert_allclose(new[:17], start[:17], rtol=1e-6)


def test_as_many_users_as_items_are_told_apart(tmp_path):
    """A slot's side is not guessed from its size."""
    model = MatrixFactorization(n_users=3, n_items=3, dimension=3, seed=0)
    model.set_ids(np.array([1, 2, 3]), np.array([1, 2, 3]))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    users, items = (v for v in optimizer.variables if v.shape == (3, 3))
    users.assign(np.arange(9).reshape(3, 3))
    items.assign(10 + np.arange(9).reshape(3, 3))
    folder = presets.save(model, tmp_path / "mf", optimizer=optimizer)
    fresh = keras.optimizers.SGD(0.1, momentum=0.9)
    presets.load(folder, item_ids=[3, 2, 1], id_map="identity", optimizer=fresh, verbose=False)
    kept, turned = (v.numpy() for v in fresh.variables if v.shape == (3, 3))
    np.testing.assert_array_equal(kept, users.numpy())
    np.testing.assert_array_equal(turned, items.numpy()[::-1])


def test_factored_slots_of_adafactor_grow_along_their_rows_alone(tmp_path):
    def make():
        return keras.optimizers.Adafactor(0.01)

    model = fitted(make())
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    fresh = make()
    grown(folder, fresh)
    kept, now = rows_of(ITEMS, NEW_ITEMS)
    changed = 0
    for old, new in zip(model.optimizer.variables, fresh.variables, strict=True):
        if tuple(old.shape)[:1] == (16,):
            np.testing.assert_array_equal(old.numpy()[kept], new.numpy()[now])
            changed += 1
        elif tuple(old.shape)[:1] != (32,):
            np.testing.assert_array_equal(old.numpy(), new.numpy())
    assert changed >= 2


def test_a_tower_keeps_the_slots_of_its_layers(tmp_path):
    model = fitted(
        keras.optimizers.Adam(0.05),
        TwoTower(n_users=32, n_items=16, dimension=4, hidden=(8,), similarity="dot", seed=0),
    )
    folder = presets.save(model, tmp_path / "tower", optimizer=model.optimizer)
    fresh = keras.optimizers.Adam(0.05)
    larger = grown(folder, fresh)
    larger.compile(fresh, loss=BayesianPersonalizedRanking(), run_eagerly=True)
    train(model, seed=1)
    train(larger, seed=1)
    kept, now = rows_of(ITEMS, NEW_ITEMS)
    old, new = (m.embed_items(np.arange(m.n_items)).numpy() for m in (model, larger))
    np.testing.assert_allclose(old[kept], new[now], rtol=1e-6)
    for a, b in zip(model.item_tower.perceptron, larger.item_tower.perceptron, strict=True):
        np.testing.assert_array_equal(a.kernel, b.kernel)


def test_a_wrong_or_used_optimizer_is_refused(tmp_path):
    model = fitted(keras.optimizers.Adam(0.05))
    folder = presets.save(model, tmp_path / "mf", optimizer=model.optimizer)
    with pytest.raises(presets.PresetError, match="no Adagrad with these settings"):
        grown(folder, keras.optimizers.Adagrad(0.05))
    with pytest.raises(presets.PresetError, match="Pass a fresh optimizer"):
        grown(folder, model.optimizer)
    plain = presets.save(model, tmp_path / "plain")
    with pytest.raises(presets.PresetError, match="ships no optimizer state"):
        Recommender.from_preset(plain, optimizer=keras.optimizers.Adam(0.05))
