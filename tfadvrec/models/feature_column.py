"""What a tower knows about a feature: learned once in plain Python, kept as JSON."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from tfadvrec.models.feature_values import WORD, as_numbers, as_texts, guess_kind, strict_record

KINDS = {  # kind -> the fields that describe it, beside name and kind
    "numeric": ("mean", "scale"),
    "categorical": ("dimension", "vocabulary"),
    "text": ("dimension", "buckets", "length"),
    "multi": ("dimension", "vocabulary", "length"),
}
LONGEST = 32  # words of a text or values of a multi-valued entry that are kept when learned


@dataclass(frozen=True, kw_only=True)
class FeatureColumn:
    """Describes one feature of users or items, and turns its values into numbers.

    | kind | values | encoded as | enters a tower as |
    |---|---|---|---|
    | `numeric` | numbers | `(n, 1)` float32, standardised; NaN is the mean, 0 | itself |
    | `categorical` | text | `(n, 1)` int32, row in the vocabulary, or the next | its vector |
    | `multi` | tuples of text | `(n, length)` int32, the same rows, then -1 | mean of its vectors |
    | `text` | text | `(n, length)` int32, hashes of distinct words, then -1 | mean of its vectors |

    The hash of a word is the CRC-32 of its lower-case UTF-8 modulo `buckets`: the same in every
    process and version.

    Args:
        name: Name of the feature in `Interactions.user_features` or `item_features`.
        kind: One of the kinds above.
        dimension: Width of the learned vectors (not for `numeric`).
        vocabulary: Known values (`categorical` and `multi`).
        buckets: Number of hash buckets (`text`).
        length: Values of one entry that are kept (`text` and `multi`); further ones are dropped.
        mean: Subtracted (`numeric`).
        scale: Divided by (`numeric`).

    Raises:
        ValueError: If a field is out of range or has no meaning for the kind.

    Example:

    >>> genres = FeatureColumn.learn("genres", [("war", "drama"), ("drama",)])
    >>> genres.kind, genres.vocabulary
    ('multi', ('drama', 'war'))
    >>> genres.encode([("drama",), ("comedy", "war"), ()]).tolist()
    [[0, -1], [2, 1], [-1, -1]]
    """

    name: str
    kind: str
    dimension: int = 16
    vocabulary: tuple[str, ...] = ()
    buckets: int = 1024
    length: int = 1
    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        where = f"feature {self.name!r}"
        if not (isinstance(self.name, str) and self.name):
            raise ValueError(f"A feature's name is a text that is not empty, got {self.name!r}.")
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is one of {sorted(KINDS)}, got {self.kind!r}.")
        for field in ("dimension", "buckets", "length"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{where}: {field} is an integer of at least 1, got {value!r}.")
        for field in ("mean", "scale"):
            value = getattr(self, field)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and math.isfinite(value)) or (field == "scale" and value <= 0):
                raise ValueError(
                    f"{where}: {field} is a finite number (scale above 0), got {value!r}."
                )
        words = self.vocabulary
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{where}: vocabulary is a list of texts.")
        if len(set(words)) < len(words):
            raise ValueError(f"{where}: vocabulary holds a value twice.")
        object.__setattr__(self, "vocabulary", tuple(words))

    @classmethod
    def learn(cls, name: str, values: Sequence[Any], **fields: Any) -> Self:
        """Learns a column from the values of the training rows.

        Without `kind`, numbers are `numeric`, tuples and lists `multi`, and text is `text` where
        most values are distinct and most have several words, else `categorical`.

        Args:
            name: Name of the feature.
            values: One value a row; texts that are empty are missing.
            **fields: Fields that are not to be learned: `kind`, `dimension`, `buckets`, `length`.

        Returns:
            The column.

        Raises:
            ValueError: If there is no value, or the values do not suit the kind.
        """
        if len(values) == 0:
            raise ValueError(f"feature {name!r}: there is no value to learn from.")
        kind = fields.pop("kind", None) or guess_kind(values)
        column = cls(name=name, kind=kind, **fields)
        learned: dict[str, Any] = {}
        if kind == "numeric":
            numbers = as_numbers(name, values)
            known = numbers[~np.isnan(numbers)]
            if len(known) == 0:
                raise ValueError(f"feature {name!r}: all {len(numbers)} values are missing (NaN).")
            learned = {"mean": float(known.mean()), "scale": float(known.std()) or 1.0}
        else:
            entries = column._entries(values)
            if "vocabulary" in KINDS[kind] and "vocabulary" not in fields:
                learned["vocabulary"] = tuple(sorted({word for entry in entries for word in entry}))
            if "length" in KINDS[kind] and "length" not in fields:
                learned["length"] = min(LONGEST, max([1, *map(len, entries)]))
        return cls(name=name, kind=kind, **(fields | learned))

    def widened(self, values: Sequence[Any]) -> Self:
        """Returns the column with room for the longest of more values, such as those of new items.

        Args:
            values: As for `learn`.
        """
        if "length" not in KINDS[self.kind]:
            return self
        longest = max(map(len, self._entries(values)), default=0)
        return replace(self, length=max(self.length, min(LONGEST, longest)))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote, strictly.

        Raises:
            ValueError: If a key is missing, unknown, or has no meaning for the kind.
        """
        return cls(**strict_record("feature", record, KINDS))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that matter for the kind, JSON-able."""
        record = {field: getattr(self, field) for field in ("name", "kind", *KINDS[self.kind])}
        if "vocabulary" in record:
            record["vocabulary"] = list(self.vocabulary)
        return record

    @property
    def width(self) -> int:
        """Width of the encoded table."""
        return self.length if "length" in KINDS[self.kind] else 1

    @property
    def cardinality(self) -> int:
        """Number of vectors to learn: the vocabulary and one unknown, or the buckets; else 0."""
        if self.kind == "numeric":
            return 0
        return self.buckets if self.kind == "text" else len(self.vocabulary) + 1

    def encode(self, values: Sequence[Any]) -> np.ndarray:
        """Encodes one value a row.

        Args:
            values: As for `learn`; values that were not learned are unknown, not an error.

        Returns:
            `(n, width)`, float32 for `numeric` and int32 else.

        Raises:
            ValueError: If the values do not suit the kind.
        """
        if self.kind == "numeric":
            numbers = (as_numbers(self.name, values) - self.mean) / self.scale
            return np.nan_to_num(numbers, nan=0.0).astype(np.float32)[:, None]
        entries = self._entries(values)
        if self.kind == "categorical":  # a missing value is an unknown one
            entries = [entry or ("",) for entry in entries]
        row_of = self._rows(word for entry in entries for word in entry)
        table = np.full((len(entries), self.width), -1, np.int32)
        for row, entry in enumerate(entries):
            distinct = list(dict.fromkeys(row_of[word] for word in entry))[: self.width]
            table[row, : len(distinct)] = distinct
        return table

    def known(self, values: Sequence[Any], encoded: np.ndarray) -> np.ndarray:
        """Tells about which rows the feature says something, bool `(n,)`.

        Args:
            values: The raw values.
            encoded: What `encode` made of them.
        """
        if self.kind == "numeric":
            return ~np.isnan(as_numbers(self.name, values))
        last = self.buckets if self.kind == "text" else len(self.vocabulary)
        return ((encoded >= 0) & (encoded < last)).any(axis=1)

    def _entries(self, values: Sequence[Any]) -> list[tuple[str, ...]]:
        """Splits each value into its words."""
        if self.kind == "multi":
            wrong = next((v for v in values if not isinstance(v, tuple | list)), None)
            if wrong is not None:
                raise ValueError(
                    f"feature {self.name!r}: a multi-valued feature holds tuples of text, "
                    f"got {wrong!r}. Split it first, say value.split('|'), or use another kind."
                )
            return [tuple(str(word) for word in value if str(word)) for value in values]
        texts = as_texts(self.name, values)
        if self.kind == "text":
            return [tuple(WORD.findall(text.lower())) for text in texts]
        return [(text,) if text else () for text in texts]

    def _rows(self, words: Iterable[str]) -> dict[str, int]:
        """Finds the row of each distinct word."""
        distinct = set(words)
        if self.kind == "text":
            return {word: zlib.crc32(word.encode()) % self.buckets for word in distinct}
        known = {word: row for row, word in enumerate(self.vocabulary)}
        return {word: known.get(word, len(known)) for word in distinct}
