"""The files of a prepared set: TFRecord shards that TensorFlow Datasets reads, and no others."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfadvrec.data.checks import DataError

NAME = "interactions"
CHUNK = 1 << 16  # rows in a record
TYPES = {"user": np.int32, "item": np.int32, "rating": np.float32, "time": np.int64}
FEATURES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "time"}
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def file_name(part: str, shard: int, shards: int) -> str:
    """The name of a shard's file.

    Example:

    >>> file_name("train", 3, 20)
    'interactions-train.tfrecord-00003-of-00020'
    """
    return f"{NAME}-{part}.tfrecord-{shard:05d}-of-{shards:05d}"


def write_records(
    folder: Path, part: str, shard: int, shards: int, columns: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Writes the rows of a shard, 65,536 a record; a column is the bytes of its values.

    Returns:
        What the file holds.
    """
    import tensorflow as tf

    name, rows = file_name(part, shard, shards), len(columns["user"])
    with tf.io.TFRecordWriter(str(folder / name)) as file:
        for start in range(0, rows, CHUNK):
            piece = slice(start, start + CHUNK)
            file.write(_example({FEATURES[n]: v[piece] for n, v in columns.items()}, tf))
    return {
        "file": name,
        "part": part,
        "shard": shard,
        "rows": rows,
        "records": -(-rows // CHUNK),
        **sealed(folder / name),
    }


def sealed(path: Path) -> dict[str, Any]:
    """The size of a file and the SHA-256 of what it holds."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _example(columns: Mapping[str, np.ndarray], tf: Any) -> bytes:
    def feature(values: np.ndarray) -> Any:
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[little.tobytes()]))

    features = {name: feature(values) for name, values in columns.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def read_records(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the rows of a shard.

    Args:
        path: The file.
        names: Which of `user`, `item`, `rating` and `time` to read.

    Raises:
        DataError: When the file is missing or damaged (records carry checksums).
    """
    import tensorflow as tf

    parts: dict[str, list[np.ndarray]] = {name: [np.empty(0, TYPES[name])] for name in names}
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            for name in names:
                content = features[FEATURES[name]].bytes_list.value[0]
                kind = np.dtype(TYPES[name]).newbyteorder("<")
                parts[name].append(np.frombuffer(content, kind).astype(TYPES[name], copy=False))
    except (tf.errors.NotFoundError, tf.errors.DataLossError) as error:
        raise DataError(
            f"{path}: cannot be read ({error.message}). Prepare the log again, or copy the file "
            "again from where it was prepared."
        ) from None
    return {name: np.concatenate(values) for name, values in parts.items()}


def write_metadata(folder: Path, names: Sequence[str], facts: list[dict[str, Any]]) -> None:
    """Writes what `tfds.builder_from_directory` reads: `features.json`, `dataset_info.json`."""
    import tensorflow_datasets as tfds

    def infos(part: str) -> Any:
        own = sorted((f for f in facts if f["part"] == part), key=lambda fact: fact["shard"])
        return tfds.core.SplitInfo(
            name=part,
            shard_lengths=[fact["records"] for fact in own],
            num_bytes=sum((folder / fact["file"]).stat().st_size for fact in own),
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=folder,
                dataset_name=NAME,
                split=part,
                filetype_suffix="tfrecord",
                template=TEMPLATE,
            ),
        )

    raw = tfds.features.Encoding.BYTES
    features = {
        FEATURES[name]: tfds.features.Tensor(shape=(None,), dtype=TYPES[name], encoding=raw)
        for name in names
    }
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(features),
        split_infos=[infos(part) for part in dict.fromkeys(fact["part"] for fact in facts)],
        description="Interactions by shard of their user; a record holds up to 65,536 of them.",
    )
