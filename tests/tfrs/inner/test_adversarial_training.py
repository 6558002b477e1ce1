"""Known answers of adversarial training of TFRS models, as tests/adversary has them for Keras 3."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tests.tfrs.inner.models import ITEMS, USERS, Both, Rating, Retrieval, log, tables
from tfadvrec.adversary import FreeLB, LossBasedEpsilon, RelativeEpsilon, VirtualAdversarial, WarmUp
from tfadvrec.adversary.rows import LookUpRows
from tfadvrec.tfrs.loading import tf_keras, tfrs
from tfadvrec.tfrs.rows import TableRows

MODELS = [Retrieval, Rating, Both]


def trained(model, *, epochs=1, rate=0.1, perturbation=None, weight=None, **options):
    """A model after training, and its history; plainly where there is no perturbation.

    Steps run eagerly, which is quicker for a few of them; `graph=True` and `jit_compile=True` are
    how users run them.
    """
    compiled = {"jit_compile": options.pop("jit_compile", None)}
    graph = options.pop("graph", False) or compiled["jit_compile"]
    compiled["run_eagerly"] = not graph
    optimizer, data = tf_keras.optimizers.SGD(rate), options.pop("data", log())
    if perturbation is not None:
        model = tar.tfrs.AdversarialTraining(model, perturbation, weight, **options)
    model.compile(optimizer, **compiled)
    return model, model.fit(data, epochs=epochs, verbose=0).history


def built(model):
    """A model that has made its variables."""
    model.compute_loss(next(iter(log())))
    return model


def values(model):
    return [np.array(w) for w in model.get_weights()]


def assert_close(first, second, **tolerance):
    for a, b in zip(values(first), values(second), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# -- weight 0, epsilon 0 ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_weight_zero_is_tfrs_training_update_for_update(kind):
    plain, history = trained(kind(), epochs=2)
    inner = kind()
    _, ours = trained(inner, epochs=2, perturbation=tar.FastGradient(0.5), weight=0.0)
    assert_close(plain, inner, rtol=0, atol=0)
    assert ours.pop("adversarial_loss") == ours["loss"]
    assert ours == history


@pytest.mark.parametrize("kind", MODELS)
def test_epsilon_zero_with_weight_one_is_twice_the_gradient(kind):
    plain, _ = trained(kind(), rate=0.2)
    inner = kind()
    trained(inner, perturbation=tar.FastGradient(0.0), weight=1.0)
    assert_close(plain, inner, atol=1e-6)


def test_regularisers_are_counted_once_for_each_pass_where_the_weights_lie():
    """With rows that move far, the regulariser's part of the update is still that of the rows."""
    penalty, moves = 0.3, tar.FastGradient(3.0)
    first, second = Retrieval(), Retrieval(regularization=penalty)
    before = [v.numpy() for v in tables(built(first))]
    _, bare = trained(first, perturbation=moves, weight=2.0, data=log().take(1))
    _, with_it = trained(second, perturbation=moves, weight=2.0, data=log().take(1))
    for start, a, b in zip(before, tables(first), tables(second), strict=True):
        np.testing.assert_allclose(a - b, 0.1 * (1 + 2.0) * 2 * penalty * start, atol=1e-5)
    total = penalty * sum(np.square(start).sum() for start in before)
    assert with_it["loss"] == pytest.approx(bare["loss"])  # the attack does not follow it either
    assert with_it["adversarial_loss"] == pytest.approx(bare["adversarial_loss"])
    assert with_it["regularization_loss"] == [pytest.approx(total, rel=1e-5)]
    assert with_it["total_loss"] == [pytest.approx(bare["loss"][0] + total, rel=1e-5)]


# -- the perturbation -------------------------------------------------------------------------


class Twin(keras.Model):
    """The same retrieval model in Keras 3, over rows."""

    def __init__(self, start):
        super().__init__()
        self.users, self.items = (
            keras.layers.Embedding(*table.shape, weights=[table], name=name)
            for table, name in zip(start, ("user_table", "item_table"), strict=True)
        )
        for layer in (self.users, self.items):
            layer.build(())

    def call(self, rows):
        items = keras.ops.transpose(self.items(rows["item"]))
        return keras.ops.matmul(self.users(rows["user"]), items)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -tf.reduce_sum(tf.linalg.diag_part(tf.nn.log_softmax(y_pred)))


def test_a_step_is_that_of_the_keras_3_class(monkeypatch):
    """Same tables, batch and attack: same perturbations, same losses, same tables afterwards."""
    ours, theirs = {}, {}
    shift, shift_3 = TableRows.shift, LookUpRows.shift

    def moved(self, delta):
        for row, move in zip(self.rows.numpy(), delta.numpy(), strict=True):
            ours[self.name[:4], row] = move
        shift(self, delta)

    def moved_3(self, delta):
        spread = self.slots.spread(delta).numpy()
        for row, move in zip(self.slots.rows.numpy(), spread, strict=True):
            theirs["user" if "user_table" in self.name else "item", row] = move
        shift_3(self, delta)

    monkeypatch.setattr(TableRows, "shift", moved)
    monkeypatch.setattr(LookUpRows, "shift", moved_3)
    model, batch = built(Retrieval()), next(iter(log()))
    start = [v.numpy() for v in tables(model)]
    twin = tar.AdversarialTraining(Twin(start), tar.FastGradient(0.5), weight=2.0)
    twin.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    rows = {
        key: np.array([ids.index(one.decode()) + 1 for one in batch[key].numpy()])
        for key, ids in (("user", USERS), ("item", ITEMS))
    }
    wanted = twin.train_on_batch(rows, return_dict=True)
    _, found = trained(
        model,
        perturbation=tar.FastGradient(0.5),
        weight=2.0,
        data=log().take(1),
    )
    assert found["loss"][0] == pytest.approx(float(wanted["loss"]), rel=1e-5)
    assert found["adversarial_loss"][0] == pytest.approx(wanted["adversarial_loss"], rel=1e-5)
    touched = {(side, row) for side in ("user", "item") for row in rows[side]}
    assert set(ours) == set(theirs) == touched  # and no other row
    for key, move in ours.items():
        np.testing.assert_allclose(move, theirs[key], rtol=1e-4, atol=1e-6)
        assert np.linalg.norm(move) == pytest.approx(0.5, rel=1e-5)
    for mine, other in zip(tables(model), twin.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_the_attack_raises_the_loss_more_than_noise_and_more_steps_raise_it_more(kind):
    attacks = [
        tar.RandomNoise(0.5),
        tar.FastGradient(0.5),
        tar.ProjectedGradient(0.5, steps=5),
    ]
    found = []
    for attack in attacks:
        _, history = trained(kind(), rate=0.0, perturbation=attack, weight=1.0, data=log().take(1))
        found.append(history["adversarial_loss"][0])
    clean = history["loss"][0]
    assert clean < found[1] < found[2]
    assert found[0] < found[1]


@pytest.mark.parametrize("graph", [True, False], ids=["graph", "eager"])
def test_tables_come_back_bit_for_bit(graph):
    model = built(Retrieval(regularization=0.1))
    before = values(model)
    _, history = trained(
        model, rate=0.0, perturbation=tar.ProjectedGradient(2.0, steps=2), weight=1.0, graph=graph
    )
    assert history["adversarial_loss"][0] > history["loss"][0]
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tables_come_back_when_the_loss_under_attack_fails():
    class Fails(Retrieval):
        passes = 0

        def compute_loss(self, features, training=False):
            self.passes += 1
            if self.passes == 2:
                raise RuntimeError("the second pass")
            return super().compute_loss(features, training)

    model = Fails()
    with pytest.raises(RuntimeError, match="the second pass"):
        trained(model, perturbation=tar.FastGradient(2.0), weight=1.0)
    fresh = built(Retrieval())
    for a, b in zip(tables(fresh), tables(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pattern_names_the_tables_that_move():
    seen = []

    class Watched(Retrieval):
        def compute_loss(self, features, training=False):
            found = super().compute_loss(features, training)
            seen.append([v.numpy() for v in tables(self)])
            return found

    trained(
        Watched(),
        perturbation=tar.FastGradient(0.5),
        weight=1.0,
        target=tar.adversary.embedding_tables("item"),
        data=log().take(1),
    )
    (users, items), (moved_users, moved_items) = seen
    np.testing.assert_array_equal(users, moved_users)
    lengths = np.linalg.norm(moved_items - items, axis=1)
    touched = lengths > 0
    assert 0 < touched.sum() < len(items)  # an item of the batch moves, the others stay
    np.testing.assert_allclose(lengths[touched], 0.5, rtol=1e-5)


def test_weights_move_as_a_whole():
    model, history = trained(
        Rating(),
        rate=0.0,
        perturbation=tar.FastGradient(0.5),
        weight=1.0,
        target=tar.adversary.variables("kernel"),
    )
    assert history["adversarial_loss"][0] > history["loss"][0]
    assert_close(model.model, built(Rating()), rtol=0, atol=0)


def test_xla_compiles_a_step_over_rows():
    class Rows(tfrs.Model):
        def __init__(self):
            super().__init__()
            start = tf_keras.initializers.RandomNormal(seed=1)
            self.users = tf_keras.layers.Embedding(9, 4, embeddings_initializer=start)
            self.task = tfrs.tasks.Retrieval()

        def compute_loss(self, rows, training=False):
            return self.task(self.users(rows), self.users((rows + 1) % 9))

    data = tf.data.Dataset.from_tensor_slices([0, 1, 1, 5, 5, 7]).batch(3)
    options = {"perturbation": tar.FastGradient(0.5), "weight": 1.0, "data": data}
    graph, _ = trained(Rows(), **options)
    compiled, _ = trained(Rows(), jit_compile=True, **options)
    assert_close(graph, compiled, rtol=1e-5, atol=1e-6)


# -- what the clean pass leaves ---------------------------------------------------------------


def test_metrics_are_those_of_the_clean_passes():
    plain, theirs = trained(Retrieval(catalogue=True), rate=0.0)
    inner = Retrieval(catalogue=True)
    _, ours = trained(inner, rate=0.0, perturbation=tar.FastGradient(2.0), weight=1.0)
    assert ours.pop("adversarial_loss")[0] > ours["loss"][0]
    assert ours == theirs
    assert "factorized_top_k/top_3_categorical_accuracy" in ours
    for a, b in zip(plain.metrics, inner.metrics, strict=True):
        np.testing.assert_array_equal(a.get_weights(), b.get_weights())


def test_the_catalogue_is_not_ranked_under_attack(monkeypatch):
    model, asked = Retrieval(catalogue=True), []
    (metric,) = model.task._factorized_metrics
    call = type(metric._candidates).call

    def counted(self, queries, k=None):
        asked.append(len(queries))
        return call(self, queries, k)

    monkeypatch.setattr(type(metric._candidates), "call", counted)
    trained(model, perturbation=tar.ProjectedGradient(0.5), weight=1.0)
    assert asked == [16, 16]
    assert "update_state" not in vars(metric)


def test_batch_statistics_are_what_the_clean_pass_left():
    plain, inner = (Rating(layers=[tf_keras.layers.BatchNormalization()]) for _ in range(2))
    start = [w.copy() for w in values(built(plain)) if w.shape == (16,)]
    trained(plain, rate=0.0)
    trained(inner, rate=0.0, perturbation=tar.ProjectedGradient(2.0), weight=1.0)
    assert_close(plain, inner, rtol=0, atol=0)
    after = [w for w in values(plain) if w.shape == (16,)]
    assert any((a != b).any() for a, b in zip(start, after, strict=True))


def test_the_passes_of_a_step_use_one_dropout_mask_and_each_step_its_own():
    dropout, found = tf_keras.layers.Dropout(0.5), []
    robust = tar.tfrs.AdversarialTraining(
        Rating(layers=[dropout, tf_keras.layers.GaussianNoise(0.5)]),
        tar.ProjectedGradient(0.0, steps=2, step_size=1.0),
    )
    robust.compile(tf_keras.optimizers.SGD(0.0))
    note = tf_keras.callbacks.LambdaCallback(on_batch_end=lambda _, logs: found.append(dict(logs)))
    robust.fit(log().take(1).repeat(3), verbose=0, callbacks=[note])
    assert [logs["adversarial_loss"] for logs in found] == [logs["loss"] for logs in found]
    assert len({logs["loss"] for logs in found}) == 3
    assert dropout._random_generator._rng_type != "stateless"  # and it is itself again


# -- other perturbations, other models --------------------------------------------------------


def test_free_lb_trains_on_the_mean_of_the_points():
    """With one step, its only point is the first one: where `ProjectedGradient` ends."""
    options, once = {"steps": 1, "step_size": 0.2}, {"weight": 1.0, "data": log().take(1)}
    first, second = Retrieval(), Retrieval()
    trained(first, perturbation=FreeLB(0.5, **options), **once)
    trained(second, perturbation=tar.ProjectedGradient(0.5, **options), **once)
    assert_close(first, second, atol=1e-6)
    third = Retrieval()
    trained(third, perturbation=FreeLB(0.5, steps=3), **once)
    assert any((a != b).any() for a, b in zip(values(first), values(third), strict=True))


def test_sizes_may_depend_on_rows_and_epochs():
    grows = WarmUp(RelativeEpsilon(0.5), over=2, after=1, unit="epoch")
    _, history = trained(
        Retrieval(),
        epochs=3,
        rate=0.0,
        perturbation=tar.FastGradient(grows),
        weight=1.0,
        graph=True,
        data=log().take(1),
    )
    gaps = np.subtract(history["adversarial_loss"], history["loss"])
    assert gaps[0] == 0
    assert 0 < gaps[1] < gaps[2]


def test_training_learns_under_attack():
    model, history = trained(
        Retrieval(),
        epochs=30,
        rate=0.03,
        perturbation=tar.FastGradient(0.2),
        weight=1.0,
        graph=True,
    )
    assert history["adversarial_loss"][-1] < 0.8 * history["adversarial_loss"][0]
    inner = model.model
    scores = tf.matmul(
        inner.user_model(tf.constant(USERS)),
        inner.item_model(tf.constant(ITEMS)),
        transpose_b=True,
    ).numpy()
    best = scores.argmax(axis=1)
    assert (best % 2 == np.arange(len(USERS)) % 2).mean() > 0.8  # items of their own parity


def test_another_keras_2_model_with_such_a_compute_loss():
    class Other(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.table = tf_keras.layers.Embedding(5, 3)

        def compute_loss(self, rows, training=False):
            return tf.reduce_sum(tf.square(self.table(rows) - 1.0))

    data = tf.data.Dataset.from_tensor_slices([0, 1, 2, 2]).batch(4)
    _, history = trained(Other(), perturbation=tar.FastGradient(0.5), weight=1.0, data=data)
    assert history["adversarial_loss"][0] > history["loss"][0]


# -- files ------------------------------------------------------------------------------------


def test_saving_saves_the_model_inside(tmp_path):
    robust, _ = trained(Rating(), perturbation=tar.FastGradient(0.5), weight=1.0)
    robust.save_weights(tmp_path / "robust")
    robust.model.save_weights(tmp_path / "bare")
    names = [tf.train.list_variables(str(tmp_path / one)) for one in ("robust", "bare")]
    assert names[0] == names[1]
    fresh = tar.tfrs.AdversarialTraining(built(Rating()), tar.FastGradient(0.5))
    fresh.load_weights(tmp_path / "robust").expect_partial()
    assert_close(robust.model, fresh.model, rtol=0, atol=0)
    batch = next(iter(log()))
    robust.save(tmp_path / "saved")
    saved = tf_keras.models.load_model(tmp_path / "saved", compile=False)
    np.testing.assert_allclose(saved(batch), robust(batch), rtol=1e-6)
    robust.export(str(tmp_path / "exported"))
    exported = tf.saved_model.load(str(tmp_path / "exported"))  # kept: it owns the tables
    np.testing.assert_allclose(exported.serve(batch), robust(batch), rtol=1e-6)


# -- refusals ---------------------------------------------------------------------------------


def test_evaluation_is_that_of_the_model_inside():
    robust, _ = trained(Retrieval(), perturbation=tar.FastGradient(0.5), weight=1.0)
    robust.model.compile()
    assert robust.evaluate(log(), verbose=0, return_dict=True) == robust.model.evaluate(
        log(), verbose=0, return_dict=True
    )


def test_what_it_cannot_train_is_refused_with_the_way_out():
    inner, moves = Retrieval(), tar.FastGradient(0.5)
    plain = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    for wrong in (plain, keras.Sequential([keras.layers.Dense(1)])):
        with pytest.raises(ValueError, match=r"needs a tfrs\.Model.*Keras 3 model goes into"):
            tar.tfrs.AdversarialTraining(wrong, moves)
    with pytest.raises(ValueError, match="one that follows a loss"):
        tar.tfrs.AdversarialTraining(inner, VirtualAdversarial(0.5))
    with pytest.raises(ValueError, match="not at outputs"):
        tar.tfrs.AdversarialTraining(inner, moves, target=tar.adversary.outputs_of("user"))
    with pytest.raises(ValueError, match="weight must be a finite number"):
        tar.tfrs.AdversarialTraining(inner, moves, -1.0)
    wrong = tar.adversary.embedding_tables("shop")
    with pytest.raises(ValueError, match=r"trainable tf_keras\.layers\.Embedding whose name"):
        trained(Retrieval(), perturbation=moves, weight=1.0, target=wrong)
    with pytest.raises(ValueError, match="a TFRS model's compute_loss gives one number"):
        trained(Retrieval(), perturbation=tar.FastGradient(LossBasedEpsilon(0.5)), weight=1.0)


def test_several_replicas_are_refused():
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(cpus).scope():
        robust = tar.tfrs.AdversarialTraining(Retrieval(), tar.FastGradient(0.5))
        robust.compile("sgd", run_eagerly=True)
        with pytest.raises(ValueError, match="runs on one replica"):
            robust.train_step(next(iter(log())))


def test_a_train_step_of_its_own_is_warned_of():
    class Own(Retrieval):
        def train_step(self, inputs):
            raise AssertionError("this is not run")

    with pytest.warns(UserWarning, match="Own has a train_step of its own"):
        robust = tar.tfrs.AdversarialTraining(Own(), tar.FastGradient(0.5), 1.0)
    robust.compile("sgd", run_eagerly=True)
    assert robust.fit(log().take(1), verbose=0).history["adversarial_loss"][0] > 0
