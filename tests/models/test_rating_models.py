"""Models of ratings, plain and neural: what they predict, learn and keep under attack."""

import json

import keras
import numpy as np
import pytest

import tfadvrec as tar
from tfadvrec import presets, serving
from tfadvrec.adversary import applied, attack
from tfadvrec.data import DataError, Interactions, points
from tfadvrec.evaluation import evaluate_ratings
from tfadvrec.losses import SquaredError
from tfadvrec.models import BiasedMatrixFactorization, NeuralMatrixFactorization

MODELS = {
    "biased": lambda log, **o: BiasedMatrixFactorization.for_log(log, dimension=4, seed=0, **o),
    "neural": lambda log, **o: NeuralMatrixFactorization.for_log(
        log, dimension=4, hidden=[6, 5], seed=0, **o
    ),
}


def rated(seed=0, noise=0.0):
    """Ratings of 3 plus the user's and the item's leaning, plus or minus one by their parities.

    With noise there is something to learn by heart, which is what attacks live on.
    """
    rng = np.random.default_rng(seed)
    user, item = np.divmod(np.arange(24 * 20), 20)
    rating = 3 + np.linspace(-1, 1, 24)[user] + np.linspace(-0.5, 0.5, 20)[item]
    rating += np.where((user + item) % 2 == 0, 1, -1) + noise * rng.normal(size=len(user))
    log = Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=rating.astype(np.float32),
        user_ids=np.arange(24) + 100,
        item_ids=np.array([f"film {n}" for n in range(20)]),
    )
    held = rng.random(len(log)) < 0.2
    return log.take(~held), log.take(held)


@pytest.fixture(scope="module")
def split():
    return rated(noise=0.4)


def trained(name, log, adversary=None, epochs=40, **options):
    model = MODELS[name](log, **options)
    trainer = model if adversary is None else tar.AdversarialTraining(model, adversary, 1.0)
    trainer.compile(keras.optimizers.Adam(0.02), loss=SquaredError(), jit_compile=False)
    blocks = points(log, batch_size=64, negatives=0, target="rating", seed=0, block=10)
    trainer.fit(blocks, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def models(split):
    return {name: trained(name, split[0]) for name in MODELS}


def untrained(name, log):
    model = MODELS[name](log)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


@pytest.mark.parametrize("name", list(MODELS))
def test_held_out_ratings_are_found(split, models, name):
    """Biases alone cannot do better than an error of 1, and nothing better than one of 0.4."""
    assert 0.4 < evaluate_ratings(models[name], split[1]).means["rmse"] < 0.7


def test_the_scores_are_the_papers_equation(split):
    model = untrained("biased", split[0])
    p, q = model.user_embedding.embeddings.numpy(), model.item_embedding.embeddings.numpy()
    own, others = model.user_bias.numpy(), model.item_bias.numpy()
    expected = model.mean + own[:, None] + others[None] + p @ q.T
    np.testing.assert_allclose(model.score_catalogue(np.arange(24)), expected, rtol=1e-4)
    assert model.mean == pytest.approx(split[0].rating.mean(), rel=1e-6)


def test_the_neural_scores_are_products_and_a_perceptron(split):
    model = untrained("neural", split[0])
    p, q = model.user_embedding.embeddings.numpy(), model.item_embedding.embeddings.numpy()
    users, items = np.array([0, 5, 23]), np.array([[0, 3], [19, 4], [7, 7]])

    def dense(layer, values):
        return values @ layer.kernel.numpy() + layer.bias.numpy()

    mine, theirs = np.repeat(p[users][:, None], 2, axis=1), q[items]
    hidden = np.maximum(dense(model.of_user, mine) + dense(model.of_item, theirs), 0)
    hidden = np.maximum(dense(model.perceptron.hidden[0], hidden), 0)
    expected = dense(model.perceptron.out, hidden)[..., 0]
    expected += ((mine * theirs) @ model.products.numpy())[..., 0]
    expected += (
        model.mean + model.user_bias.numpy()[users][:, None] + model.item_bias.numpy()[items]
    )
    scores = model({"user_id": users, "item_id": items})
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_way_to_a_score_agrees(split, name):
    model = untrained(name, split[0])
    users = np.arange(24)
    every = np.asarray(model.score_catalogue(users))
    wide = model({"user_id": users, "item_id": np.tile(np.arange(20), (24, 1))})
    shared = model({"user_id": users, "item_id": np.arange(20)})
    np.testing.assert_allclose(every, wide, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(every, shared, rtol=1e-4, atol=1e-5)
    items, scores = model.recommend([100, 123], 3, exclude=split[0])
    assert items.shape == (2, 3)
    assert not set(items[0]) & set(split[0].item_ids[split[0].item[split[0].user == 0]])
    assert (np.diff(scores) <= 0).all()
    with pytest.raises(DataError, match="user rows"):
        model.score_catalogue([24])


def test_the_regulariser_counts_every_rating_once(split):
    model = BiasedMatrixFactorization.for_log(split[0], dimension=4, regularization=0.5, seed=0)
    users, items = np.array([1, 1, 2]), np.array([[3], [4], [3]])
    model({"user_id": users, "item_id": items}, training=True)
    tables = [model.user_embedding, model.item_embedding]
    parts = [t.embeddings.numpy()[rows] for t, rows in zip(tables, (users, items), strict=True)]
    expected = 0.5 * sum((part**2).sum() for part in parts)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_ratings_that_are_missing_are_asked_for(split):
    log = split[0].replace(rating=None)
    with pytest.raises(DataError, match="needs a log with ratings"):
        BiasedMatrixFactorization.for_log(log)
    with pytest.raises(ValueError, match="dimension must be 1 or more"):
        BiasedMatrixFactorization(n_users=3, n_items=3, dimension=0)
    with pytest.raises(ValueError, match="hidden one or more widths"):
        NeuralMatrixFactorization(n_users=3, n_items=3, hidden=[])


@pytest.mark.parametrize("name", list(MODELS))
def test_adversarial_training_keeps_the_error_low_under_attack(split, models, name):
    """Each model is attacked in proportion to its own vectors: growing them wins nothing."""
    train, test = split
    robust = trained(name, train, tar.FastGradient(0.1))
    batches = list(points(train, batch_size=len(train), negatives=0, target="rating"))

    def errors(model):
        size = 0.4 * mean_length(model)
        found = {"clean": evaluate_ratings(model, test).means["rmse"]}
        for label, how in (("attack", tar.ProjectedGradient(size, steps=5)),
                           ("noise", tar.RandomNoise(size))):  # fmt: skip
            with applied(model, attack(model, batches, how, loss=SquaredError())):
                found[label] = evaluate_ratings(model, test).means["rmse"]
        return found

    plain, kept = errors(models[name]), errors(robust)
    assert plain["attack"] > plain["noise"] > plain["clean"]
    assert kept["attack"] < 0.95 * plain["attack"]
    assert kept["clean"] < plain["clean"] + 0.02


def mean_length(model):
    tables = (model.user_embedding, model.item_embedding)
    rows = np.concatenate([table.embeddings.numpy() for table in tables])
    return float(np.linalg.norm(rows, axis=1).mean())


def test_an_adversary_stronger_than_young_vectors_keeps_them_at_the_origin(split):
    """Which leaves the biases: epsilon has to lie below the vectors' length, or come later."""
    stunted = trained("biased", split[0], tar.FastGradient(0.6), epochs=20)
    assert mean_length(stunted) < 0.1
    assert evaluate_ratings(stunted, split[1]).means["rmse"] > 0.95


@pytest.mark.parametrize("name", list(MODELS))
def test_a_preset_gives_the_model_back_and_grows(split, name, tmp_path):
    model = untrained(name, split[0]).bind(split[0])
    config = json.loads(json.dumps(model.get_config()))
    assert type(model).from_config(config).get_config() == model.get_config()
    model.save_to_preset(tmp_path / "ratings")
    loaded = type(model).from_preset(tmp_path / "ratings")
    np.testing.assert_allclose(
        loaded.score_catalogue([0, 23]), model.score_catalogue([0, 23]), rtol=1e-5
    )
    fewer = model.item_ids[[4, 2]]
    grown = presets.load(tmp_path / "ratings", item_ids=fewer, id_map="identity", verbose=False)
    np.testing.assert_allclose(
        grown.score_catalogue([7]), np.asarray(model.score_catalogue([7]))[:, [4, 2]], rtol=1e-5
    )


def test_a_neural_model_is_served_with_its_own_ratings(split, models, tmp_path):
    """The factorised one goes the way of every factorised model."""
    model = models["neural"].bind(split[0])
    report = serving.export(model, tmp_path / "ratings", k=5, signatures=["score"])
    assert report.verified
    assert report.max_difference < 1e-5
