"""One file of the source: read and checked as `Interactions` does, its ids become rows later."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather

from tfadvrec.data.assembly import RawLog, named, reject
from tfadvrec.data.choice import Choice
from tfadvrec.data.numbers import ratings, seconds, unit_of
from tfadvrec.data.ordering import taken, used_rows
from tfadvrec.data.parquet_files import read_parquet
from tfadvrec.data.readers import read_log
from tfadvrec.data.sharded.columns import deal, read_columns, write_columns
from tfadvrec.data.sharded.tally import Tally
from tfadvrec.data.vocabulary import distinct, encode

SIDES = ("user", "item")
SURVEYED, DEALT, AGAIN = "surveyed", "dealt", "dealt-again"
SHARDS = "shards"
PARQUET = (".parquet", ".pq")


def survey(number: int, *, path: str, folder: Path, choice: Choice, layout: dict) -> Tally:
    """Reads and checks one file, and writes its rows with codes of its own for the ids.

    Args:
        number: Which file it is.
        path: The file.
        folder: The folder of the preparation.
        choice: Which columns are what; every row that is wrong by itself is found here.
        layout: Options of `read_log`, for text files.

    Returns:
        The file's distinct ids as they are spelled, and one fact about it.

    Raises:
        DataError: When rows are bad and may not be dropped; their lines are named.
    """
    text = Path(path).suffix.lower() not in PARQUET
    raw, choice = read_log(path, choice, **layout) if text else read_parquet(path, choice)
    roles = choice.resolve(list(raw.columns), raw.source)
    columns, spelled, bad = {}, {}, {}
    for side in SIDES:
        codes, spelled[side], missing = _ids(raw, roles[side], side)
        columns[side], bad[f"{side} without id"] = codes, missing
    values, wrong, unit = _values(raw, roles, choice.time_unit)
    bad |= wrong
    dropped = {**raw.dropped, **reject(raw, bad, choice.invalid)}
    keep = ~np.logical_or.reduce(list(bad.values()))
    columns = {name: column[keep] for name, column in {**columns, **values}.items()}
    fact = {
        "number": number,
        "source": path,
        "rows": int(keep.sum()),
        "roles": roles,
        "unit": unit,
        "dropped": dropped,
    }
    if "rating" in columns:
        columns["rating"] = columns["rating"].astype(np.float32)
    write_columns(home(folder, SURVEYED, number), columns)
    for side, ids in spelled.items():
        write_ids(home(folder, SURVEYED, number) / f"{side}.arrow", ids)
    return Tally(ids=spelled, facts=[fact])


def _values(
    raw: RawLog, roles: dict[str, str], time_unit: str | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], str | None]:
    """Ratings and times, which of them are bad, and the unit that the times are in."""
    columns, bad, unit = {}, {}, None
    if "rating" in roles:
        columns["rating"] = named(raw, roles["rating"], ratings, raw.columns[roles["rating"]])
        bad["rating that is no finite number"] = np.isnan(columns["rating"])
    if "time" in roles:
        given = (raw, roles["time"])
        column = raw.columns[roles["time"]]
        unit = time_unit or named(*given, unit_of, column)
        columns["time"], bad["time that cannot be read"] = named(*given, seconds, column, time_unit)
    return columns, bad, unit


def _ids(raw: RawLog, name: str, side: str) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """Codes of all rows, the spellings that they mean, and which rows have no id."""
    column = raw.columns[name]
    missing = named(raw, name, encode, column, side).rows < 0
    values, codes = distinct(column)
    used = used_rows(codes, len(values) + 1)[: len(values)]
    table = np.append(np.cumsum(used, dtype=np.int32) - np.int32(1), np.int32(-1))
    spelled = values if isinstance(values, pa.Array) else pa.array(values)
    return taken(table, codes), spelled.filter(pa.array(used)), missing


def number_ids(number: int, *, folder: Path, shards: int) -> Tally:
    """Gives a surveyed file's ids their rows in the vocabulary, and deals its rows to shards."""
    piece = home(folder, SURVEYED, number)
    columns = read_columns(piece)
    for side in SIDES:
        own, spelled = read_ids(piece / f"{side}.arrow"), read_ids(folder / f"{side}.arrow")
        rows = np.load(folder / f"{side}-rows.npy", allow_pickle=False)
        place = pc.index_in(own.cast(spelled.type), spelled).fill_null(0).to_numpy()
        columns[side] = taken(rows[place], columns[side])
    deal(home(folder, DEALT, number), columns, shards)
    return Tally()


def renumber(number: int, *, folder: Path, shards: int) -> Tally:
    """Gives the rows of a shard their new numbers, drops those without, and deals them anew."""
    columns = read_columns(home(folder, SHARDS, number))
    for side in SIDES:
        columns[side] = taken(np.load(folder / f"{side}-new.npy"), columns[side])
    keep = (columns["user"] >= 0) & (columns["item"] >= 0)
    columns = {name: values[keep] for name, values in columns.items()}
    deal(home(folder, AGAIN, number), columns, shards)
    return Tally()


def home(folder: Path, stage: str, number: int) -> Path:
    """The folder of one file or shard in a stage of the preparation."""
    return folder / stage / f"{number:06d}"


def homes(folder: Path, stage: str, count: int) -> list[Path]:
    """The folders of a stage, in order."""
    return [home(folder, stage, number) for number in range(count)]


def write_ids(path: Path, ids: pa.Array) -> None:
    """Writes ids as they are spelled."""
    feather.write_feather(pa.table({"id": ids}), str(path), compression="uncompressed")


def read_ids(path: Path) -> pa.Array:
    """Reads what `write_ids` wrote."""
    ids = feather.read_table(path)["id"].combine_chunks()
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
