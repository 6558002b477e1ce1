"""Lookup tables over vocabulary files, as a servable holds them."""

from pathlib import Path

import tensorflow as tf

from tfadvrec.serving.vocabulary import sha256

WHOLE, NUMBER = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER


class Lines(tf.lookup.TextFileInitializer):
    """The lines of a file, under a name that tells the contents and not where the file lay.

    Tables of one name share their contents within a process. TensorFlow would take the path for
    the name, which would then be in every servable, and could mean another file later.

    Args:
        path: Vocabulary file.
        to_rows: Whether ids are looked up, or rows.
    """

    def __init__(self, path: Path, *, to_rows: bool) -> None:
        key, value = (WHOLE, NUMBER) if to_rows else (NUMBER, WHOLE)
        dtypes = (tf.string, tf.int64) if to_rows else (tf.int64, tf.string)
        self._told = f"{path.stem}_{'rows' if to_rows else 'ids'}_{sha256(path)}"
        super().__init__(str(path), dtypes[0], key, dtypes[1], value)

    @property
    def _shared_name(self) -> str:
        return self._told


def rows_by_id(path: Path) -> tf.lookup.StaticHashTable:
    """Makes the table id -> row over a vocabulary file; -1 for an unknown id."""
    return tf.lookup.StaticHashTable(Lines(path, to_rows=True), default_value=-1)


def ids_by_row(path: Path) -> tf.lookup.StaticHashTable:
    """Makes the table row -> id over a vocabulary file; `""` for row -1."""
    return tf.lookup.StaticHashTable(Lines(path, to_rows=False), default_value="")
