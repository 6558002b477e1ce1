"""What is to be exported, all questions answered."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfadvrec.serving.export_spec import ExportSpec
from tfadvrec.serving.graph.catalogue import Catalogue
from tfadvrec.serving.graph.factors import Factors, UserTable
from tfadvrec.serving.graph.signatures import Offer, interface
from tfadvrec.serving.graph.traced import Traced
from tfadvrec.serving.ladder.live_answers import LiveAnswers
from tfadvrec.serving.model_vectors import ranking_model, read_vectors
from tfadvrec.serving.vocabulary import wire_ids

EXTRAS = ("generate", "discriminate", "detect")
NEEDS = {
    "embed_user": "vectors of users",
    "embed_item": "vectors of items",
    "recommend_flex": "open widths, which server_batching=True cannot merge",
    **{name: f"a method {name}, and user ids" for name in ("generate", "discriminate")},
    "detect": "a method detect",
}


class Plan(NamedTuple):
    """What is to be exported.

    Args:
        about: Class and kind of the model, for the contract.
        ranker: What scores rows in the servable.
        extras: The model's other traced methods.
        offer: What is possible.
        live: Who says what is right.
        spec: The spec with nothing open.
    """

    about: dict[str, Any]
    ranker: Factors | Catalogue
    extras: dict[str, Traced]
    offer: Offer
    live: LiveAnswers
    spec: ExportSpec

    @property
    def signatures(self) -> dict[str, Any]:
        """The signatures to be offered, as `interface` describes them."""
        every = interface(self.offer)
        wanted = {"serving_default", "recommend", *(self.spec.signatures or every)}
        return {name: one for name, one in every.items() if name in wanted}

    @property
    def exact(self) -> bool:
        """Whether the servable must answer what the model answers, to rounding."""
        return isinstance(self.ranker, Catalogue) or self.spec.index.describe()["exact"]

    @property
    def index(self) -> dict[str, Any]:
        """What the contract says about the search."""
        if isinstance(self.ranker, Catalogue):
            return {"kind": "score_catalogue", "exact": True, "bytes": self.ranker.n_bytes}
        return {**self.spec.index.describe(), "bytes": self.ranker.n_bytes}

    @property
    def options(self) -> dict[str, Any]:
        """What the contract says about the options."""
        spec = self.spec
        return {
            "k": spec.k,
            "width": self.offer.width,
            "max_exclude": spec.max_exclude,
            "unknown_user": spec.unknown_user,
            "history": spec.history,
            "batch_sizes": [int(size) for size in spec.batch_sizes],
            "server_batching": spec.server_batching,
            "examples": self.offer.examples,
        }

    def content(self) -> str | None:
        """A checksum of all that is served; None where a traced method decides it."""
        live = self.live
        if live.vectors is None or live.users is None or self.extras:
            return None
        said = json.dumps([self.signatures, self.options, self.index], sort_keys=True)
        parts = [said, *(one for side in (live.users, live.items) for one in ("\n", *side))]
        digest = hashlib.sha256("\n".join(parts).encode())
        for table in live.vectors:
            digest.update(np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()


def whole_spec(spec: ExportSpec | None, options: Mapping[str, Any]) -> ExportSpec:
    """Merges options into a spec."""
    names = [field.name for field in fields(ExportSpec)]
    unknown = [name for name in options if name not in names]
    if unknown:
        raise TypeError(f"export has no options {unknown}; there are {['version', *names]}.")
    return replace(spec or ExportSpec(), **options)


def make_plan(model: Any, spec: ExportSpec) -> Plan:
    """Reads the model and answers what the spec leaves open.

    Args:
        model: The trained model.
        spec: What is asked for.

    Raises:
        ValueError: If the model cannot be served as asked, or ids are not fit for it.
    """
    model = ranking_model(model, spec.history)
    users = None if spec.history else ids_of(model, spec.user_ids, "user")
    items = ids_of(model, spec.item_ids, "item")
    vectors = read_vectors(model, None if users is None else len(users), len(items))
    spec = replace(spec, unknown_user=unknown_policy(model, spec, vectors))
    ranker = make_ranker(model, spec, vectors, len(items))
    extras = trace_extras(model, spec, len(items))
    about = {
        "class": type(model).__name__,
        "kind": "catalogue" if vectors is None else "factors",
        "dimension": ranker.dimension,
    }
    return make_whole(about, ranker, extras, spec, model, users=users, items=items, vectors=vectors)


def make_whole(
    about: dict[str, Any],
    ranker: Factors | Catalogue,
    extras: dict[str, Traced],
    spec: ExportSpec,
    model: Any = None,
    *,
    users: list[str] | None,
    items: list[str],
    vectors: tuple[np.ndarray | None, np.ndarray] | None,
) -> Plan:
    """Makes the plan of parts that fit together.

    Args:
        about: Class, kind and dimension of the model.
        ranker: What scores rows.
        extras: The model's other traced methods.
        spec: The spec, with `unknown_user`.
        model: The live model; None where `vectors` are all there is.
        users: Wire ids of the users; None where histories ask.
        items: Wire ids of the items.
        vectors: What `read_vectors` gave.

    Raises:
        ValueError: If a signature is asked for that cannot be.
    """
    wanted = spec.signatures or ()
    generate = extras.get("generate")
    offer = Offer(
        width=min(spec.k, len(items)),
        n_items=len(items),
        max_exclude=spec.max_exclude,
        dimension=ranker.dimension,
        history=spec.history,
        flex=not spec.server_batching,
        examples=spec.examples or "recommend_examples" in wanted,
        profile=None if generate is None else tuple(generate.gives[1:].as_list()),
        discriminate="discriminate" in extras,
        detect="detect" in extras,
    )
    impossible = [name for name in wanted if name not in interface(offer)]
    if impossible:
        needs = "; ".join(f"{name} needs {NEEDS[name]}" for name in impossible)
        raise ValueError(f"{about['class']} cannot serve the signatures {impossible}: {needs}.")
    live = LiveAnswers(
        model,
        users=users,
        items=items,
        width=offer.width,
        unknown_user=spec.unknown_user,
        history=spec.history,
        vectors=vectors,
    )
    return Plan(about, ranker, extras, offer, live, spec)


def unknown_policy(model: Any, spec: ExportSpec, vectors: Any) -> str:
    """What unknown users get; `"mean"` only where there are user vectors to average."""
    averaged = vectors is not None and vectors[0] is not None
    if spec.unknown_user == "mean" and not averaged:
        raise ValueError(
            f"{type(model).__name__} has no user vectors{' of its own' if spec.history else ''}, "
            "so unknown_user='mean' cannot be served; take unknown_user='empty'."
        )
    return spec.unknown_user or ("mean" if averaged else "empty")


def make_ranker(
    model: Any,
    spec: ExportSpec,
    vectors: tuple[np.ndarray | None, np.ndarray] | None,
    n_items: int,
) -> Factors | Catalogue:
    """Makes what scores rows: tables where the model is factorised, else its traced scores."""
    rows = tf.TensorSpec([None, spec.history] if spec.history else [None], tf.int32, name="rows")
    if vectors is None:
        method = "score_history" if spec.history else "score_catalogue"
        return Catalogue(Traced(model, method, [rows], gives=[None, n_items]), n_items)
    users, items = vectors
    dimension = items.shape[1]
    if users is None:
        askers = Traced(model, "embed_history", [rows], gives=[None, dimension])
    else:
        askers = UserTable(users, unknown_user=spec.unknown_user)
    return Factors(askers, spec.index.build(items), dimension)


def trace_extras(model: Any, spec: ExportSpec, n_items: int) -> dict[str, Traced]:
    """Traces what the model has of `generate`, `discriminate` and `detect`."""
    rows = tf.TensorSpec([None], tf.int32, name="rows")
    seeds = tf.TensorSpec([None, 2], tf.int64, name="seeds")
    profiles = tf.TensorSpec([None, n_items], tf.float32, name="profiles")
    methods = {
        "generate": ([rows, seeds], None),
        "discriminate": ([rows, rows], [None]),
        "detect": ([profiles], [None]),
    }
    if spec.history:
        methods = {"detect": methods["detect"]}
    asked = methods if spec.signatures is None else spec.signatures
    made = {
        name: Traced(model, name, inputs, gives=gives)
        for name, (inputs, gives) in methods.items()
        if name in asked and hasattr(model, name)
    }
    width = made["generate"].gives if "generate" in made else tf.TensorShape([None])
    if not width[1:].is_fully_defined():
        raise ValueError(
            f"{made['generate'].called}(rows, seeds) must give (batch, ...) of a fixed width, got "
            f"{width}."
        )
    return made


def ids_of(model: Any, ids: Any, side: str) -> list[str]:
    """Finds the ids of one side, from the spec or from the model, and checks them."""
    given = getattr(model, f"{side}_ids", None) if ids is None else ids
    if given is None:
        raise ValueError(
            f"The model knows no {side}_ids. Give {side}_ids=..., one id for each row of the model "
            "in row order, or bind the model to its log before."
        )
    strings = wire_ids(given, side)
    rows = getattr(model, f"n_{side}s", len(strings))
    if rows != len(strings):
        raise ValueError(
            f"{side}_ids must have one id for each of the model's {rows} rows, got {len(strings)}."
        )
    return strings
