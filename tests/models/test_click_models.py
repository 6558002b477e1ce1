"""Click models against NumPy, and the perturbation of their field vectors."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

import tfadvrec as tar
from tfadvrec import presets
from tfadvrec.adversary import outputs_of
from tfadvrec.adversary.ascent import ascend
from tfadvrec.data import ClickLog, DataError
from tfadvrec.evaluation import evaluate_clicks
from tfadvrec.evaluation.clicks import _everywhere, _Vectors, attacked_logits
from tfadvrec.models import ClickTwoTower, CrossNetwork, DeepFactorizationMachine

MEAN = tar.losses.Logistic(reduction="mean_with_sample_weight")
VECTORS = outputs_of("field_vectors", per="example")


def impressions(count=600, seed=0):
    """Clicks where the parities of user and ad agree: pairs tell everything, single fields none."""
    rng = np.random.default_rng(seed)
    user, ad = rng.integers(0, 12, count), rng.integers(0, 8, count)
    return ClickLog.from_frame(
        {
            "user": user,
            "ad": np.array([f"ad {n}" for n in ad]),
            "age": rng.normal(30, 5, count),
            "click": ((user + ad) % 2 == 0).astype(int),
        },
        label="click",
        fields=["user", "ad"],
        numbers=["age"],
    )


@pytest.fixture(scope="module")
def log():
    return impressions()


MODELS = {
    "stacked": lambda log, **o: CrossNetwork.for_log(
        log, dimension=4, crosses=2, hidden=[6], structure="stacked", seed=1, **o
    ),
    "parallel": lambda log, **o: CrossNetwork.for_log(
        log, dimension=4, crosses=2, projection=3, hidden=[6, 5], seed=1, **o
    ),
    "deep": lambda log, **o: DeepFactorizationMachine.for_log(
        log, dimension=4, hidden=[6], seed=1, **o
    ),
    "machine": lambda log, **o: DeepFactorizationMachine.for_log(
        log, dimension=4, hidden=[], seed=1, **o
    ),
    "towers": lambda log, **o: ClickTwoTower.for_log(
        log, item=["ad"], dimension=4, width=5, hidden=[6], seed=1, **o
    ),
}


def made(name, log):
    """An untrained model with weights that are not zero anywhere."""
    model = MODELS[name](log, initial_scale=0.5)
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def trained(name, log, adversary=None, epochs=12):
    model = MODELS[name](log, initial_scale=0.1)
    trainer = model
    if adversary is not None:
        trainer = tar.AdversarialTraining(model, adversary, 1.0, target=VECTORS)
    trainer.compile(keras.optimizers.Adam(0.03), loss=MEAN, jit_compile=False)
    trainer.fit(model.batches(log, batch_size=50).repeat(epochs), verbose=0)
    return model


@pytest.fixture(scope="module")
def learnt(log):
    return trained("parallel", log)


# -- against NumPy -------------------------------------------------------------------------


def dense(layer, values):
    return values @ layer.kernel.numpy() + layer.bias.numpy()


def inputs_of(model, log):
    rows = model.rows(log)
    table = model.field_embedding.embeddings.numpy()
    vectors = table[rows["fields"] + model.offsets[:-1]] * (rows["fields"] > 0)[..., None]
    return rows, vectors


@pytest.mark.parametrize("name", ["stacked", "parallel"])
def test_cross_layers_are_the_papers_equation(log, name):
    model = made(name, log)
    rows, vectors = inputs_of(model, log)
    start = np.concatenate([vectors.reshape(len(log), -1), rows["numbers"]], axis=1)
    crossed = start
    for layer in model.cross_layers:
        given = crossed
        if name == "parallel":
            given = crossed @ layer.down_proj_dense.kernel.numpy()
        crossed = start * dense(layer.dense, given) + crossed
    deep = start if name == "parallel" else crossed
    for layer in model.perceptron.hidden:
        deep = np.maximum(dense(layer, deep), 0)
    last = np.concatenate([crossed, deep], axis=1) if name == "parallel" else deep
    expected = dense(model.out.out, last)[:, 0] + model.bias.numpy()
    np.testing.assert_allclose(model.logits(log), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["machine", "deep"])
def test_a_factorisation_machine_sums_the_products_of_all_pairs(log, name):
    model = made(name, log)
    rows, vectors = inputs_of(model, log)
    numbers = rows["numbers"]
    every = np.concatenate([vectors, numbers[..., None] * model.number_embedding.numpy()], axis=1)
    single = model.first_order.embeddings.numpy()[rows["fields"] + model.offsets[:-1], 0]
    expected = model.bias.numpy() + single.sum(axis=1)
    expected += (numbers @ model.number_weights.numpy())[:, 0]
    for a in range(3):
        for b in range(a):
            expected += (every[:, a] * every[:, b]).sum(axis=1)
    if name == "deep":
        hidden = np.maximum(dense(model.perceptron.hidden[0], every.reshape(len(log), -1)), 0)
        expected += dense(model.perceptron.out, hidden)[:, 0]
    np.testing.assert_allclose(model.logits(log), expected, rtol=1e-4, atol=1e-5)


def test_two_towers_meet_in_a_product_alone(log):
    model = made("towers", log)
    product = (model.asker_vectors(log) * model.item_vectors(log)).sum(axis=1)
    np.testing.assert_allclose(model.logits(log), product + model.bias.numpy(), rtol=1e-4)
    elsewhere = log.with_field("user", 3)
    np.testing.assert_array_equal(model.item_vectors(elsewhere), model.item_vectors(log))
    assert [column.name for column in model.columns_of("item")] == ["ad"]
    frame = {"ad": log.field_values("ad"), "click": np.zeros(len(log), int)}
    ads = ClickLog.from_frame(frame, label="click", fields=["ad"])  # nobody is there to see them
    np.testing.assert_allclose(model.item_vectors(ads), model.item_vectors(log), rtol=1e-5)
    with pytest.raises(ValueError, match="some, and not all"):
        ClickTwoTower.for_log(log, item=["user", "ad", "age"])


def test_the_linear_part_alone_is_logistic_regression(log):
    rng = np.random.default_rng(0)
    label = (rng.random(len(log)) < 1 / (1 + np.exp(-(log.codes["ad"] - 3.5)))).astype(np.float32)
    log = ClickLog(label=label, codes=log.codes, values=log.values, numbers=log.numbers)
    model = DeepFactorizationMachine.for_log(log, hidden=[], interactions=False)
    model.compile(keras.optimizers.Adam(0.1), loss=MEAN, jit_compile=False)
    model.fit(model.batches(log, batch_size=600).repeat(200), verbose=0)
    rows = model.rows(log)
    marks = [np.eye(13)[rows["fields"][:, 0]], np.eye(9)[rows["fields"][:, 1]], rows["numbers"]]
    marks = np.concatenate(marks, axis=1)
    oracle = LogisticRegression(C=1e6, max_iter=2000).fit(marks, label)
    expected = oracle.predict_proba(marks)[:, 1]
    np.testing.assert_allclose(model.probabilities(log), expected, atol=5e-3)


# -- learning ------------------------------------------------------------------------------


def test_pairs_of_fields_are_learnt_and_single_fields_cannot_know(log, learnt):
    assert evaluate_clicks(learnt, impressions(seed=9)).means["auc"] > 0.99
    assert evaluate_clicks(trained("machine", log), impressions(seed=9)).means["auc"] > 0.99


def test_what_is_learnt_is_learnt_from_the_training_rows_alone(log):
    train = log.take(log.field_values("ad") != "ad 3")
    model = MODELS["machine"](train)
    held = log.take(log.field_values("ad") == "ad 3")
    assert (model.rows(held)["fields"][:, 1] == 0).all()
    assert (model.rows(held)["fields"][:, 0] > 0).all()
    mean = float(train.numbers["age"].mean())
    assert model.numbers[0].mean == pytest.approx(mean, rel=1e-5)
    names, counts = np.unique(train.field_values("ad"), return_counts=True)
    often = CrossNetwork.for_log(train, ["ad"], least=int(np.median(counts)) + 1)
    assert list(often.fields[0].vocabulary) == names[counts > np.median(counts)].tolist()
    rate = train.label.mean()
    assert model.bias.numpy() == pytest.approx(np.log(rate / (1 - rate)), rel=1e-3)


def test_an_unknown_value_counts_nothing(log):
    model = made("deep", log)
    strange = log.with_field("ad", "never seen")
    before = model.logits(strange)
    for table in (model.field_embedding, model.first_order):
        values = table.embeddings.numpy()
        values[model.offsets[:-1]] = 7.0
        table.embeddings.assign(values)
    np.testing.assert_array_equal(model.logits(strange), before)


def test_rows_and_logs_that_do_not_fit_are_refused(log):
    model = MODELS["machine"](log)
    rows = model.rows(log)
    rows["fields"][3, 1] = 9
    with pytest.raises(DataError, match="outside the tables"):
        model.predict(rows, verbose=0)
    with pytest.raises(DataError, match="'fields' must be integers"):
        model.predict({**rows, "fields": rows["fields"][:, :1]}, verbose=0)
    other = ClickLog.from_frame(
        {"user": [1], "click": [1], "age": [3.0]}, label="click", fields=["user"], numbers=["age"]
    )
    with pytest.raises(DataError, match="the field 'ad', which the log does not have"):
        model.rows(other)
    with pytest.raises(DataError, match="only one of them"):
        MODELS["machine"](other)
    with pytest.raises(DataError, match="no columns"):
        CrossNetwork.for_log(log, ["user", "site"])


# -- the adversary -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["parallel", "deep", "towers"])
def test_the_attack_lowers_clicked_logits_and_raises_the_others(log, name):
    model = made(name, log)
    clean = model.logits(log)
    moved = attacked_logits(model, log, tar.FastGradient(1e-3))
    change = moved - clean
    assert (change[log.label == 1] < 0).all()
    assert (change[log.label == 0] > 0).all()


def test_a_small_attack_raises_the_loss_by_epsilon_times_the_gradients_length(log):
    import tensorflow as tf

    model, epsilon = made("parallel", log), 1e-3
    rows = model.rows(log)
    vectors = tf.constant(np.asarray(model.field_vectors(rows)))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        logits = model.logits_of(vectors, rows)
        loss = tf.reduce_sum(tf.nn.softplus(logits) - log.label[:, None] * logits)
    gradient = tape.gradient(loss, vectors).numpy().reshape(len(log), -1)
    expected = epsilon * np.linalg.norm(gradient, axis=1).sum()

    def rise(attack):
        moved, label = attacked_logits(model, log, attack), log.label
        return (np.logaddexp(0, moved) - label * moved).sum() - float(loss)

    assert rise(tar.FastGradient(epsilon)) == pytest.approx(expected, rel=0.05)
    assert rise(tar.RandomNoise(epsilon)) < 0.5 * expected
    whole = rise(tar.FastGradient(0.3))
    assert rise(tar.ProjectedGradient(0.3, steps=8)) > whole > rise(tar.RandomNoise(0.3))


def test_noise_among_known_fields_is_as_long_as_noise_among_all():
    known = tf.constant([[[1.0], [0.0]], [[1.0], [1.0]], [[0.0], [0.0]]])
    rows = _Vectors(tf.zeros((3, 2, 4)))
    (moved,) = ascend(tar.RandomNoise(0.5), [rows], [_everywhere(known, rows)], list, 3)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), [0.5, 0.5, 0.0], rtol=1e-5)
    assert not moved[0, 4:].numpy().any()


def test_unknown_fields_and_first_order_weights_do_not_move(log):
    model = made("machine", log)
    strange = log.with_field("ad", "never seen").with_field("user", 99)
    moved = attacked_logits(model, strange, tar.FastGradient(5.0))
    np.testing.assert_allclose(moved, model.logits(strange), rtol=1e-6)
    with pytest.raises(ValueError, match="looks at no labels"):
        attacked_logits(model, log, tar.adversary.VirtualAdversarial(1.0))
    linear = DeepFactorizationMachine.for_log(log, hidden=[], interactions=False)
    with pytest.raises(ValueError, match="no field vectors"):
        evaluate_clicks(linear, log, attack=tar.FastGradient(1.0))
    trained_linear = tar.AdversarialTraining(linear, tar.FastGradient(1.0), target=VECTORS)
    trained_linear.compile("sgd", loss=MEAN)
    with pytest.raises(ValueError, match="names no layer"):
        trained_linear.fit(linear.batches(log, batch_size=600), verbose=0)


def test_training_and_evaluation_attack_alike(log):
    """The loss under attack that training reports is what evaluation finds on the same rows."""
    model = made("deep", log)
    attack = tar.FastGradient(0.4)
    expected = evaluate_clicks(model, log, attack=attack).means["log_loss"]
    robust = tar.AdversarialTraining(model, attack, 1.0, target=VECTORS)
    robust.compile(keras.optimizers.SGD(0.0), loss=MEAN, jit_compile=False)
    history = robust.fit(model.batches(log, batch_size=len(log)), verbose=0).history
    assert history["adversarial_loss"][0] == pytest.approx(expected, rel=1e-4)


def test_adversarial_training_keeps_more_under_attack(log, learnt):
    robust = trained("parallel", log, tar.FastGradient(0.3))
    test = impressions(seed=9)
    assert evaluate_clicks(robust, test).means["auc"] > 0.99

    def kept(model):
        attack = tar.ProjectedGradient(0.5 * model.field_norm(log), steps=10)
        return evaluate_clicks(model, test, attack=attack).means["log_loss"]

    assert kept(robust) < kept(learnt)


# -- sharing -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MODELS))
def test_configuration_and_preset_give_the_model_back(log, name, tmp_path):
    model = made(name, log)
    config = json.loads(json.dumps(model.get_config()))
    assert type(model).from_config(config).count_params() == model.count_params()
    model.save_to_preset(tmp_path / "ads")
    loaded = type(model).from_preset(tmp_path / "ads")
    np.testing.assert_allclose(loaded.logits(log), model.logits(log), rtol=1e-5, atol=1e-6)
    wider = impressions(count=50, seed=3)
    np.testing.assert_allclose(loaded.logits(wider), model.logits(wider), rtol=1e-5, atol=1e-6)
    assert presets.read(tmp_path / "ads").config["class_name"] == type(model).__name__


@pytest.mark.parametrize(
    ("cls", "options", "said"),
    [
        (CrossNetwork, {"structure": "series"}, "structure must be one of"),
        (CrossNetwork, {"crosses": 0}, "crosses must be 1 or more"),
        (DeepFactorizationMachine, {"hidden": [0]}, "hidden widths are at least 1"),
        (DeepFactorizationMachine, {"dropout": 1.0}, "dropout from 0 to below 1"),
        (DeepFactorizationMachine, {"dimension": 0}, "dimension must be 1 or more"),
        (CrossNetwork, {"columns": []}, "one or more columns"),
        (CrossNetwork, {"columns": [{"name": "t", "kind": "text", "dimension": 2,
                                     "buckets": 2, "length": 1}]}, "of the kinds"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(log, cls, options, said):
    columns = MODELS["machine"](log).get_config()["columns"]
    with pytest.raises(ValueError, match=said):
        cls(**{"columns": columns, **options})
