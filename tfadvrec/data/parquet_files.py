"""Parquet files become columns, a batch of rows at a time."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from tfadvrec.data.assembly import RawLog
from tfadvrec.data.checks import DataError, FileMissing
from tfadvrec.data.choice import Choice, column_name
from tfadvrec.data.gathering import gather
from tfadvrec.data.several import files_of

_BATCH_ROWS = 1 << 16


def read_parquet(path: str | Path | Sequence[str | Path], choice: Choice) -> tuple[RawLog, Choice]:
    """Reads the columns of a log from Parquet.

    Args:
        path: A file, a folder of them, several files or a pattern.
        choice: Which columns are what; no others are read.

    Returns:
        The columns, and the choice with every column by its name.

    Raises:
        DataError: When something is no Parquet file or lacks a column.
    """
    paths = files_of(path)
    source = str(path) if len(paths) == 1 else " + ".join(map(str, paths))
    for one in paths:
        if not one.exists():
            raise FileMissing(f"{one}: there is no such file.")
    # buffered and not ahead of its use: the reader holds pages, not whole row groups
    options = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
    try:
        data = ds.dataset(
            str(paths[0]) if len(paths) == 1 else [str(one) for one in paths],
            format=ds.ParquetFileFormat(default_fragment_scan_options=options),
            partitioning=ds.HivePartitioning.discover(infer_dictionary=True),
        )
        names = data.schema.names
        roles = choice.resolve(names, source)
        extra = [column_name(asked, names, source) for asked in choice.columns]
        wanted = list(dict.fromkeys([*roles.values(), *extra]))
        scanner = data.scanner(
            wanted,
            batch_size=_BATCH_ROWS,
            batch_readahead=0,
            fragment_readahead=0,
            use_threads=False,
        )
        ids = (roles["user"], roles["item"])
        columns = gather(scanner.projected_schema, scanner.to_batches(), ids)
    except DataError:
        raise
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DataError(f"{source}: cannot be read as Parquet ({error}).") from None
    return RawLog(columns, source), choice.named(roles, extra)
