"""One call from a trained model to a published, verified servable."""

import time
from pathlib import Path
from typing import Any

from tfadvrec.serving.click_export import export_clicks, is_click_model
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.export_spec import ExportSpec
from tfadvrec.serving.ladder import verification
from tfadvrec.serving.planning import make_plan, whole_spec
from tfadvrec.serving.publishing import versions
from tfadvrec.serving.releasing import ExportError, release
from tfadvrec.serving.report import Report

__all__ = ["ExportError", "export"]


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
    `score_catalogue(rows)`; with `history=`, `embed_history(rows)` or `score_history(rows)` on item
    rows `(batch, history)` that end with -1. `generate(rows, seeds)`, `discriminate(users, items)`
    and `detect(profiles)` are served where it has them. In a wrapper such as `AdversarialTraining`
    its `model` is taken. Of a factorised model tables of vectors are stored, of another its traced
    scores; optimizers, perturbations and Keras objects never are. The folder is written as
    `.tmp-<version>-<random>` beside the other versions, verified as `verify` does with `model`,
    its warm-up requests are replayed, and it is renamed to its number. A failure publishes nothing
    and leaves nothing.

    A `ClickModel` has no catalogue: it is handed to `export_clicks` with the options.

    Asked for a version that exists and holds the same vectors, ids and options, it verifies that
    one and changes nothing, so that an interrupted pipeline can be run again.

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
        FileExistsError: If the version exists with other contents.
        ValueError: If the model cannot be served as asked, or ids are not fit for it.
    """
    if is_click_model(model):
        if spec is not None:
            raise ValueError(
                "an ExportSpec is for models that rank a catalogue; a click model takes "
                "batch_sizes= and metrics= (see export_clicks)."
            )
        return export_clicks(model, path, version=version, **options)
    started = time.perf_counter()
    base = Path(path)
    plan = make_plan(model, whole_spec(spec, options))
    if version is not None and same_content(versions(base).get(version), plan.content()):
        report = verification.verify(base / str(version), model=model)
        if not report.verified:
            raise ExportError(report)
        return report
    return release(plan, base, version, started=started)


def same_content(folder: Path | None, content: str | None) -> bool:
    """Tells whether a published version serves exactly this."""
    if folder is None or content is None:
        return False
    try:
        return read_contract(folder).get("content") == content
    except ValueError:
        return False
