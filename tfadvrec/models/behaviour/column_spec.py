"""One column of behaviour: how its values become numbers of a network, and come back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CATEGORY, NUMBER = "category", "number"
USER, EVENT = "user", "event"


@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """What is known of a column before a network sees it; plain JSON in and out.

    A category is one-hot. A number belongs to one of the modes of a Gaussian mixture: it becomes
    its place inside the mode, `alpha = (y - mean) / (4 * deviation)` within -1 and 1, and the
    mode one-hot, where `y` is the number, or `log(1 + number - low)` of a skewed one.

    Args:
        name: The column's name.
        side: `"user"`: one value a user; `"event"`: one value an interaction.
        kind: `"category"` or `"number"`.
        values: The categories, text or numbers, in order.
        means: The modes' means.
        deviations: The modes' standard deviations.
        low: Smallest number.
        high: Largest number.
        step: Distance of the grid that the numbers lie on, 0 for none.
        log: Whether modes are those of the logarithm.
        whole: Whether a number or a category's number is an integer in the log.

    Example:

    >>> spec = ColumnSpec(name="age", side="user", kind="number", means=(30.0,),
    ...                   deviations=(10.0,), low=7.0, high=70.0, step=1.0)
    >>> encoded = spec.encode(np.array([25.0, 40.0]), seed=0)
    >>> encoded.tolist(), spec.decode(encoded).tolist()
    ([[-0.125, 1.0], [0.25, 1.0]], [25.0, 40.0])
    """

    name: str
    side: str
    kind: str
    values: tuple[Any, ...] = ()
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    log: bool = False
    whole: bool = False

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ColumnSpec":
        """The column that `to_json` describes.

        Raises:
            ValueError: A key is unknown or a value makes no sense.
        """
        try:
            spec = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in record.items()})
        except TypeError as error:
            raise ValueError(f"no column of behaviour: {dict(record)!r:.200} ({error})") from None
        sizes = {len(spec.means), len(spec.deviations)}
        if spec.kind not in (CATEGORY, NUMBER) or spec.side not in (USER, EVENT):
            raise ValueError(f"column {spec.name!r} is of kind {spec.kind!r}, side {spec.side!r}.")
        if not spec.choices or len(sizes) > 1 or min(spec.deviations, default=1.0) <= 0:
            raise ValueError(
                f"column {spec.name!r} needs categories, or modes with deviations > 0."
            )
        return spec

    def to_json(self) -> dict[str, Any]:
        """Plain values, without those that are not used."""
        kept = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in kept.items() if v not in ([], False, 0.0) or k in ("low", "high")}

    @property
    def choices(self) -> int:
        """Categories, or modes."""
        return len(self.values) if self.kind == CATEGORY else len(self.means)

    @property
    def width(self) -> int:
        """Numbers of an encoded value."""
        return self.choices + (self.kind == NUMBER)

    def encode(self, values: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Values as a network sees them.

        Args:
            values: `(n,)`.
            seed: What the mode of a number is drawn from, by how likely each is.

        Returns:
            float32 `(n, width)`: alpha first for a number, then one-hot.

        Raises:
            ValueError: A category is not one of the column's.
        """
        if self.kind == CATEGORY:
            return np.eye(self.choices, dtype=np.float32)[self.rows(values)]
        place = (self.forward(values)[:, None] - np.array(self.means)) / np.array(self.deviations)
        likely = np.exp(-0.5 * np.minimum(np.square(place), 1400.0)) / np.array(self.deviations)
        inside = np.abs(place) <= 4.0  # a mode in which the number is exact, where there is one
        likely = np.where(inside | ~inside.any(axis=1, keepdims=True), likely + 1e-300, 0.0)
        bounds = np.cumsum(likely, axis=1)
        drawn = np.random.default_rng(seed).random(len(place)) * bounds[:, -1]
        mode = np.minimum((bounds <= drawn[:, None]).sum(axis=1), self.choices - 1)
        alpha = np.clip(place[np.arange(len(mode)), mode] / 4.0, -1.0, 1.0)
        return np.c_[alpha, np.eye(self.choices)[mode]].astype(np.float32)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Values of encoded rows, `(n, width)` -> `(n,)`, on the column's grid and in its range."""
        if self.kind == CATEGORY:
            return np.asarray(self.values)[np.argmax(encoded, axis=1)]
        return self.restore(self.latent(encoded))

    def latent(self, encoded: np.ndarray) -> np.ndarray:
        """The number `y` of encoded rows, before logarithm, grid and range are undone."""
        mode = np.argmax(encoded[:, 1:], axis=1)
        alpha = np.asarray(encoded[:, 0], np.float64)
        return np.array(self.means)[mode] + 4.0 * np.array(self.deviations)[mode] * alpha

    def forward(self, values: np.ndarray) -> np.ndarray:
        """The number `y` that the modes are modes of."""
        values = np.asarray(values, np.float64)
        return np.log1p(np.maximum(values - self.low, 0.0)) if self.log else values

    def restore(self, latent: np.ndarray) -> np.ndarray:
        """Numbers from `y`: the logarithm undone, on the grid, within the range."""
        values = np.expm1(np.minimum(latent, 700.0)) + self.low if self.log else latent
        if self.step:
            values = self.low + self.step * np.rint((values - self.low) / self.step)
        return np.clip(values, self.low, self.high)

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Which category each value is, int64 `(n,)`.

        Raises:
            ValueError: A value is no category of the column.
        """
        known, values = np.asarray(self.values), np.asarray(values)
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)
        rows = order[place]
        strange = known[rows] != values
        if strange.any():
            shown = ", ".join(map(repr, np.unique(values[strange])[:5].tolist()))
            raise ValueError(f"column {self.name!r} has no category {shown}.")
        return rows
