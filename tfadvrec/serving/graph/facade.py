"""The object that is saved: ids in, ids out, core operations between."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadvrec.serving.graph.askers import Histories, Users
from tfadvrec.serving.graph.catalogue import Catalogue
from tfadvrec.serving.graph.factors import Factors
from tfadvrec.serving.graph.lookup import ids_by_row, rows_by_id
from tfadvrec.serving.graph.signatures import MASKED_SCORE, Offer, interface
from tfadvrec.serving.graph.traced import Traced

Outputs = dict[str, tf.Tensor]
METHODS = {"serving_default": "recommend"}


class Facade(tf.Module):
    """Looks ids up, asks the ranker for rows and turns them back into ids.

    It holds raw variables and file tables and no Keras object, so that the saved graph needs
    TensorFlow only. What is called `asker` has the name of the offer: `user_id` or `history`.

    Args:
        ranker: What scores rows.
        offer: What is possible.
        users: Vocabulary file of the users, where they have ids.
        items: Vocabulary file of the items.
        mask_unknown: Whether an unknown user gets masked slots.
        extras: The model's traced `generate`, `discriminate` and `detect`, as it has them.
    """

    def __init__(
        self,
        ranker: Factors | Catalogue,
        offer: Offer,
        users: Path | None,
        *,
        items: Path,
        mask_unknown: bool,
        extras: Mapping[str, Traced],
    ) -> None:
        super().__init__(name="tfadvrec_servable")
        self.ranker, self.offer, self.mask_unknown = ranker, offer, mask_unknown
        self.item_rows = rows_by_id(items)
        self.item_ids = ids_by_row(items)
        self.askers = (
            Users(users) if offer.history is None else Histories(self.item_rows, offer.history)
        )
        self.extras = dict(extras)
        self.interface = interface(offer)

    def recommend(self, asker: tf.Tensor) -> Outputs:
        """Ranks the catalogue for each asker."""
        rows, known = self.askers(asker)
        scores, found = self.ranker.top(rows, self.offer.width)
        return self.listed(scores, found, known)

    def recommend_examples(self, examples: tf.Tensor) -> Outputs:
        """The same for serialised `tf.Example`s."""
        (name,) = self.offer.asker
        feature = tf.io.parse_example(examples, {name: self.askers.example_feature})[name]
        return self.recommend(self.askers.from_feature(feature))

    def recommend_excluding(self, asker: tf.Tensor, exclude: tf.Tensor) -> Outputs:
        """Ranks the catalogue without each asker's excluded items."""
        count = min(self.offer.width + self.offer.max_exclude, self.offer.n_items)
        return self.without(asker, exclude, count, self.offer.width)

    def recommend_flex(self, asker: tf.Tensor, exclude: tf.Tensor, k: tf.Tensor) -> Outputs:
        """The same with as many items, and as many exclusions, as each request wants."""
        batch = tf.shape(asker)[0]
        exclude = tf.broadcast_to(exclude, [batch, tf.shape(exclude)[1]])
        k = tf.broadcast_to(k, [batch])
        width = tf.clip_by_value(tf.reduce_max(k), 0, self.offer.n_items)
        count = tf.minimum(width + tf.shape(exclude)[1], self.offer.n_items)
        wanted = tf.range(width)[None, :] < k[:, None]
        return self.without(asker, exclude, count, width, wanted)

    def without(
        self,
        asker: tf.Tensor,
        exclude: tf.Tensor,
        count: int | tf.Tensor,
        width: int | tf.Tensor,
        wanted: tf.Tensor | None = None,
    ) -> Outputs:
        """Takes the best `width` of the best `count` that are not excluded, and are `wanted`."""
        rows, known = self.askers(asker)
        scores, found = self.ranker.top(rows, count)
        unwanted = tf.cast(self.item_rows.lookup(exclude), tf.int32)
        hit = tf.reduce_any(found[:, :, None] == unwanted[:, None, :], axis=2)
        scores, order = tf.math.top_k(tf.where(hit, MASKED_SCORE, scores), width)
        if wanted is not None:
            scores = tf.where(wanted, scores, MASKED_SCORE)
        return self.listed(scores, tf.gather(found, order, batch_dims=1), known)

    def score(self, asker: tf.Tensor, item_id: tf.Tensor) -> Outputs:
        """Scores pairs; a pair with an unknown id is masked."""
        rows, known_user = self.askers(asker)
        items, known_item = self.items(item_id)
        scores = tf.where(known_user & known_item, self.ranker.pairs(rows, items), MASKED_SCORE)
        return {"score": scores, "known_user": known_user, "known_item": known_item}

    def embed_user(self, asker: tf.Tensor) -> Outputs:
        """Gives the askers' vectors; an unknown one has the fallback: the mean user, or zeros."""
        rows, known = self.askers(asker)
        vectors = self.ranker.vectors(rows)
        if self.mask_unknown:
            vectors = tf.where(known[:, None], vectors, 0.0)
        return {"embedding": vectors, "known_user": known}

    def embed_item(self, item_id: tf.Tensor) -> Outputs:
        """Gives the items' vectors; an unknown item has zeros."""
        rows, known = self.items(item_id)
        vectors = self.ranker.item_vectors(rows)
        return {"embedding": tf.where(known[:, None], vectors, 0.0), "known_item": known}

    def generate(self, asker: tf.Tensor, seed: tf.Tensor) -> Outputs:
        """Generates one profile a row from the row's own seed; an unknown user has zeros."""
        rows, known = self.askers(asker)
        profile = self.extras["generate"](tf.maximum(rows, 0), seed)
        shown = tf.reshape(known, [-1] + [1] * (profile.shape.rank - 1))
        return {"profile": tf.where(shown, profile, 0.0), "known_user": known}

    def discriminate(self, asker: tf.Tensor, item_id: tf.Tensor) -> Outputs:
        """Says how likely each pair is real; 0 where an id is unknown."""
        rows, known_user = self.askers(asker)
        items, known_item = self.items(item_id)
        real = self.extras["discriminate"](tf.maximum(rows, 0), items)
        real = tf.where(known_user & known_item, real, 0.0)
        return {"p_real": real, "known_user": known_user, "known_item": known_item}

    def detect(self, profile: tf.Tensor) -> Outputs:
        """Says how likely each profile is fake."""
        return {"p_fake": self.extras["detect"](profile)}

    def items(self, item_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks items up: int32 rows (0 for unknown ones) and whether known."""
        rows = tf.cast(self.item_rows.lookup(item_id), tf.int32)
        return tf.maximum(rows, 0), rows >= 0

    def listed(self, scores: tf.Tensor, rows: tf.Tensor, known: tf.Tensor) -> Outputs:
        """Turns scores and item rows into the answer; masked slots get the id `""`."""
        if self.mask_unknown:
            scores = tf.where(known[:, None], scores, MASKED_SCORE)
        rows = tf.where(scores > MASKED_SCORE, tf.cast(rows, tf.int64), -1)
        return {"item_id": self.item_ids.lookup(rows), "score": scores, "known_user": known}

    def functions(self, names: Iterable[str]) -> dict[str, Callable[..., Outputs]]:
        """Makes the signatures' functions, with every input named and every default in place.

        Args:
            names: Signatures out of `self.interface`.

        Returns:
            Name -> a `tf.function` with a fixed input signature.
        """
        made = {}
        for name in names:
            inputs = self.interface[name]["inputs"]
            specs = [spec_of(key, one) for key, one in inputs.items()]
            method = named(getattr(self, METHODS.get(name, name)), inputs)
            made[name] = tf.function(method, input_signature=specs, autograph=False)
        return made


def named(method: Callable[..., Outputs], inputs: Mapping[str, Any]) -> Callable[..., Outputs]:
    """Gives a method's parameters the names, and the defaults, of a signature's inputs."""

    def call(*tensors: tf.Tensor) -> Outputs:
        return method(*tensors)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature(
        [inspect.Parameter(name, kind, default=default_of(one)) for name, one in inputs.items()]
    )
    return call


def spec_of(name: str, described: Mapping[str, Any]) -> tf.TensorSpec:
    """The spec of an input."""
    shape = [None if size < 0 else size for size in described["shape"]]
    return tf.TensorSpec(shape, described["dtype"], name=name)


def default_of(described: Mapping[str, Any]) -> tf.Tensor | type[inspect.Parameter.empty]:
    """The default of an input as a tensor, where it has one."""
    default = described.get("default")
    if default is None:
        return inspect.Parameter.empty
    return tf.reshape(tf.constant(default["values"], default["dtype"]), default["shape"])
