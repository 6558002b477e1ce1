"""Models as other people write them: patterns of keras-rs and keras.io, written afresh.

Each is a function without arguments that gives a `Foreign`: an uncompiled model, how it is
compiled, and a batch. Made and trained at once, it is the same each time: what is not built yet
draws its weights when it is. None knows of tfadvrec.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import keras_rs
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tfadvrec.adversary import Target, embedding_tables, input_features, outputs_of

ROWS, USERS, ITEMS = 24, 10, 14
RANDOM = np.random.default_rng(7)
USER = RANDOM.integers(0, USERS, ROWS).astype(np.int32)
ITEM = RANDOM.integers(0, ITEMS, ROWS).astype(np.int32)
RATING = RANDOM.uniform(1, 5, (ROWS, 1)).astype(np.float32)
CLICK = RANDOM.integers(0, 2, (ROWS, 1)).astype(np.float32)
NUMBERS = RANDOM.normal(size=(ROWS, 3)).astype(np.float32)
HISTORY = RANDOM.integers(1, ITEMS, (ROWS, 5)).astype(np.int32)
HISTORY[::3, 3:] = 0  # padding
WORDS = np.array(["noir", "love", "war"])[RANDOM.integers(0, 3, ROWS)]


@dataclass(frozen=True)
class Foreign:
    """A foreign model.

    Attributes:
        model: The model.
        x: One batch of inputs.
        y: Its labels.
        compiled: What `compile` is given beside the optimizer.
        target: What is attacked.
        spec: Of the inputs, where Keras's own `export` cannot tell it.
        xla: Whether XLA can compile it: `"yes"`, Keras says `"no"`, or an `"error"` tells.
    """

    model: keras.Model
    x: Any
    y: Any
    compiled: dict[str, Any] = field(default_factory=dict)
    target: Target = field(default_factory=embedding_tables)
    spec: Any = None
    xla: str = "yes"


GALLERY: dict[str, Callable[[], Foreign]] = {}


def shown(make: Callable[[], Foreign]) -> Callable[[], Foreign]:
    """Puts a function into the gallery, from the same random state each time."""

    def made() -> Foreign:
        keras.utils.set_random_seed(3)
        return make()

    GALLERY[make.__name__] = made
    return made


@keras.saving.register_keras_serializable("gallery")
class Retrieval(keras.Model):
    """keras-rs, "basic retrieval": two tables, ratings of pairs, the best items in inference."""

    def __init__(self, **options):
        super().__init__(**options)
        self.user_embedding = layers.Embedding(USERS, 8)
        self.candidate_embedding = layers.Embedding(ITEMS, 8)
        self.retrieval = keras_rs.layers.BruteForceRetrieval(k=3, return_scores=False)
        self.loss_fn = keras.losses.MeanSquaredError()

    def build(self, input_shape):
        self.user_embedding.build(input_shape)
        self.candidate_embedding.build(input_shape)
        self.retrieval.candidate_embeddings = self.candidate_embedding.embeddings
        self.retrieval.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=False):
        users = self.user_embedding(inputs)
        result = {"user_embeddings": users}
        if not training:
            result["predictions"] = self.retrieval(users)
        return result

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        candidates = self.candidate_embedding(y["movie_id"])
        scores = ops.sum(ops.multiply(y_pred["user_embeddings"], candidates), axis=1)
        return self.loss_fn(y["rating"], scores, sample_weight)


@shown
def keras_rs_basic_retrieval():
    return Foreign(Retrieval(), USER, {"movie_id": ITEM, "rating": RATING[:, 0]})


@keras.saving.register_keras_serializable("gallery")
class InBatch(keras.Model):
    """TFRS-like retrieval: the other items of the batch are the negatives."""

    def __init__(self, **options):
        super().__init__(**options)
        self.users = keras.Sequential([layers.Embedding(USERS, 8), layers.Dense(4)])
        self.items = keras.Sequential([layers.Embedding(ITEMS, 8), layers.Dense(4)])

    def call(self, inputs):
        return ops.matmul(self.users(inputs["user"]), ops.transpose(self.items(inputs["item"])))


@shown
def in_batch_softmax():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    x = {"user": USER, "item": ITEM}
    return Foreign(InBatch(), x, np.eye(ROWS, dtype=np.float32), {"loss": loss})


@keras.saving.register_keras_serializable("gallery")
class Biased(keras.Model):
    """keras.io, "collaborative filtering": columns of one input, products, biases, a sigmoid."""

    def __init__(self, **options):
        super().__init__(**options)
        decay = keras.regularizers.l2(1e-3)
        self.users = layers.Embedding(USERS, 8, embeddings_regularizer=decay)
        self.items = layers.Embedding(ITEMS, 8, embeddings_regularizer=decay)
        self.user_bias, self.item_bias = layers.Embedding(USERS, 1), layers.Embedding(ITEMS, 1)

    def call(self, inputs):
        users, items = inputs[:, 0], inputs[:, 1]
        product = ops.sum(self.users(users) * self.items(items), axis=-1, keepdims=True)
        return ops.sigmoid(product + self.user_bias(users) + self.item_bias(items))


@shown
def keras_io_collaborative_filtering():
    return Foreign(Biased(), np.stack([USER, ITEM], 1), CLICK, {"loss": "binary_crossentropy"})


@shown
def keras_rs_ranking():
    """keras-rs, "basic ranking": both vectors side by side, dense layers, a rating."""
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    both = layers.Concatenate()(
        [layers.Embedding(USERS, 8)(user), layers.Embedding(ITEMS, 8)(item)]
    )
    hidden = layers.Dense(16, activation="relu")(both)
    model = keras.Model({"user": user, "item": item}, layers.Dense(1)(hidden))
    metrics = [keras.metrics.RootMeanSquaredError()]
    return Foreign(model, {"user": USER, "item": ITEM}, RATING, {"loss": "mse", "metrics": metrics})


@shown
def keras_rs_deep_and_cross():
    """keras-rs, "ranking with DCN": look-ups of text and numbers inside, cross layers, a rating."""
    user = keras.Input((), dtype="int32", name="user")
    genre = keras.Input((), dtype="string", name="genre")
    rows = layers.StringLookup(vocabulary=["noir", "love", "war"])(genre)
    fields = layers.Concatenate()([layers.Embedding(USERS, 8)(user), layers.Embedding(4, 8)(rows)])
    crossed = keras_rs.layers.FeatureCross(projection_dim=4)(fields, fields)
    crossed = keras_rs.layers.FeatureCross(projection_dim=4)(fields, crossed)
    out = layers.Dense(1)(layers.Dense(16, activation="relu")(crossed))
    model = keras.Model({"user": user, "genre": genre}, out)
    x = {"user": USER, "genre": tf.constant(WORDS)}
    return Foreign(model, x, RATING, {"loss": "mse"}, xla="no")


@shown
def keras_rs_dlrm():
    """keras-rs, "DLRM": dense features through a bottom network, inner products of all fields."""
    numbers = keras.Input((3,), name="numbers")
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    fields = [
        layers.Dense(8, activation="relu")(numbers),
        layers.Embedding(USERS, 8)(user),
        layers.Embedding(ITEMS, 8)(item),
    ]
    products = keras_rs.layers.DotInteraction()(fields)
    out = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([fields[0], products]))
    model = keras.Model({"numbers": numbers, "user": user, "item": item}, out)
    x = {"numbers": NUMBERS, "user": USER, "item": ITEM}
    return Foreign(model, x, CLICK, {"loss": "binary_crossentropy", "metrics": ["auc"]})


@shown
def keras_rs_sequential_retrieval():
    """keras-rs, "sequential retrieval" (GRU4Rec): a recurrent query tower over a masked history."""
    history = keras.Input((5,), dtype="int32")
    vectors = layers.Embedding(ITEMS, 8, mask_zero=True)(history)
    model = keras.Model(history, layers.Dense(ITEMS)(layers.GRU(8)(vectors)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Foreign(model, HISTORY, ITEM, {"loss": loss})


@keras.saving.register_keras_serializable("gallery")
class Attention(keras.Model):
    """keras-rs, "SASRec": positions, causal self-attention, logits tied to the item table."""

    def __init__(self, **options):
        super().__init__(**options)
        self.items = layers.Embedding(ITEMS, 8)
        self.positions = layers.Embedding(5, 8)
        self.attention = layers.MultiHeadAttention(2, 4, dropout=0.1)
        self.normal, self.forward = layers.LayerNormalization(), layers.Dense(8)

    def call(self, inputs, training=None):
        x = self.items(inputs) + self.positions(ops.arange(5))
        x = x + self.attention(x, x, use_causal_mask=True, training=training)
        x = self.normal(x + self.forward(x))
        return ops.matmul(x, ops.transpose(self.items.embeddings))


@shown
def keras_rs_self_attention_with_tied_table():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    return Foreign(Attention(), HISTORY, np.roll(HISTORY, -1, axis=1), {"loss": loss})


@keras.saving.register_keras_serializable("gallery")
class MultiTask(keras.Model):
    """keras-rs, "multi-task": retrieval and rating of the same vectors, weighted in one loss."""

    def __init__(self, **options):
        super().__init__(**options)
        self.user_embedding = layers.Embedding(USERS, 8)
        self.candidate_embedding = layers.Embedding(ITEMS, 8)
        self.rating_model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)])

    def call(self, inputs, training=False):
        users = self.user_embedding(inputs["user"])
        items = self.candidate_embedding(inputs["item"])
        rating = self.rating_model(ops.concatenate([users, items], axis=-1))
        return {"logits": ops.matmul(users, ops.transpose(items)), "rating": rating}

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        retrieval = keras.losses.categorical_crossentropy(
            ops.eye(ops.shape(y["rating"])[0]), y_pred["logits"], from_logits=True
        )
        rating = keras.losses.mean_squared_error(y["rating"], y_pred["rating"])
        return ops.mean(retrieval) + 0.5 * ops.mean(rating)


@shown
def keras_rs_multi_task():
    return Foreign(MultiTask(), {"user": USER, "item": ITEM}, {"rating": RATING})


@shown
def several_outputs_and_losses():
    """A functional model with a dictionary of outputs, a loss and a weight each."""
    user, numbers = keras.Input((), dtype="int32", name="user"), keras.Input((3,), name="numbers")
    hidden = layers.Concatenate()([layers.Embedding(USERS, 4)(user), layers.Dense(4)(numbers)])
    outputs = {
        "click": layers.Dense(1, activation="sigmoid")(hidden),
        "rating": layers.Dense(1, kernel_regularizer="l2")(hidden),
    }
    model = keras.Model({"user": user, "numbers": numbers}, outputs)
    compiled = {
        "loss": {"click": "binary_crossentropy", "rating": "mse"},
        "loss_weights": {"click": 1.0, "rating": 0.2},
        "metrics": {"rating": ["mae"]},
    }
    y = {"click": CLICK, "rating": RATING}
    return Foreign(model, {"user": USER, "numbers": NUMBERS}, y, compiled)


@shown
def pooled_embedding():
    """keras-rs's `EmbedReduce`: a mean of the vectors of several ids, in a sequential model."""
    pooled = keras_rs.layers.EmbedReduce(ITEMS, 8, combiner="mean")
    model = keras.Sequential([keras.Input((5,), dtype="int32"), pooled, layers.Dense(1)])
    return Foreign(model, HISTORY, RATING, {"loss": "mse"})


@keras.saving.register_keras_serializable("gallery")
class Ragged(keras.Model):
    """Histories of different lengths, padded inside before the look-up."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table, self.out = layers.Embedding(ITEMS, 8, mask_zero=True), layers.Dense(1)
        self.pool = layers.GlobalAveragePooling1D()

    def build(self, input_shape):
        self.table.build(input_shape)
        self.out.build((None, 8))
        super().build(input_shape)

    def call(self, inputs):
        return self.out(self.pool(self.table(inputs.to_tensor())))


@shown
def ragged_histories():
    x = tf.RaggedTensor.from_tensor(HISTORY, padding=0)
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    return Foreign(Ragged(), x, RATING, {"loss": "mse"}, spec=spec, xla="error")


@shown
def sparse_bags():
    """A sparse multi-hot bag of items into a dense layer, beside a user's table."""
    bag = keras.Input((ITEMS,), sparse=True, name="bag")
    user = keras.Input((), dtype="int32", name="user")
    both = layers.Concatenate()([layers.Dense(4)(bag), layers.Embedding(USERS, 4)(user)])
    model = keras.Model({"bag": bag, "user": user}, layers.Dense(1)(both))
    rows = np.repeat(np.arange(ROWS), 5)
    dense = np.zeros((ROWS, ITEMS), np.float32)
    dense[rows, HISTORY.ravel()] = 1.0
    return Foreign(
        model, {"bag": tf.sparse.from_dense(dense), "user": USER}, RATING, {"loss": "mse"}
    )


@shown
def preprocessing_inside():
    """Numbers normalised and binned, words hashed: all inside a functional model."""
    normal = layers.Normalization()
    normal.adapt(NUMBERS)
    numbers = keras.Input((3,), name="numbers")
    age, word = keras.Input((), name="age"), keras.Input((), dtype="string", name="word")
    bins = layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])(age)
    fields = [
        normal(numbers),
        layers.Embedding(4, 4)(bins),
        layers.Embedding(8, 4)(layers.Hashing(8)(word)),
    ]
    model = keras.Model(
        {"numbers": numbers, "age": age, "word": word},
        layers.Dense(1)(layers.Concatenate()(fields)),
    )
    x = {"numbers": NUMBERS, "age": NUMBERS[:, 0], "word": tf.constant(WORDS)}
    return Foreign(model, x, RATING, {"loss": "mse"}, xla="no")


@shown
def frozen_tower():
    """A pretrained user table that is frozen; items and head are trained."""
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    frozen = layers.Embedding(USERS, 8, trainable=False, name="pretrained")
    vectors = [frozen(user), layers.Embedding(ITEMS, 8)(item)]
    model = keras.Model({"user": user, "item": item}, layers.Dot(1)(vectors))
    return Foreign(model, {"user": USER, "item": ITEM}, RATING, {"loss": "mse"})


@shown
def shared_table():
    """One item table for the history and for the candidate."""
    history = keras.Input((5,), dtype="int32", name="history")
    item = keras.Input((), dtype="int32", name="item")
    table = layers.Embedding(ITEMS, 8)
    score = layers.Dot(1)([layers.GlobalAveragePooling1D()(table(history)), table(item)])
    model = keras.Model({"history": history, "item": item}, layers.Activation("sigmoid")(score))
    return Foreign(
        model, {"history": HISTORY, "item": ITEM}, CLICK, {"loss": "binary_crossentropy"}
    )


@shown
def wide_and_deep_with_batch_statistics():
    """Wide and deep over numbers alone, with batch statistics and dropout: inputs are attacked."""
    numbers = keras.Input((3,))
    deep = layers.Dropout(0.2, seed=1)(layers.BatchNormalization()(layers.Dense(8)(numbers)))
    model = keras.Model(numbers, layers.Add()([layers.Dense(1)(numbers), layers.Dense(1)(deep)]))
    return Foreign(model, NUMBERS, RATING, {"loss": "mse"}, input_features())


@shown
def hidden_vectors():
    """A sequential network over numbers, attacked where its tower ends."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(8, activation="tanh", name="tower"), layers.Dense(1)]
    )
    return Foreign(model, NUMBERS, RATING, {"loss": "mse"}, outputs_of("tower"))
