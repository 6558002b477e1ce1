"""From a trained click model to a verified, numbered version folder: values in, probability out."""

import keyword
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfadvrec.data.click_log import ClickLog
from tfadvrec.serving.contract import read_contract, write_contract
from tfadvrec.serving.graph.click_facade import ClickFacade
from tfadvrec.serving.graph.traced import Traced
from tfadvrec.serving.ladder import verification
from tfadvrec.serving.ladder.comparison import TOLERANCE
from tfadvrec.serving.ladder.graph_audit import operations, read_meta_graph
from tfadvrec.serving.ladder.runtimes import IsolatedRun
from tfadvrec.serving.ladder.tensors import packed, strings
from tfadvrec.serving.operations import warm_up
from tfadvrec.serving.publishing import choose_version, publish, staging
from tfadvrec.serving.releasing import ExportError
from tfadvrec.serving.report import Report
from tfadvrec.serving.vocabulary import sha256, wire_ids, write_vocabulary

PROBE_ROWS = 8
FRESH_ROWS = 64
STRANGER = "no such value"


def is_click_model(model: Any) -> bool:
    """Tells whether a model, or the model inside a wrapper, takes fields and not a catalogue."""
    return any(
        hasattr(one, "logits_of") and hasattr(one, "columns")
        for one in (model, getattr(model, "model", None))
    )


def export_clicks(
    model: Any,
    path: str | Path,
    *,
    version: int | None = None,
    batch_sizes: tuple[int, ...] = (1, 8, 32),
    metrics: Mapping[str, float] | None = None,
) -> Report:
    """Writes a click model as a version folder for TensorFlow Serving, verified as `export` does.

    The servable's inputs are the model's own columns: a string `(batch,)` for each field (numbers
    as decimal text), a float32 `(batch,)` for each number; its outputs `probability` and `logit`.
    Vocabularies and scales are part of it. The answers are compared with the live model's in a
    Python without Keras and in TensorFlow's C runtime; a failure publishes nothing.

    Args:
        model: A `ClickModel`, or an `AdversarialTraining` around one.
        path: The base path, below which the versions lie.
        version: The version's number; None for the highest plus one.
        batch_sizes: Rows of the warm-up requests.
        metrics: Offline metrics that the contract shall tell.

    Returns:
        The `Report` of the published version.

    Raises:
        ExportError: If the verification failed; its `report` says where.
        FileExistsError: If the version exists.
        ValueError: If a column's name or value is not fit for serving.
    """
    started = time.perf_counter()
    model = model if hasattr(model, "logits_of") else model.model
    check_names([column.name for column in model.columns])
    base = Path(path)
    number = choose_version(base, version)
    with IsolatedRun("python_runtime") as python, staging(base, number) as folder:
        options = {"batch_sizes": list(batch_sizes), "history": None}
        said = {"version": number, "options": options, "metrics": dict(metrics or {})}
        save(model, folder, base.absolute().name, said)
        contract = read_contract(folder)
        calls = [*contract["probe"], *made_calls(model, rows=FRESH_ROWS, seed=1)]
        found = verification.climb(folder, contract, calls=calls, runtime="c", python=python)
        report = Report(
            path=str(base / str(number)),
            version=number,
            **verification.facts(contract),
            seconds={"export": round(time.perf_counter() - started, 3)},
            **found,
        )
        if not report.verified:
            raise ExportError(report)
        publish(folder, base, number)
    return report


def check_names(names: list[str]) -> None:
    """Refuses columns that no signature can have as an input."""
    wrong = [name for name in names if not name.isidentifier() or keyword.iskeyword(name)]
    if wrong:
        raise ValueError(
            f"the columns {wrong} cannot be inputs of a signature: names are letters, digits and "
            "underscores, and begin with no digit. Rename them before the model is made."
        )


def save(model: Any, folder: Path, name: str, said: dict[str, Any]) -> None:
    """Writes the saved model, its warm-up requests and its contract into a folder."""
    with tempfile.TemporaryDirectory(prefix="tfadvrec-export-") as room:
        files = {}
        for column in model.fields:
            files[column.name] = Path(room, f"{column.name}.txt")
            words = wire_ids(list(column.vocabulary), column.name)
            write_vocabulary(files[column.name], words)
        facade = ClickFacade(model.fields, model.numbers, files, traced(model))
        tf.saved_model.save(facade, str(folder), signatures=facade.functions())
    contract = {
        **said,
        "model": {"class": type(model).__name__, "kind": "click"},
        "index": {"kind": "none", "exact": True, "bytes": facade.logits.n_bytes},
        "tolerance": TOLERANCE,
        "vocabularies": {
            column.name: {
                "file": f"assets/{column.name}.txt",
                "rows": len(column.vocabulary),
                "sha256": sha256(folder / "assets" / f"{column.name}.txt"),
            }
            for column in model.fields
        },
        "signatures": facade.interface,
        "ops": operations(read_meta_graph(folder).graph_def),
        "probe": made_calls(model, rows=PROBE_ROWS, seed=0),
    }
    why = warm_up.missing()
    contract["warmup"] = {"records": 0, "why": why} if why else {}
    if not why:
        contract["warmup"] = {"records": warm_up.write(folder, name, contract)}
    write_contract(folder, contract)


def traced(model: Any) -> Traced:
    """The model's graph from rows and numbers to logits."""
    specs = {}
    if model.fields:
        specs["fields"] = tf.TensorSpec([None, len(model.fields)], tf.int32, name="fields")
    if model.numbers:
        specs["numbers"] = tf.TensorSpec([None, len(model.numbers)], tf.float32, name="numbers")
    return Traced(_Logits(model, list(specs)), "logits", list(specs.values()), gives=[None])


class _Logits:
    """A click model as a function of its inputs, in order."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self.model, self.names = model, names

    def logits(self, *given: tf.Tensor) -> tf.Tensor:
        inputs = dict(zip(self.names, given, strict=True))
        return self.model(inputs, training=False)[:, 0]


def made_calls(model: Any, *, rows: int, seed: int) -> list[dict[str, Any]]:
    """Calls of each signature with the live model's answers, unknown and empty values among them.

    The live model looks its values up in Python (`ClickModel.rows`), apart from the graph.
    """
    rng, inputs, frame = np.random.default_rng(seed), {}, {}
    for column in model.fields:
        words = [column.vocabulary[i] for i in rng.integers(len(column.vocabulary), size=rows)]
        words[rng.integers(rows)], words[-1] = STRANGER, ""
        inputs[column.name], frame[column.name] = strings(words), words
    for column in model.numbers:
        drawn = (column.mean + column.scale * rng.normal(size=rows)).astype(np.float32)
        inputs[column.name], frame[column.name] = packed(drawn), drawn
    outputs = _answers(model, frame, rows)
    return [
        {"signature": name, "inputs": inputs, "outputs": outputs}
        for name in ("serving_default", "predict")
    ]


def _answers(model: Any, frame: Mapping[str, Any], rows: int) -> dict[str, Any]:
    label = "_label"
    log = ClickLog.from_frame(
        {**frame, label: np.zeros(rows)},
        label=label,
        fields=[column.name for column in model.fields],
        numbers=[column.name for column in model.numbers],
    )
    logit = np.asarray(model(model.rows(log), training=False), np.float64)[:, 0]
    probability = 1.0 / (1.0 + np.exp(-logit))
    return {
        "probability": packed(probability.astype(np.float32)),
        "logit": packed(logit.astype(np.float32)),
    }
