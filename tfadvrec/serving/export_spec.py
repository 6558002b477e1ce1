"""What a servable shall offer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfadvrec.serving.brute_force import BruteForce
from tfadvrec.serving.signatures import NAMES, UNKNOWN_USER
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

    def __post_init__(self) -> None:
        for name in ("k", "max_exclude"):
            value = getattr(self, name)
            if not is_integer(value) or value < 1:
                raise ValueError(f"ExportSpec expects {name} to be an integer >= 1, got {value!r}.")
        if not isinstance(self.index, BruteForce):
            raise ValueError(
                f"ExportSpec expects index=BruteForce(), the only index there is, "
                f"got {self.index!r}."
            )
        if self.unknown_user not in (None, *UNKNOWN_USER):
            raise ValueError(
                f"ExportSpec expects unknown_user to be one of {UNKNOWN_USER}, "
                f"got {self.unknown_user!r}."
            )
        if self.signatures is not None:
            self._check_signatures(self.signatures)

    def _check_signatures(self, wanted: Any) -> None:
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        strangers = [name for name in names if name not in NAMES]
        if strangers or isinstance(wanted, str):
            raise ValueError(
                f"ExportSpec expects signatures to be a list out of {list(NAMES)}, got {wanted!r}."
            )
