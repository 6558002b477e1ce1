"""A model by what the user calls it: a run, a preset's folder, a zoo name."""

from pathlib import Path
from typing import Any


def open_model(name: str) -> Any:
    """Loads a run's model, a preset's folder, or a zoo preset.

    Args:
        name: A folder, or a zoo preset's name.

    Raises:
        PresetError: When there is no such thing; names it.
    """
    from tfadvrec import presets
    from tfadvrec.recipes import run_folder

    if (Path(name) / run_folder.RUN).is_file():
        return run_folder.load_run(name).model()
    return presets.load(name)


def offline_metrics(name: str) -> dict[str, float]:
    """The test figures that a zoo preset or a preset's folder brings; none for a run.

    Args:
        name: What `open_model` opened.

    Returns:
        Metric -> mean over the seeds, such as `"test ndcg@10"`.
    """
    from tfadvrec import presets
    from tfadvrec.recipes import run_folder

    if (Path(name) / run_folder.RUN).is_file():
        return {}
    of_models = (presets.read(name).metrics or {}).get("models", {})
    test = next(iter(of_models.values()), {}).get("test", {})  # the preset's own come first
    return {f"test {metric}": one["mean"] for metric, one in test.items()}


def caller_ids(model: Any, texts: list[str]) -> list[Any]:
    """Ids that were typed, as the model keeps them.

    Raises:
        ValueError: When the model has no user ids, or integers were expected and not typed.
    """
    known = model.user_ids
    if known is None:
        raise ValueError("this model does not know its users' ids.")
    if known.dtype.kind not in "iu":
        return texts
    wrong = [text for text in texts if not text.lstrip("-").isdecimal()]
    if wrong:
        raise ValueError(f"user ids of this model are integers like {known[0]}; got {wrong[:5]}.")
    return [int(text) for text in texts]
