"""One call from a trained model to a published, verified servable."""

import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from tfadvrec.serving import verification
from tfadvrec.serving.catalogue import Catalogue
from tfadvrec.serving.comparison import TOLERANCE
from tfadvrec.serving.contract import read_contract, write_contract
from tfadvrec.serving.export_spec import ExportSpec
from tfadvrec.serving.facade import Facade
from tfadvrec.serving.factors import Factors
from tfadvrec.serving.graph_audit import operations, read_meta_graph
from tfadvrec.serving.live_answers import LiveAnswers
from tfadvrec.serving.model_vectors import ranking_model, read_vectors
from tfadvrec.serving.probe import make_calls
from tfadvrec.serving.publishing import choose_version, publish, staging
from tfadvrec.serving.report import Report
from tfadvrec.serving.runtimes import IsolatedRun
from tfadvrec.serving.signatures import FACTORISED_ONLY, MASKED_SCORE
from tfadvrec.serving.vocabulary import sha256, wire_ids, write_vocabulary


class ExportError(RuntimeError):
    """A servable failed its verification; nothing was published.

    Args:
        report: What the verification found.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        found = "\n".join(f"- {failure}" for failure in report.failures)
        super().__init__(f"The servable failed its verification and was not published:\n{found}")


class Plan(NamedTuple):
    """What is to be exported, all questions answered."""

    model: Any
    ranker: Factors | Catalogue
    live: LiveAnswers
    spec: ExportSpec


def export(
    model: Any,
    path: str | Path,
    spec: ExportSpec | None = None,
    *,
    version: int | None = None,
    **options: Any,
) -> Report:
    """Writes a model as a version folder for TensorFlow Serving, verified before it is published.

    The model works on integer rows and has `embed_users(rows)` and `embed_items(rows)`, or
    `score_catalogue(rows)`; in a wrapper such as `AdversarialTraining` its `model` is taken. Of a
    factorised model two tables of vectors are stored, of another its traced `score_catalogue`;
    optimizers, perturbations and Keras objects never are. The folder is written as
    `.tmp-<version>-<random>` beside the other versions, verified as `verify` does with `model`,
    and renamed to its number. A failure publishes nothing and leaves nothing.

    Args:
        model: The trained model.
        path: The base path, below which the versions lie; it is made where there is none.
        spec: What to offer; the defaults of `ExportSpec` where None.
        version: The version's number; None for the highest plus one.
        **options: Fields of `ExportSpec`, which replace those of `spec`.

    Returns:
        The `Report` of the published version.

    Raises:
        ExportError: If the verification failed; its `report` says where.
        FileExistsError: If the version exists.
        ValueError: If the model cannot be served as asked, or ids are not fit for it.
    """
    started = time.perf_counter()
    base = Path(path)
    number = choose_version(base, version)
    plan = make_plan(model, whole_spec(spec, options))
    seconds = {"read": time.perf_counter() - started}
    with IsolatedRun("python_runtime") as python, staging(base, number) as folder:
        save(plan, folder, number)
        seconds["save"] = time.perf_counter() - started - sum(seconds.values())
        contract = read_contract(folder)
        calls = [
            *contract["probe"],
            *make_calls(plan.live, contract["signatures"], rows=verification.LIVE_ROWS, seed=1),
        ]
        found = verification.climb(folder, contract, calls=calls, runtime="c", python=python)
        seconds["verify"] = time.perf_counter() - started - sum(seconds.values())
        report = Report(
            path=str(base / str(number)),
            version=number,
            signatures=tuple(contract["signatures"]),
            index_bytes=plan.ranker.n_bytes,
            seconds={name: round(value, 3) for name, value in seconds.items()},
            **found,
        )
        if not report.verified:
            raise ExportError(report)
        publish(folder, base, number)
    return report


def whole_spec(spec: ExportSpec | None, options: dict[str, Any]) -> ExportSpec:
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

    Returns:
        The ranker to save, the live answers to compare with, and the spec with `user_ids`,
        `item_ids` (as wire ids), `unknown_user` and `signatures` filled in.
    """
    model = ranking_model(model)
    users = ids_of(model, spec.user_ids, "user")
    items = ids_of(model, spec.item_ids, "item")
    vectors = read_vectors(model, len(users), len(items))
    unknown = spec.unknown_user or ("empty" if vectors is None else "mean")
    if vectors is None and unknown == "mean":
        raise ValueError(
            f"{type(model).__name__} has no user vectors, so unknown_user='mean' cannot be served; "
            "take unknown_user='empty'."
        )
    if vectors is None:
        ranker: Factors | Catalogue = Catalogue(model, len(items))
    else:
        ranker = Factors(*vectors, index=spec.index, unknown_user=unknown)
    impossible = [name for name in spec.signatures or () if name in FACTORISED_ONLY]
    if vectors is None and impossible:
        raise ValueError(
            f"{type(model).__name__} has no user and item vectors, so the signatures {impossible} "
            "cannot be served."
        )
    live = LiveAnswers(
        model,
        users=users,
        items=items,
        width=min(spec.k, len(items)),
        unknown_user=unknown,
        vectors=vectors,
    )
    return Plan(model, ranker, live, replace(spec, unknown_user=unknown))


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


def save(plan: Plan, folder: Path, number: int) -> None:
    """Writes the saved model and its contract into a folder."""
    spec = plan.spec
    with tempfile.TemporaryDirectory(prefix="tfadvrec-export-") as room:
        users, items = Path(room, "users.txt"), Path(room, "items.txt")
        write_vocabulary(users, plan.live.users)
        write_vocabulary(items, plan.live.items)
        facade = Facade(
            plan.ranker,
            users,
            items=items,
            n_items=len(plan.live.items),
            k=spec.k,
            max_exclude=spec.max_exclude,
            mask_unknown=spec.unknown_user == "empty",
        )
        wanted = {"serving_default", "recommend", *(spec.signatures or facade.interface)}
        offered = {name: one for name, one in facade.interface.items() if name in wanted}
        tf.saved_model.save(facade, str(folder), signatures=facade.functions(offered))
    write_contract(folder, describe(plan, folder, offered=offered, number=number))


def describe(plan: Plan, folder: Path, *, offered: dict[str, Any], number: int) -> dict[str, Any]:
    """Says what the contract says, but for its format and checksums."""
    spec, live = plan.spec, plan.live
    kind = "catalogue" if live.vectors is None else "factors"
    index = spec.index.describe() if kind == "factors" else {"kind": "score_catalogue"}
    return {
        "version": number,
        "model": {
            "class": type(plan.model).__name__,
            "kind": kind,
            "dimension": plan.ranker.dimension,
        },
        "options": {
            "k": spec.k,
            "width": live.width,
            "max_exclude": spec.max_exclude,
            "unknown_user": spec.unknown_user,
        },
        "index": {**index, "bytes": plan.ranker.n_bytes},
        "masked_score": MASKED_SCORE,
        "tolerance": TOLERANCE,
        "warmup": False,
        "vocabularies": {
            side: {
                "file": f"assets/{side}.txt",
                "rows": len(ids),
                "sha256": sha256(folder / "assets" / f"{side}.txt"),
            }
            for side, ids in (("users", live.users), ("items", live.items))
        },
        "signatures": offered,
        "ops": operations(read_meta_graph(folder).graph_def),
        "probe": make_calls(live, offered),
    }
