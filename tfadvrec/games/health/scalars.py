"""Scalars that TensorBoard shows, written by TensorFlow alone."""

import os
from collections.abc import Mapping

import tensorflow as tf


class Scalars:
    """An event file of scalars; TensorBoard itself need not be installed.

    Args:
        log_dir: Folder of the event file, made where it is missing.
    """

    def __init__(self, log_dir: str | os.PathLike[str]):
        self._writer = tf.summary.create_file_writer(os.fspath(log_dir), filename_suffix=".health")
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self._metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Writes one epoch's values, so that they can be read at once."""
        with self._writer.as_default():
            for name, value in values.items():
                scalar = tf.constant(value, tf.float32)
                tf.summary.write(name, scalar, step=step, metadata=self._metadata)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()
