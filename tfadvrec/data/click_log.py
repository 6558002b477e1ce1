"""A log of impressions: what was shown to whom in which context, and whether it was clicked."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data import numbers as readings
from tfadvrec.data.checks import DataError, check_length, plural, rows_text
from tfadvrec.data.choice import column_name
from tfadvrec.data.fingerprints import fingerprint
from tfadvrec.data.frames import columns_of
from tfadvrec.data.readers import read_table
from tfadvrec.data.vocabulary import encode


@dataclass(frozen=True, eq=False, kw_only=True)
class ClickLog:
    """Impressions with categorical fields, numbers and a label, as they were logged.

    Nothing here is learnt: a model learns vocabularies and scales from the log that it is made for
    (`ClickModel.for_log`), so a held-out part never leaks into them, and values are matched by
    what they are, not by a row number of one file.

    Attributes:
        label: 1.0 where the impression was clicked, else 0.0; float32 `(n,)`.
        codes: Field -> which of its values each impression has, int32 `(n,)`; -1 where missing.
        values: Field -> its distinct values, int64 or text.
        numbers: Name -> float32 `(n,)`; NaN where missing.
        propensity: How likely the logged action was under the policy that logged it, float64
            `(n,)` in (0, 1], or None.
        action: The field that is the logged action (what the policy chose), or None.
        name: A short name.
        origin: Where it comes from.

    Example:

    >>> log = ClickLog.from_frame(
    ...     {"ad": ["tea", "jam", "tea"], "hour": [9, 10, 9], "age": [31.0, 40.0, 22.0],
    ...      "click": [1, 0, 0]}, label="click", fields=["ad", "hour"], numbers=["age"])
    >>> len(log), log.values["ad"].tolist(), log.label.tolist()
    (3, ['jam', 'tea'], [1.0, 0.0, 0.0])
    """

    label: np.ndarray
    codes: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    propensity: np.ndarray | None = None
    action: str | None = None
    name: str = "clicks"
    origin: str = ""

    def __post_init__(self) -> None:
        """Checks lengths, labels and propensities.

        Raises:
            DataError: When something does not fit; the first rows are named.
        """
        put = functools.partial(object.__setattr__, self)
        put("label", _labels(self.label))
        if not self.codes and not self.numbers:
            raise DataError("a click log needs at least one field or number beside its label.")
        if set(self.codes) != set(self.values) or set(self.codes) & set(self.numbers):
            raise DataError(
                f"every field has codes and values, and no number has its name. Received: codes of "
                f"{sorted(self.codes)}, values of {sorted(self.values)}, numbers "
                f"{sorted(self.numbers)}."
            )
        for key, column in {**self.codes, **self.numbers, "propensity": self.propensity}.items():
            check_length(key, column, len(self.label), "impressions")
        put("numbers", {key: _finite(key, values) for key, values in self.numbers.items()})
        if self.propensity is not None:
            put("propensity", _propensities(self.propensity))
        if self.action is not None and self.action not in self.codes:
            raise DataError(
                f"action must be one of the fields {sorted(self.codes)}. Received: {self.action!r}."
            )

    @classmethod
    def from_csv(
        cls, path: str | Path, *, label: str | None, fields: Sequence[str], **options: Any
    ):
        """Reads impressions from a text file with a header; the separator is found.

        Args:
            path: The file; gzip and bzip2 are unpacked.
            label: The column that says whether the impression was clicked; None where all were.
            fields: The categorical columns.
            **options: As for `from_frame`.

        Returns:
            The log.

        Raises:
            DataError: When the file or a value cannot be used.
        """
        table = read_table(path, text=tuple(fields), header=True)
        options.setdefault("name", Path(path).stem)
        options.setdefault("origin", f"the file {path}")
        return cls.from_frame(table, label=label, fields=fields, **options)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        label: str | None,
        fields: Sequence[str],
        numbers: Sequence[str] = (),
        propensity: str | None = None,
        action: str | None = None,
        missing: str = "error",
        name: str = "clicks",
        origin: str = "",
    ) -> "ClickLog":
        """Takes impressions from a pandas, polars or Arrow table, or a mapping of arrays.

        Args:
            frame: The table.
            label: The column of labels, 1 and 0 (or true and false). None for a log of uses, all
                of which are clicks; see `with_negatives`.
            fields: The categorical columns: text or whole numbers. Blanks around a text are cut,
                an empty one (or `nan`, `null`, `none`, `na`) is missing: a model takes it as
                unknown.
            numbers: The numeric columns.
            propensity: The column of propensities, or None.
            action: The field that is the logged action, or None.
            missing: What a number that is none gets: `"error"`, or `"keep"` for a NaN, which a
                model takes as the mean.
            name: The log's name.
            origin: Where it comes from.

        Returns:
            The log.

        Raises:
            DataError: When a column is not there or a value cannot be used; rows are named.
        """
        if missing not in ("error", "keep"):
            raise ValueError(f"missing must be 'error' or 'keep'. Received: {missing!r}")
        columns = columns_of(frame)
        labels = [] if label is None else [label]
        found = {
            asked: columns[column_name(asked, list(columns), name)]
            for asked in (*labels, *fields, *numbers, *([propensity] if propensity else []))
        }
        coded = {key: encode(found[key], key) for key in fields}
        measured = {key: readings.ratings(found[key]) for key in (*labels, *numbers)}
        for key in measured if missing == "error" else labels:
            _complete(key, measured[key], found[key])
        rows = len(next(iter(found.values()))) if found else 0
        return cls(
            label=np.ones(rows, np.float32) if label is None else measured.pop(label),
            codes={key: one.rows for key, one in coded.items()},
            values={key: one.ids for key, one in coded.items()},
            numbers=measured,
            propensity=None if propensity is None else readings.ratings(found[propensity]),
            action=action,
            name=name,
            origin=origin,
        )

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return (
            f"ClickLog({self.name!r}: {len(self):,} impressions, {int(self.label.sum()):,} clicks; "
            f"fields {sorted(self.codes)}, numbers {sorted(self.numbers)})"
        )

    def take(self, rows: np.ndarray) -> "ClickLog":
        """Returns some impressions: positions `(m,)`, or a mask `(n,)`."""
        rows = np.asarray(rows)
        return dataclasses.replace(
            self,
            label=self.label[rows],
            codes={key: column[rows] for key, column in self.codes.items()},
            numbers={key: column[rows] for key, column in self.numbers.items()},
            propensity=None if self.propensity is None else self.propensity[rows],
        )

    def by_ratio(
        self, *, validation: float = 0.1, test: float = 0.1, seed: int = 0
    ) -> tuple["ClickLog", "ClickLog", "ClickLog"]:
        """Splits the impressions at random into train, validation and test.

        Args:
            validation: Share of the validation part; it may be 0.
            test: Share of the test part.
            seed: What decides which.

        Raises:
            DataError: When the shares leave nothing to learn from.
        """
        if min(validation, test) < 0 or validation + test >= 1:
            raise DataError(
                "validation and test are shares of at least 0, together below 1. Received: "
                f"{validation} and {test}."
            )
        order = np.random.default_rng(seed).permutation(len(self))
        held, middle = round(len(self) * test), round(len(self) * validation)
        parts = np.split(order, [len(self) - held - middle, len(self) - held])
        return tuple(self.take(np.sort(part)) for part in parts)

    def with_field(self, name: str, value: Any) -> "ClickLog":
        """Returns the log as if every impression had this value of a field.

        A model asked with each action in turn gives what the doubly robust estimate needs.

        Raises:
            DataError: The log has no such field.
        """
        if name not in self.codes:
            raise DataError(f"there is no field {name!r}; there are {sorted(self.codes)}.")
        return dataclasses.replace(
            self,
            codes={**self.codes, name: np.zeros(len(self), np.int32)},
            values={**self.values, name: np.asarray([value])},
        )

    def field_values(self, name: str) -> np.ndarray:
        """The value of a field in each impression, as text `(n,)`; empty where missing."""
        if name not in self.codes:
            raise DataError(f"there is no field {name!r}; there are {sorted(self.codes)}.")
        texts = np.append(self.values[name].astype(np.str_), "")
        return texts[self.codes[name]]

    def fingerprint(self) -> str:
        """A SHA-256 of everything that is data."""
        columns = {"label": self.label, "propensity": self.propensity}
        for side in ("codes", "values", "numbers"):
            columns |= {f"{side}.{key}": one for key, one in getattr(self, side).items()}
        return fingerprint(sorted(columns.items(), key=lambda one: one[0]))

    def describe(self) -> Mapping[str, Any]:
        """Returns what the log holds, as values that JSON can hold."""
        return {
            "name": self.name,
            "impressions": len(self),
            "clicks": int(self.label.sum()),
            "fields": {key: len(values) for key, values in self.values.items()},
            "numbers": sorted(self.numbers),
            "propensity": self.propensity is not None,
            "action": self.action,
        }


def _labels(label: np.ndarray) -> np.ndarray:
    values = np.asarray(label, np.float32)
    bad = np.flatnonzero(~np.isin(values, (0.0, 1.0)))
    if bad.size:
        raise DataError(
            f"label: {plural(bad.size, 'value')} other than 0 and 1 ({rows_text(bad, values)}). "
            "A click log says of every impression whether it was clicked."
        )
    return values


def _propensities(propensity: np.ndarray) -> np.ndarray:
    values = np.asarray(propensity, np.float64)
    bad = np.flatnonzero(~((values > 0) & (values <= 1)))
    if bad.size:
        raise DataError(
            f"propensity: {plural(bad.size, 'value')} outside (0, 1] ({rows_text(bad, values)}). "
            "An action that was logged had a probability above 0."
        )
    return values


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    bad = np.flatnonzero(np.isinf(values))
    if bad.size:
        raise DataError(f"{name}: {plural(bad.size, 'value')} infinite ({rows_text(bad, values)}).")
    return values


def _complete(name: str, values: np.ndarray, raw: Any) -> None:
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        given = raw.take(bad[:5]).to_pylist() if hasattr(raw, "to_pylist") else raw[bad[:5]]
        shown = "; ".join(f"row {row}: {one}" for row, one in zip(bad[:5], given, strict=True))
        raise DataError(
            f"{name}: {plural(bad.size, 'value')} missing, infinite or no number ({shown}). Correct"
            " these rows or leave them out; missing='keep' keeps numbers that are missing."
        )
