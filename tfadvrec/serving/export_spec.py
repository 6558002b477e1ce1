"""What a servable shall offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfadvrec.serving.graph.signatures import NAMES, UNKNOWN_USER
from tfadvrec.serving.index.brute_force import BruteForce
from tfadvrec.serving.vocabulary import is_integer


@dataclass(frozen=True, eq=False, kw_only=True)
class ExportSpec:
    """Says how a model is served; every field has a default.

    Args:
        user_ids: `(n_users,)` text or integers in the row order of the model; the model's own
            `user_ids` by default.
        item_ids: Likewise for the items.
        k: Length of the lists; a catalogue with fewer items gives as many as it has. It is fixed in
            the servable, so take the longest list that any client needs: clients cut.
        max_exclude: Width of the input `exclude` of `recommend_excluding`.
        index: How a factorised model's catalogue is searched.
        signatures: Which signatures to offer beside `serving_default` and `recommend`; all that
            the model can serve by default.
        unknown_user: What an unknown user gets: `"mean"`, the list of the mean user vector, or
            `"empty"`, masked slots. By default `"mean"` where the model has user vectors; the
            others can only do `"empty"`.
        history: Width of the input `history`, item ids, which then stands for the user: the model
            answers by its `score_history` or `embed_history`, and the servable has no user ids.
        batch_sizes: Rows of the warm-up requests, and the batch sizes of a batching server.
        server_batching: Whether the server will merge requests: writes `batching_params.pbtxt` and
            leaves `recommend_flex` out, whose open widths cannot be merged.
        examples: Whether to offer `recommend_examples`, which reads serialised `tf.Example`s.
        metrics: Offline metrics that the contract shall tell, name -> number.

    Raises:
        ValueError: If a field cannot be meant.

    Example:

    >>> ExportSpec(k=20, unknown_user="empty").max_exclude
    256
    """

    user_ids: Sequence[str | int] | np.ndarray | None = None
    item_ids: Sequence[str | int] | np.ndarray | None = None
    k: int = 100
    max_exclude: int = 256
    index: BruteForce = field(default_factory=BruteForce)
    signatures: Sequence[str] | None = None
    unknown_user: str | None = None
    history: int | None = None
    batch_sizes: Sequence[int] = (1, 8, 32)
    server_batching: bool = False
    examples: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("k", "max_exclude", *(["history"] if self.history is not None else [])):
            value = getattr(self, name)
            if not is_integer(value) or value < 1:
                raise ValueError(f"ExportSpec expects {name} to be an integer >= 1, got {value!r}.")
        if not isinstance(self.index, BruteForce):
            raise ValueError(
                f"ExportSpec expects index=BruteForce(...), the only kind of index there is, "
                f"got {self.index!r}."
            )
        if self.unknown_user not in (None, *UNKNOWN_USER):
            raise ValueError(
                f"ExportSpec expects unknown_user to be one of {UNKNOWN_USER}, "
                f"got {self.unknown_user!r}."
            )
        self._check_batch_sizes(list(self.batch_sizes))
        self._check_metrics(self.metrics)
        if self.signatures is not None:
            self._check_signatures(self.signatures)

    def _check_signatures(self, wanted: Any) -> None:
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        strangers = [name for name in names if name not in NAMES]
        if strangers or isinstance(wanted, str):
            raise ValueError(
                f"ExportSpec expects signatures to be a list out of {list(NAMES)}, got {wanted!r}."
            )

    def _check_batch_sizes(self, sizes: list[Any]) -> None:
        fit = sizes and all(is_integer(size) and size >= 1 for size in sizes)
        if not fit or sizes != sorted(set(sizes)):
            raise ValueError(
                "ExportSpec expects batch_sizes to be increasing integers >= 1, such as "
                f"(1, 8, 32), got {self.batch_sizes!r}."
            )

    def _check_metrics(self, metrics: Mapping[str, Any]) -> None:
        bad = {name: value for name, value in metrics.items() if not np.isfinite(value)}
        if bad:
            raise ValueError(f"ExportSpec expects finite metrics, got {bad!r}.")
