"""Matrix factorisation that sees its items: VBPR, and the scorer of AMR."""

import zlib
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfadvrec.models.item_modalities import ItemModalities
from tfadvrec.models.modalities import Modalities, as_modalities, make_tables
from tfadvrec.models.recommender import Recommender, check_rows
from tfadvrec.models.vector_scores import vector_scores
from tfadvrec.presets import register

FORMS = ("vbpr", "amr")


@register
@keras.saving.register_keras_serializable(package="tfadvrec")
class VBPR(ItemModalities, Recommender):
    """Ranks by factors of users and items, and by what users think of items' features.

    | form | score |
    |---|---|
    | `"vbpr"` | b_i + p_u . q_i + sum_m t_u . (E_m f_im) + c_m . f_im |
    | `"amr"` | p_u . (q_i + sum_m E_m f_im) |

    f_im are the features of modality m, 0 where item i has none; t_u are factors of their own.
    The published global and user offsets are left out: they change no ranking. Features have a
    median length of 1 a modality. AMR is this model trained against
    `FastGradient(epsilon)` on `adversary.outputs_of("modality_")`, positive and negative item.

    Args:
        n_users: Number of user rows.
        n_items: Number of item rows.
        modalities: The items' `Modality`s, or dictionaries of them.
        form: `"vbpr"` or `"amr"`.
        dimension: Width of p and q.
        feature_dimension: Width of t, for `"vbpr"`.
        regularization: Weight of the squared lengths of a batch's vectors of users and items
            (for `"amr"` the whole item vector), averaged over rows and coordinates.
        initial_scale: Standard deviation that all vectors start from.
        seed: Seed of the initial values, or None.
        name: The Keras model name.

    Raises:
        ValueError: If an argument is out of range, or there is no modality.

    Shapes: see `Recommender`.

    Example:

    >>> import numpy as np
    >>> from tfadvrec.data import Interactions
    >>> log = Interactions.from_arrays([1, 1, 2], ["a", "b", "c"])
    >>> images = np.array([[3.0, 4.0], [0.0, 5.0], [np.nan, np.nan]])  # none of the third
    >>> model = VBPR.for_log(log, vectors={"image": images}, form="amr", dimension=4, seed=0)
    >>> model.score_catalogue([0, 1]).shape
    TensorShape([2, 3])

    Reference: He and McAuley, VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback,
    AAAI 2016, equation 4; Tang et al., Adversarial Training Towards Robust Multimedia Recommender
    System, TKDE 2019, equation 5.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        modalities: Modalities,
        form: str = "vbpr",
        dimension: int = 64,
        feature_dimension: int = 32,
        regularization: float = 0.0,
        initial_scale: float = 0.01,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(n_users=n_users, n_items=n_items, name=name)
        self.modalities = as_modalities(modalities)
        if form not in FORMS or not self.modalities:
            raise ValueError(
                f"form is one of {FORMS} and there is at least one modality, got {form!r} and "
                f"{len(self.modalities)} modalities."
            )
        if min(dimension, feature_dimension) < 1 or regularization < 0 or initial_scale <= 0:
            raise ValueError(
                "dimensions are at least 1, regularization at least 0 and initial_scale above 0, "
                f"got {dimension!r}, {feature_dimension!r}, {regularization!r}, {initial_scale!r}."
            )
        self.form, self.dimension, self.feature_dimension = form, dimension, feature_dimension
        self.regularization, self.initial_scale, self.seed = regularization, initial_scale, seed
        self.user_embedding = self._vectors("user_embedding", n_users, dimension)
        self.item_embedding = self._vectors("item_embedding", n_items, dimension)
        self.modality_tables = make_tables(n_items, self.modalities)
        own = form == "vbpr"
        width = feature_dimension if own else dimension
        self.maps = self._maps("map", width)
        self.user_taste, self.biases, self.bias = None, [], None
        if own:
            self.user_taste = self._vectors("user_taste", n_users, width)
            self.biases = self._maps("bias", 1)
            self.bias = self.add_weight(shape=(n_items,), initializer="zeros", name="item_rows")
        self.built = True

    def _start(self, name: str) -> keras.initializers.Initializer:
        seed = None if self.seed is None else zlib.crc32(f"{self.seed}/{name}".encode())
        return keras.initializers.TruncatedNormal(stddev=self.initial_scale, seed=seed)

    def _vectors(self, name: str, rows: int, width: int) -> keras.layers.Embedding:
        layer = keras.layers.Embedding(
            rows, width, embeddings_initializer=self._start(name), name=name
        )
        layer.build(())
        return layer

    def _maps(self, label: str, units: int) -> list[keras.layers.Dense]:
        """A linear map of each modality's features."""
        maps = []
        for table in self.modality_tables:
            name = f"{label}_{table.name}"
            start = self._start(name)
            layer = keras.layers.Dense(units, use_bias=False, kernel_initializer=start, name=name)
            layer.build((None, table.modality.width))
            maps.append(layer)
        return maps

    # -- scores ---------------------------------------------------------------------------

    def _users(self, rows: Any) -> Any:
        """Vectors against which those of `_items` are scored."""
        users = self.user_embedding(rows)
        if self.user_taste is None:
            return users
        return ops.concatenate([users, self.user_taste(rows), ops.ones_like(users[..., :1])], -1)

    def _items(self, rows: Any) -> Any:
        seen, offset = 0.0, 0.0
        for place, (table, layer) in enumerate(zip(self.modality_tables, self.maps, strict=True)):
            features, present = table(rows)
            seen += present[..., None] * layer(features)
            if self.biases:
                offset += present[..., None] * self.biases[place](features)
        items = self.item_embedding(rows)
        if self.bias is None:
            return items + seen
        offset += ops.take(self.bias, rows, axis=0)[..., None]
        return ops.concatenate([items, seen, offset], axis=-1)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tf.Tensor:
        users = self._users(inputs["user_id"])
        items = self._items(ops.convert_to_tensor(inputs["item_id"]))
        if training and self.regularization:
            lengths = ops.mean(ops.square(users)) + ops.mean(ops.sum(ops.square(items), axis=-2))
            self.add_loss(self.regularization * lengths)
        return vector_scores(users, items)

    def embed_users(self, rows: Any) -> tf.Tensor:
        """Vectors of users: p; for `"vbpr"` p, t and a 1."""
        return self._users(check_rows(rows, self.n_users, "user"))

    def embed_items(self, rows: Any) -> tf.Tensor:
        """Vectors of items: q + sum E f; for `"vbpr"` q, sum E f, and both biases in one."""
        return self._items(check_rows(rows, self.n_items, "item"))

    # -- sharing --------------------------------------------------------------------------

    def row_weights(self) -> dict[str, tuple[str, int]]:
        """The factors, the biases, the items' features and what they have."""
        users = [self.user_embedding, *([self.user_taste] if self.user_taste else [])]
        items = [self.item_embedding.embeddings, *([] if self.bias is None else [self.bias])]
        items += [
            part for table in self.modality_tables for part in (table.features, table.present)
        ]
        return {
            **{layer.embeddings.path: ("user", 0) for layer in users},
            **{weight.path: ("item", 0) for weight in items},
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "n_users": self.n_users,
            "n_items": self.n_items,
            "modalities": [modality.to_dict() for modality in self.modalities],
            "form": self.form,
            "dimension": self.dimension,
            "feature_dimension": self.feature_dimension,
            "regularization": self.regularization,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
            "name": self.name,
        }
