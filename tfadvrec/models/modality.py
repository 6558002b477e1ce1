"""One modality of items: what turns its raw values into vectors, kept as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix

from tfadvrec.models.feature_values import as_numbers, as_texts, guess_kind, strict_record
from tfadvrec.models.hashed_text import hashed_counts, rarity, unit_rows

KINDS = {  # kind -> the fields that describe it, beside name and kind
    "text": ("width", "words", "characters", "weights"),
    "tags": ("vocabulary", "weights"),
    "number": ("width", "low", "high"),
    "vector": ("width", "scale"),
}
DIGITS = 5  # of a learned number in a configuration


@dataclass(frozen=True, kw_only=True)
class Modality:
    """Describes one modality of items, and encodes its values as vectors.

    | kind | values | encoded as |
    |---|---|---|
    | `text` | text | hashed n-grams, weighted by rarity, of length 1 |
    | `tags` | tuples of text, or one text (a category) | one or 0 a known tag, weighted, length 1 |
    | `number` | numbers | how near to each of `width` centres, of length 1 |
    | `vector` | `(n, width)` numbers: an image's, an encoder's | divided by `scale` |

    The median length of the learned rows is 1 whatever the kind, so an adversary's `epsilon` is
    relative to it. A row about which nothing is known is absent: an empty text, one of unknown
    words or tags, NaN, a vector of zeros or with a NaN. Its encoding is zero.

    Args:
        name: Name of the item feature, or of the given vectors.
        kind: One of the kinds above.
        width: Width of the encoding (not for `tags`: one a known tag).
        words: Words of the longest n-gram (`text`); 0 for none.
        characters: Lengths of n-grams of characters (`text`), such as `[3]`.
        vocabulary: Known tags.
        weights: How much each bucket or tag counts; learned as ln((n + 1) / rows that have it).
        low: The first centre (`number`).
        high: The last centre (`number`).
        scale: Median length of the given vectors (`vector`).

    Raises:
        ValueError: If a field is out of range.

    Example:

    >>> genres = Modality.learn("genres", [("war", "drama"), ("drama",), ()])
    >>> genres.kind, genres.vocabulary
    ('tags', ('drama', 'war'))
    >>> vectors, present = genres.encode([("drama",), ("comedy",)])
    >>> vectors.tolist(), present.tolist()
    ([[1.0, 0.0], [0.0, 0.0]], [True, False])
    """

    name: str
    kind: str
    width: int = 512
    words: int = 1
    characters: tuple[int, ...] = ()
    vocabulary: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        where = f"modality {self.name!r}"
        if not (isinstance(self.name, str) and self.name) or self.kind not in KINDS:
            raise ValueError(f"{where}: a name and one of the kinds {sorted(KINDS)} are expected, "
                             f"got kind {self.kind!r}.")  # fmt: skip
        for field in ("characters", "vocabulary", "weights"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.kind == "tags":
            object.__setattr__(self, "width", len(self.vocabulary))
        sizes = (self.width, *self.characters, self.words + 1)
        if not all(isinstance(size, int) and size >= 1 for size in sizes):
            raise ValueError(
                f"{where}: width and lengths of n-grams are integers of at least 1 (tags need a "
                f"vocabulary) and words of at least 0, got {self.width!r}, {self.characters!r} "
                f"and {self.words!r}."
            )
        if self.kind == "text" and not self.words and not self.characters:
            raise ValueError(f"{where}: a text needs n-grams: words above 0, or characters.")
        if self.weights and len(self.weights) != self.width:
            raise ValueError(f"{where}: {self.width} weights are expected, "
                             f"got {len(self.weights)}.")  # fmt: skip
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError(f"{where}: vocabulary holds a tag twice.")
        numbers = (self.low, self.high, self.scale, *self.weights)
        if not all(math.isfinite(number) for number in numbers) or self.scale <= 0:
            raise ValueError(f"{where}: weights, low and high are finite, scale is above 0.")
        if self.kind == "number" and not self.low < self.high:
            raise ValueError(f"{where}: low is below high, got {self.low!r} and {self.high!r}.")

    @classmethod
    def learn(cls, name: str, values: Any, **fields: Any) -> Self:
        """Learns a modality from the values of the training rows.

        Without `kind`, an array of two axes is `vector`, numbers are `number`, tuples `tags`, and
        text is `text` where most values are distinct and have several words, else `tags`.

        Args:
            name: Name of the modality.
            values: One value a row.
            **fields: Fields that are not to be learned.

        Raises:
            ValueError: If there is nothing to learn from, or the values do not suit the kind.
        """
        if len(values) == 0:
            raise ValueError(f"modality {name!r}: there is no value to learn from.")
        kind = fields.pop("kind", None) or _guessed(values)
        if kind == "tags" and "vocabulary" not in fields:
            fields["vocabulary"] = sorted({tag for tags in _tags(name, values) for tag in tags})
        if kind == "number":
            numbers = as_numbers(name, values)
            known = numbers[~np.isnan(numbers)]
            if not len(known) or known.min() == known.max():
                raise ValueError(f"modality {name!r}: at least two distinct numbers are expected.")
            low, high = np.quantile(known, [0.01, 0.99]).tolist()
            if low == high:
                low, high = float(known.min()), float(known.max())
            fields = {"width": 16, "low": round(low, DIGITS), "high": round(high, DIGITS)} | fields
        if kind == "vector":
            given = _vectors(name, values, None)
            lengths = np.linalg.norm(np.nan_to_num(given), axis=1)
            lengths = lengths[(lengths > 0) & ~np.isnan(given).any(axis=1)]
            scale = float(np.median(lengths)) if len(lengths) else 1.0
            fields = {"width": given.shape[1], "scale": scale} | fields
        learned = cls(name=name, kind=kind, **fields)
        return learned.extended(values) if "weights" in KINDS[kind] else learned

    def extended(self, values: Any) -> Self:
        """Weighs by these values what has no weight yet; what has one keeps it.

        Fine-tuning on another catalogue thereby learns words that the first one never had.

        Args:
            values: As for `learn`.
        """
        if "weights" not in KINDS[self.kind]:
            return self
        fresh = rarity(self._counts(values))
        known = np.array(self.weights) if self.weights else np.zeros(self.width)
        weights = np.where(known > 0, known, fresh).round(DIGITS)
        return replace(self, weights=tuple(weights.tolist()))

    def encode(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encodes one value a row.

        Args:
            values: As for `learn`; what was not learned is unknown, not an error.

        Returns:
            float32 `(n, width)`, and bool `(n,)`: which rows are present.

        Raises:
            ValueError: If the values do not suit the kind.
        """
        if self.kind == "vector":
            given = _vectors(self.name, values, self.width)
            present = ~np.isnan(given).any(axis=1) & (given != 0).any(axis=1)
            return np.where(present[:, None], given / self.scale, 0).astype(np.float32), present
        if self.kind == "number":
            numbers = as_numbers(self.name, values)
            present = ~np.isnan(numbers)
            centres = np.linspace(self.low, self.high, self.width)
            step = (self.high - self.low) / max(1, self.width - 1)
            clipped = np.nan_to_num(numbers).clip(self.low, self.high)
            near = np.exp(-0.5 * np.square((clipped[:, None] - centres) / step))
            near *= present[:, None]
            return unit_rows(csr_matrix(near)), present
        counts = self._counts(values)
        weights = np.array(self.weights) if self.weights else np.ones(self.width)
        encoded = unit_rows(csr_matrix(counts.multiply(weights[None, :])))
        return encoded, encoded.any(axis=1)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote, strictly.

        Raises:
            ValueError: If a key is missing, unknown, or has no meaning for the kind.
        """
        return cls(**strict_record("modality", record, KINDS))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that matter for the kind, JSON-able."""
        record = {field: getattr(self, field) for field in ("name", "kind", *KINDS[self.kind])}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in record.items()}

    def _counts(self, values: Any) -> csr_matrix:
        """What each row has of the buckets or of the tags, `(n, width)`."""
        if self.kind == "text":
            texts = as_texts(self.name, values)
            options = {"words": self.words, "characters": self.characters}
            return hashed_counts(texts, self.width, **options)
        known = {tag: row for row, tag in enumerate(self.vocabulary)}
        pairs = [
            (row, known[tag])
            for row, tags in enumerate(_tags(self.name, values))
            for tag in set(tags)
            if tag in known
        ]
        rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
        return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(values), self.width))


def _guessed(values: Any) -> str:
    if getattr(values, "ndim", 1) == 2:
        return "vector"
    kinds = {"multi": "tags", "categorical": "tags", "numeric": "number", "text": "text"}
    return kinds[guess_kind(values)]


def _tags(name: str, values: Sequence[Any]) -> list[tuple[str, ...]]:
    if len(values) and isinstance(values[0], tuple | list):
        return [tuple(str(tag) for tag in value if str(tag)) for value in values]
    return [(text,) if text else () for text in as_texts(name, values)]


def _vectors(name: str, values: Any, width: int | None) -> np.ndarray:
    given = np.asarray(values)
    fits = given.ndim == 2 and given.dtype.kind in "fiu" and width in (None, given.shape[-1])
    if not fits or np.isinf(given).any():
        raise ValueError(
            f"modality {name!r}: finite vectors of shape (rows, {width or 'width'}) are expected "
            f"(NaN for a row without), got {given.dtype} of shape {given.shape}."
        )
    return given.astype(np.float64)
