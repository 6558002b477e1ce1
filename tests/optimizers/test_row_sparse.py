"""Row-sparse optimizers: equal to the dense rule on the rows that a batch looks up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.optimizers import LazyAdam, RowSlots, RowWiseAdagrad, SparseAdagrad, SparseSGD

ROWS, WIDTH = 50, 4
BATCHES = np.random.default_rng(0).integers(0, ROWS, (5, 12))
BATCHES[:, 6:] = BATCHES[:, :6]  # every row at least twice
VALUES = np.random.default_rng(1).normal(size=(5, 12, WIDTH)).astype(np.float32)
START = np.random.default_rng(2).normal(size=(ROWS, WIDTH)).astype(np.float32)


def dense(rows, values):
    total = np.zeros((ROWS, WIDTH), np.float32)
    np.add.at(total, rows, values)
    return total


def run(optimizer, *, sparse, jit=False, whole=False, monkeypatch=None, variable=None):
    """The table after five steps, each with the gradient of twelve look-ups."""
    if monkeypatch is not None:
        monkeypatch.setattr(
            "tfadvrec.optimizers.row_slots.WHOLE_BELOW", float("inf") if whole else 0.0
        )
    table = variable or keras.Variable(START, name="embeddings")
    optimizer.build([table])

    @tf.function(jit_compile=jit)
    def step(rows, values):
        gradient = values
        if sparse:
            gradient = tf.IndexedSlices(values, rows, tf.constant([ROWS, WIDTH]))
        optimizer.apply([gradient], [table])

    history = []
    for rows, values in zip(BATCHES, VALUES, strict=True):
        if sparse:
            step(tf.constant(rows, tf.int32), tf.constant(values))
        else:
            step(tf.constant(rows, tf.int32), tf.constant(dense(rows, values)))
        history.append(table.numpy())
    return np.stack(history)


@pytest.mark.parametrize("whole", [False, True], ids=["slots", "whole"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda **o: SparseSGD(0.1, **o), lambda **o: keras.optimizers.SGD(0.1, **o)),
        (lambda **o: SparseAdagrad(0.1, **o), lambda **o: keras.optimizers.Adagrad(0.1, **o)),
    ],
    ids=["sgd", "adagrad"],
)
@pytest.mark.parametrize("options", [{}, {"global_clipnorm": 0.3}], ids=str)
def test_equal_to_the_dense_optimizer_everywhere(ours, theirs, options, jit, whole, monkeypatch):
    wanted = run(theirs(**options), sparse=False)
    found = run(ours(**options), sparse=True, jit=jit, whole=whole, monkeypatch=monkeypatch)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("whole", [False, True], ids=["slots", "whole"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_lazy_adam_is_adam_on_the_rows_of_the_batch(amsgrad, jit, whole, monkeypatch):
    optimizer = LazyAdam(0.1, amsgrad=amsgrad)
    found = run(optimizer, sparse=True, jit=jit, whole=whole, monkeypatch=monkeypatch)
    table, m, v, top = START.astype(np.float64), *np.zeros((3, ROWS, WIDTH))
    for step, (rows, values) in enumerate(zip(BATCHES, VALUES, strict=True), start=1):
        g, touched = dense(rows, values)[np.unique(rows)], np.unique(rows)
        m[touched] = 0.9 * m[touched] + 0.1 * g
        v[touched] = 0.999 * v[touched] + 0.001 * g**2
        top[touched] = np.maximum(top[touched], v[touched])
        size = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        under = top if amsgrad else v
        table[touched] -= size * m[touched] / (np.sqrt(under[touched]) + 1e-7)
        np.testing.assert_allclose(found[step - 1], table, rtol=1e-4, atol=1e-5)


def test_lazy_adam_is_adam_where_every_row_is_touched_and_for_dense_gradients():
    everything = np.arange(ROWS)
    values = np.random.default_rng(3).normal(size=(ROWS, WIDTH)).astype(np.float32)
    tables = [keras.Variable(START) for _ in range(3)]
    gradients = [
        tf.IndexedSlices(tf.constant(values), tf.constant(everything), [ROWS, WIDTH]),
        tf.constant(values),
        tf.constant(values),
    ]
    for table, gradient, optimizer in zip(
        tables, gradients, (LazyAdam(0.1), LazyAdam(0.1), keras.optimizers.Adam(0.1)), strict=True
    ):
        for _ in range(3):
            optimizer.apply([gradient], [table])
    for table in tables[:2]:
        np.testing.assert_allclose(table.numpy(), tables[2].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
@pytest.mark.parametrize("whole", [False, True], ids=["slots", "whole"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_row_wise_adagrad_has_one_accumulator_a_row(jit, whole, sparse, monkeypatch):
    optimizer = RowWiseAdagrad(0.1, initial_accumulator_value=0.2)
    found = run(optimizer, sparse=sparse, jit=jit, whole=whole, monkeypatch=monkeypatch)
    table, squares = START.astype(np.float64), np.full((ROWS, 1), 0.2)
    for step, (rows, values) in enumerate(zip(BATCHES, VALUES, strict=True)):
        g = dense(rows, values)
        squares += (g**2).mean(axis=1, keepdims=True)
        table -= 0.1 * g / np.sqrt(squares + 1e-7)
        np.testing.assert_allclose(found[step], table, rtol=1e-4, atol=1e-5)
    (state,) = [v for v in optimizer.variables if "accumulator" in v.path]
    assert state.shape == (ROWS, 1)


def test_dense_layers_of_the_same_model_keep_the_dense_rule():
    def trained(optimizer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.layers.Embedding(30, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
        )
        model.compile(optimizer, loss="mse", jit_compile=False)
        model.fit(np.arange(30)[:, None], np.arange(30.0), epochs=3, batch_size=10, verbose=0)
        return model.get_weights()

    wanted = trained(keras.optimizers.Adagrad(0.1))  # no row twice in a batch: Keras is right
    for a, b in zip(trained(SparseAdagrad(0.1)), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    kernel = trained(RowWiseAdagrad(0.1))[1]
    assert kernel.shape == wanted[1].shape
    optimizer = RowWiseAdagrad(0.1)
    optimizer.build([keras.Variable(np.zeros((3, 2)), name="kernel")])
    assert [v.shape for v in optimizer.variables if "accumulator" in v.path] == [(3, 2)]


def test_a_vector_of_numbers_is_a_table_too():
    """The gradient of a bias that is looked up has slices without a width."""
    for optimizer in (SparseSGD(0.1), SparseAdagrad(0.1), RowWiseAdagrad(0.1), LazyAdam(0.1)):
        bias = keras.Variable(np.zeros(9, np.float32))
        slices = tf.IndexedSlices(tf.ones(3), tf.constant([2, 5, 2]), tf.constant([9]))
        optimizer.apply([slices], [bias])
        moved = bias.numpy()
        assert np.flatnonzero(moved).tolist() == [2, 5]
        assert np.all(moved[[2, 5]] < 0)


@pytest.mark.parametrize(
    "optimizer",
    [
        SparseSGD(0.3, clipnorm=1.0),
        SparseAdagrad(0.3, epsilon=1e-3),
        RowWiseAdagrad(0.3, tables="user"),
        LazyAdam(0.3, beta_1=0.8, amsgrad=True),
    ],
    ids=lambda o: type(o).__name__,
)
def test_they_are_serialised_as_keras_serialises(optimizer, tmp_path):
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    model = keras.Sequential([keras.layers.Embedding(9, 2)])
    model.compile(again, loss="mse")
    model.fit(np.array([1, 1, 2]), np.ones((3, 2)), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    state = loaded.optimizer.variables
    for a, b in zip(again.variables, state, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for each in (model, loaded):
        each.fit(np.array([1, 1, 2]), np.ones((3, 2)), verbose=0)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("named", [True, False], ids=["variables given", "variables known"])
def test_rows_are_summed_before_they_are_clipped(named):
    """Two look-ups of a row, each of length 1: the row's gradient is 2 and is clipped to 1.5."""
    table = keras.Variable(np.zeros((4, 1), np.float32))
    optimizer = SparseSGD(1.0, clipnorm=1.5)
    optimizer.build([table])
    slices = tf.IndexedSlices(tf.ones((2, 1)), tf.constant([3, 3]), tf.constant([4, 1]))
    optimizer.apply([slices], [table] if named else None)
    np.testing.assert_allclose(table.numpy()[:, 0], [0, 0, 0, -1.5], rtol=1e-6)


def test_momentum_is_refused():
    with pytest.raises(ValueError, match="momentum"):
        SparseSGD(0.1, momentum=0.9)


@pytest.mark.parametrize("whole", [False, True], ids=["slots", "whole"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_slots_are_sums_over_the_look_ups_of_a_row(jit, whole, monkeypatch):
    monkeypatch.setattr("tfadvrec.optimizers.row_slots.WHOLE_BELOW", float("inf") if whole else 0.0)
    table, finder = tf.Variable(START), RowSlots()

    @tf.function(jit_compile=jit)
    def found(rows, values):
        slots = finder.find(table, rows)
        total = slots.total(values)
        return total, slots.spread(total), slots.used, slots.read(table)

    for rows, values in zip(BATCHES, VALUES, strict=True):
        total, spread, used, read = found(tf.constant(rows, tf.int32), tf.constant(values))
        wanted = dense(rows, values)
        np.testing.assert_allclose(spread, wanted[rows], rtol=1e-5)
        assert int(tf.reduce_sum(tf.cast(used, tf.int32))) == len(np.unique(rows))
        where = np.arange(ROWS) if whole else rows
        np.testing.assert_array_equal(read, START[where])
        np.testing.assert_allclose(total.numpy()[used], wanted[where][used], rtol=1e-5)
        assert not total.numpy()[~used.numpy()].any()
