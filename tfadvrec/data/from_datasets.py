"""TensorFlow Datasets become columns: any set whose examples have a user and an item."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfadvrec.data.assembly import RawLog, assemble, build
from tfadvrec.data.checks import DataError
from tfadvrec.data.choice import Choice
from tfadvrec.data.vocabulary import encode

if TYPE_CHECKING:
    from tfadvrec.data.interactions import Interactions


def from_tfds(
    cls: type["Interactions"],
    dataset: object,
    *,
    user: str = "user_id",
    item: str = "item_id",
    rating: str | None = None,
    time: str | None = None,
    columns: Sequence[str] = (),
    user_features: Mapping[str, str] | None = None,
    item_features: Mapping[str, str] | None = None,
    split: str = "train",
    data_dir: str | None = None,
    download: bool = True,
    time_unit: str | None = None,
    duplicates: str = "last",
    invalid: str = "error",
    name: str | None = None,
) -> "Interactions":
    """Takes a log from TensorFlow Datasets.

    Args:
        dataset: A name such as `movielens/100k-ratings`, a builder, or a `tf.data.Dataset` whose
            elements are dicts.
        user: The column of users.
        item: The column of items.
        rating: The column of ratings, or None.
        time: The column of times, or None.
        columns: Other columns to keep for each interaction.
        user_features: Feature name -> column; the first value that a user has counts.
        item_features: Feature name -> column; the first value that an item has counts.
        split: The split, for a name or a builder.
        data_dir: Where prepared sets lie, for a name.
        download: Whether a set that is not prepared yet may be downloaded and prepared.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`; inferred when all times agree.
        duplicates: Which of repeated (user, item) pairs stays: `"last"` or `"first"` by time,
            all with `"keep"`, or `"error"`.
        invalid: `"error"` refuses rows without id, finite rating or time; `"drop"` counts them.
        name: The log's name.

    Returns:
        The log; bytes are decoded, class labels are their text.

    Raises:
        DataError: When the set holds no usable log.
    """
    choice = Choice(
        user=user,
        item=item,
        rating=rating or False,
        time=time or False,
        columns=tuple(columns),
        time_unit=time_unit,
        duplicates=duplicates,
        invalid=invalid,
    )
    sides = {"user": user_features or {}, "item": item_features or {}}
    wanted = [user, item, *filter(None, (rating, time)), *columns]
    wanted += [column for table in sides.values() for column in table.values()]
    arrays, origin = read_dataset(
        dataset, wanted, split=split, data_dir=data_dir, download=download
    )
    log = build(
        cls, assemble(RawLog(dict(arrays), origin), choice), name=name or "dataset", origin=origin
    )
    frames = {}
    for side, table in sides.items():
        for feature, column in table.items():
            ids, values = per_id(
                arrays[choice.user if side == "user" else choice.item], arrays[column]
            )
            frames.setdefault(f"{side}s", {side: ids})[feature] = values
    return log.with_features(**frames)


def read_dataset(
    dataset: object,
    wanted: Iterable[str],
    *,
    split: str = "train",
    data_dir: str | None = None,
    download: bool = True,
) -> tuple[dict[str, np.ndarray], str]:
    """Reads columns of a TensorFlow dataset.

    Args:
        dataset: A name (`movielens/100k-ratings`), a builder, or a `tf.data.Dataset` of dicts.
        wanted: The names to read.
        split: The split, for a name or a builder.
        data_dir: Where prepared sets lie, for a name.
        download: Whether a set that is not prepared yet may be downloaded and prepared.

    Returns:
        Name -> values (lists as object arrays of tuples; class labels as their text), and what
        was read, in words.

    Raises:
        DataError: When the set has no such column.
    """
    import tensorflow_datasets as tfds

    if isinstance(dataset, str):
        origin = f"TensorFlow Datasets: {dataset}, split {split}"
        dataset = tfds.builder(dataset, data_dir=data_dir)
    elif hasattr(dataset, "as_dataset"):
        origin = f"TensorFlow Datasets: {dataset.info.full_name}, split {split}"
    else:
        origin = "a tf.data dataset"
    features: Mapping[str, Any] = {}
    if hasattr(dataset, "as_dataset"):
        features = dict(dataset.info.features.items())
        if download:
            dataset.download_and_prepare()
        dataset = dataset.as_dataset(split=split, shuffle_files=False)
    columns = _collect(dataset, list(dict.fromkeys(wanted)))
    return {key: _named(values, features.get(key)) for key, values in columns.items()}, origin


def per_id(ids: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduces a column with a value for each interaction to the first value of each id.

    Returns:
        The distinct ids and their values.
    """
    encoded = encode(ids)
    _, first = np.unique(encoded.rows, return_index=True)
    return encoded.ids, values[first]


def _collect(dataset: Any, wanted: list[str]) -> dict[str, np.ndarray]:
    spec = dataset.element_spec
    if not isinstance(spec, Mapping):
        raise DataError(f"expected a dataset of dicts of columns, got elements {spec}.")
    lacking = [name for name in wanted if name not in spec]
    if lacking:
        raise DataError(
            f"the dataset has no column {', '.join(map(repr, lacking))}. Its columns are "
            f"{', '.join(map(repr, spec))}."
        )
    flat = [name for name in wanted if spec[name].shape.rank == 0]
    batches = dataset.map(lambda row: {name: row[name] for name in wanted}).ragged_batch(8192)
    parts: dict[str, list[Any]] = {name: [] for name in wanted}
    for batch in batches:
        for name in wanted:
            values = batch[name]
            parts[name].append(values.numpy() if name in flat else values.to_list())
    return {
        name: np.concatenate(parts[name]) if name in flat else _tuples(parts[name])
        for name in wanted
        if parts[name]
    } or {name: np.empty(0, np.int64) for name in wanted}


def _tuples(parts: list[list[list[Any]]]) -> np.ndarray:
    rows = [tuple(row) for part in parts for row in part]
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


def _named(values: np.ndarray, feature: Any) -> np.ndarray:
    """Turns bytes into text and class labels into their names."""
    label = getattr(feature, "int2str", None)
    label = label or getattr(getattr(feature, "feature", None), "int2str", None)
    if values.dtype.kind == "O" and values.size and isinstance(values[0], tuple):
        out = np.empty(len(values), object)
        out[:] = [tuple(_text(part, label) for part in row) for row in values]
        return out
    if values.dtype.kind in "OS":
        return np.array([_text(value) for value in values], np.str_)
    if label is not None and values.dtype.kind in "iu":
        return np.array([label(int(value)) for value in values], np.str_)
    return values


def _text(value: object, label: Any = None) -> str:
    if label is not None and not isinstance(value, bytes | str):
        return label(int(value))
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
