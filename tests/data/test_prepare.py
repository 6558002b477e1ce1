"""Preparing a log shard by shard gives what loading it gives, whatever carries the work."""

import contextlib
import importlib.util
import itertools
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tfadvrec.data import (
    DataError,
    DataWarning,
    Interactions,
    ShardedLog,
    by_time,
    k_core,
    leave_last_out,
    prepare,
)
from tfadvrec.data.ordering import stable_sort
from tfadvrec.data.sharded import prepare as preparing
from tfadvrec.data.sharded.engine import BeamEngine, complained, guarded
from tfadvrec.data.sharded.moments import BUCKETS, nth
from tfadvrec.data.sharded.tally import Tally, merged

COLUMNS = ("user", "item", "rating", "time")


class BackwardsEngine:
    """Carries the work out here and now, the last file first."""

    def __init__(self, room, options=None):
        pass

    def __call__(self, work, numbers):
        return complained(merged(guarded(work, number) for number in reversed(numbers)))


@pytest.fixture(params=["here", "beam"])
def engine(request, monkeypatch):
    """Apache Beam, or a loop in its place: the steps are the same functions."""
    if request.param == "here":
        monkeypatch.setattr(preparing, "BeamEngine", BackwardsEngine)
    elif importlib.util.find_spec("apache_beam") is None:
        pytest.skip("NOT TESTED: preparing with Apache Beam, which the extra [beam] brings")
    return request.param


@pytest.fixture
def here(monkeypatch):
    """No Beam, where the engine makes no difference."""
    monkeypatch.setattr(preparing, "BeamEngine", BackwardsEngine)


def table(rows=3000, seed=0, text=True):
    """A log with repeated pairs and equal times, whose smaller cores take several rounds."""
    rng = np.random.default_rng(seed)
    user = (rng.random(rows) ** 2 * 400).astype(int)
    item = (rng.random(rows) ** 3 * 300).astype(int)
    return pa.table(
        {
            "user": [f"u{n:03d}" for n in user] if text else user * 7,
            "item": [f"i {n}" for n in item] if text else item + 5,
            "rating": rng.integers(1, 11, rows) / 2,
            "time": 1_500_000_000 + rng.integers(0, 500, rows) * 3600,
        }
    )


def shards(log, folder, form="csv", cuts=(0, 700, 701, 1900, 3000)):
    """Writes a log as several files of different sizes; in Parquet, one of them empty."""
    cuts = sorted([*cuts, cuts[1]]) if form == "parquet" else cuts
    folder.mkdir()
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        part = log.slice(start, end - start)
        path = folder / f"part-{number}.{form}"
        pacsv.write_csv(part, path) if form == "csv" else pq.write_table(part, path)
    return str(folder / f"*.{form}")


def same(sharded, log):
    """Both logs are equal, row for row, when the second is sorted by user."""
    order = stable_sort(log.user)[1]
    found = sharded.load()
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(log, name)[order], name)
    np.testing.assert_array_equal(found.user_ids, log.user_ids)
    np.testing.assert_array_equal(found.item_ids, log.item_ids)
    np.testing.assert_array_equal(sharded.popularity(), log.popularity())
    np.testing.assert_array_equal(sharded.activity(), np.bincount(log.user, minlength=log.n_users))
    assert found.user_ids.dtype.kind == log.user_ids.dtype.kind
    assert found.dropped == log.dropped
    assert (len(sharded), sharded.n_users, sharded.n_items) == (len(log), log.n_users, log.n_items)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("text", [True, False], ids=["text", "integers"])
def test_a_prepared_log_is_the_loaded_one(tmp_path, engine, form, text):
    source = shards(table(text=text), tmp_path / "parts", form)
    load = Interactions.from_csv if form == "csv" else Interactions.from_parquet
    log = k_core(load(source), 5)
    assert 500 < len(log) < 2500
    sharded = prepare(source, tmp_path / "made", k_core=5, shard_rows=500)
    same(sharded, log)
    assert 1 < sharded.shards == -(-len(log) // 500) < 6
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []
    for number in range(sharded.shards):
        shard = sharded.shard(number)
        assert (shard["user"] % sharded.shards == number).all()
        assert (np.diff(shard["user"]) >= 0).all()


@pytest.mark.parametrize("split", ["by_time", "leave_last_out", "leave_last_out, no validation"])
def test_the_parts_are_those_of_the_split_in_memory(tmp_path, engine, split):
    source = shards(table(), tmp_path / "parts")
    log = k_core(Interactions.from_csv(source), 3)
    if split == "by_time":
        parts, options = by_time(log, validation=0.1, test=0.15), {"test": 0.15}
    else:
        validation = "no" not in split
        parts = leave_last_out(log, validation=validation)
        options = {"validation": validation}
    options["split"] = split.split(",")[0]
    train = prepare(source, tmp_path / "made", k_core=3, shard_rows=400, **options)
    expected = {n: p for n, p in zip(parts._fields, parts, strict=True) if p is not None}
    assert sorted(train.parts) == sorted(expected)
    for name, part in expected.items():
        same(ShardedLog(tmp_path / "made", name), part)


@pytest.mark.parametrize("duplicates", ["first", "last", "keep"])
def test_repeated_pairs_are_treated_across_files(tmp_path, here, duplicates):
    source = shards(table(), tmp_path / "parts")
    log = Interactions.from_csv(source, duplicates=duplicates)
    same(prepare(source, tmp_path / "made", duplicates=duplicates, shard_rows=500), log)


def test_repeated_pairs_can_be_an_error_that_names_them(tmp_path, here):
    rows = {"user": ["ann", "bob", "ann"], "item": ["tea", "tea", "tea"]}
    source = shards(pa.table(rows), tmp_path / "parts", cuts=(0, 2, 3))
    with pytest.raises(DataError, match=r"1 row repeat .* user 'ann' with item 'tea'"):
        prepare(source, tmp_path / "made", duplicates="error")


def test_bad_rows_are_named_by_file_and_line_and_leave_nothing_behind(tmp_path, engine):
    (tmp_path / "a.csv").write_text("user,item,rating\nann,tea,5\nbob,milk,nan\n")
    (tmp_path / "b.csv").write_text("user,item,rating\n,tea,3\nann,milk,4\n")
    with pytest.raises(DataError) as caught:
        prepare(str(tmp_path / "?.csv"), tmp_path / "made")
    first, second = str(caught.value).split("\n")
    assert "a.csv: 1 row with a rating that is no finite number: line 3: bob,milk,nan" in first
    assert "b.csv: 1 row with a user without id: line 2: ,tea,3" in second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_bad_rows_may_be_dropped_and_are_counted_as_in_memory(tmp_path, here):
    (tmp_path / "a.csv").write_text(
        "user,item,rating,time\nann,tea,5,10\nbob,milk,nan,11\n,a,1,1\n"
    )
    (tmp_path / "b.csv").write_text("user,item,rating,time\nann,milk,4,12\nann,milk,3,9\n1,2,3\n")
    source = str(tmp_path / "?.csv")
    log = Interactions.from_csv(source, invalid="drop", separator=",")
    sharded = prepare(source, tmp_path / "made", invalid="drop", separator=",")
    same(sharded, log)
    assert len(log.dropped) == 4  # no id, no rating, ragged, repeated
    assert sharded.user_ids.tolist() == ["ann"]


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")  # TFDS beside protobuf 6
def test_spellings_of_several_files_are_one_id(tmp_path, here):
    (tmp_path / "a.csv").write_text("user,item,rating,time\n1,7,5,10\n2,8,4,11\n")
    (tmp_path / "b.csv").write_text("user,item,rating,time\n1.0,9,3,12\n02,7,2,13\n")
    source = str(tmp_path / "?.csv")
    with pytest.warns(DataWarning, match="'1' = '1.0'"):
        log = Interactions.from_csv(source)
    with pytest.warns(DataWarning, match="'1' = '1.0'"):
        sharded = prepare(source, tmp_path / "made")
    same(sharded, log)
    assert sharded.user_ids.tolist() == ["02", "1", "2"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("user,item,time\nann,milk,1500000001000\n", r"more than one unit \(s in .*a.csv, ms in"),
        ("user,item,time\nann,milk,2024-03-01 09:00\n", r"more than one unit \(s in .*date in"),
        ("user,item\nann,milk\n", "All files of a log have the same columns"),
    ],
)
def test_files_that_disagree_are_named(tmp_path, here, second, message):
    (tmp_path / "a.csv").write_text("user,item,time\nann,tea,1500000000\nbob,tea,0\n")
    (tmp_path / "b.csv").write_text(second)
    with pytest.raises(DataError, match=message):
        prepare(str(tmp_path / "?.csv"), tmp_path / "made")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["a,x,1,5", "b,x,2,6"], {}, "all 2 interactions are with one item"),
        (["a,x,1,5", "b,y,1,6"], {}, "column 'rating' is 1.0 in every row"),
        (["a,x,1,5", "b,y,2,6"], {"k_core": 2}, "nothing is left of 2 interactions"),
        (["a,x,1,5", "b,y,2,5"], {"split": "by_time"}, "every interaction has the time 5"),
        (["a,x,1,5", "b,y,2,6"], {"time": False, "split": "by_time"}, "this log has none"),
        (["a,x,1,5", "b,y,2,6"], {"split": "leave_last_out"}, "leaves test and validation empty"),
    ],
)
def test_logs_that_are_none_are_refused(tmp_path, here, rows, options, message):
    (tmp_path / "a.csv").write_text("\n".join(["user,item,rating,time", *rows, ""]))
    with pytest.raises(DataError, match=message):
        prepare(tmp_path / "a.csv", tmp_path / "made", **options)
    assert not (tmp_path / "made").exists()


def test_a_core_that_takes_more_rounds_than_allowed_is_refused(tmp_path, here):
    source = shards(table(), tmp_path / "parts")
    with pytest.raises(DataError, match="5-core is not reached after 1 rounds"):
        prepare(source, tmp_path / "made", k_core=5, rounds=1)


@pytest.mark.parametrize(
    "options", [{"split": "by_ratio"}, {"shard_rows": 0}, {"split": "by_time", "test": 1.0}]
)
def test_wrong_arguments_are_refused_before_anything_is_read(tmp_path, here, options):
    (tmp_path / "a.csv").write_text("no log at all")
    with pytest.raises(ValueError, match=r"split must be|at least 1|shares between"):
        prepare(tmp_path / "a.csv", tmp_path / "made", **options)


def test_a_prepared_log_is_never_written_over(tmp_path, here):
    source = shards(table(), tmp_path / "parts")
    first = prepare(source, tmp_path / "made").fingerprint()
    with pytest.raises(FileExistsError, match="never written over"):
        prepare(source, tmp_path / "made", k_core=2)
    assert ShardedLog(tmp_path / "made").fingerprint() == first


def test_what_a_stopped_preparation_left_is_refused(tmp_path, monkeypatch):
    class Stopped(BackwardsEngine):
        def __call__(self, work, numbers):
            if work.func.__name__ == "write":
                raise KeyboardInterrupt
            return super().__call__(work, numbers)

    monkeypatch.setattr(preparing, "BeamEngine", Stopped)
    source = shards(table(), tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts"]
    (tmp_path / "made").mkdir()
    with pytest.raises(DataError, match=r"no manifest.json, so this is no prepared log"):
        ShardedLog(tmp_path / "made")


def test_damage_is_found(tmp_path, here):
    sharded = prepare(shards(table(), tmp_path / "parts"), tmp_path / "made", shard_rows=1500)
    sharded.verify()
    path = next((tmp_path / "made").glob("*train.tfrecord-00001*"))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    again = ShardedLog(tmp_path / "made")
    with pytest.raises(DataError, match=f"{path.name} differ"):
        again.verify()
    with pytest.raises(DataError, match="cannot be read"):
        again.shard(1)
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match="bytes were written"):
        ShardedLog(tmp_path / "made")


def test_some_users_are_loaded_without_the_others(tmp_path, here):
    sharded = prepare(shards(table(), tmp_path / "parts"), tmp_path / "made", shard_rows=500)
    whole, users = sharded.load(), np.array([3, 17, 18, 101])
    some = sharded.load(users)
    rows = np.isin(whole.user, users)
    assert 0 < rows.sum() < len(whole)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[rows])
    assert len(sharded.load(np.empty(0, np.int32))) == 0
    with pytest.raises(AttributeError, match=r"has no 'csr': its interactions are on disk"):
        sharded.csr()
    with pytest.raises(DataError, match="there is no part 'test'"):
        ShardedLog(tmp_path / "made", "test")


@pytest.mark.filterwarnings("ignore:.*dtype.*:DeprecationWarning")
def test_tensorflow_datasets_reads_the_folder(tmp_path, here):
    import tensorflow_datasets as tfds

    source = shards(table(), tmp_path / "parts")
    train = prepare(source, tmp_path / "made", split="by_time", shard_rows=700)
    builder = tfds.builder_from_directory(tmp_path / "made")
    assert set(builder.info.splits) == {"train", "validation", "test"}
    assert builder.info.splits["train"].num_shards == train.shards
    records = list(tfds.as_numpy(builder.as_dataset(split="train")))
    log = train.load()
    for side in ("user", "item"):
        found = np.concatenate([record[f"{side}_id"] for record in records])
        np.testing.assert_array_equal(np.sort(found), np.sort(getattr(log, side)))
    when = np.concatenate([record["time"] for record in records])
    assert when.max() == log.time.max()


def test_a_place_among_all_times_is_found_in_buckets():
    times = np.random.default_rng(0).integers(-5, 2**40, 5000)
    times[:2000] = times[0]

    def counts(low, high, width):
        own = times[(times >= low) & (times <= high)]
        return np.bincount((own - low) // width, minlength=BUCKETS)

    span = (int(times.min()), int(times.max()))
    places = (0, 1, 1999, 2500, 4998, 4999)
    assert [nth(place, span, counts) for place in places] == np.sort(times)[list(places)].tolist()


def test_findings_survive_the_disk(tmp_path):
    one = Tally(
        counts={"item": np.array([1, 2])}, ids={"user": pa.array([5, 7])}, facts=[{"rows": 3}]
    )
    two = Tally(counts={"item": np.array([0, 5])}, ids={"user": pa.array(["7", "x"])})
    both = merged([one, two])
    both.save(tmp_path / "found")
    back = Tally.load(tmp_path / "found")
    assert back.counts["item"].tolist() == [1, 7]
    assert back.ids["user"].to_pylist() == ["5", "7", "x"]
    assert back.facts == [{"rows": 3}]


def test_the_files_do_not_depend_on_who_did_what_first(tmp_path, here, monkeypatch):
    class Forwards(BackwardsEngine):
        def __call__(self, work, numbers):
            return super().__call__(work, list(numbers)[::-1])

    source = shards(table(), tmp_path / "parts")
    options = {"k_core": 3, "split": "by_time", "shard_rows": 700}
    backwards = prepare(source, tmp_path / "one", **options)
    monkeypatch.setattr(preparing, "BeamEngine", Forwards)
    forwards = prepare(source, tmp_path / "two", **options)
    assert forwards.fingerprint() == backwards.fingerprint()


def test_what_the_workers_hand_over_does_not_grow_with_the_interactions(tmp_path, monkeypatch):
    handed = []

    class Weighing(BackwardsEngine):
        def __call__(self, work, numbers):
            found = super().__call__(work, numbers)
            handed[-1] += sum(values.nbytes for values in found.counts.values())
            handed[-1] += sum(ids.nbytes for ids in found.ids.values())
            return found

    monkeypatch.setattr(preparing, "BeamEngine", Weighing)
    for times in (1, 6):
        handed.append(0)
        log = pa.concat_tables([table()] * times)
        source = shards(log, tmp_path / f"parts-{times}", cuts=(0, 1000, len(log)))
        prepare(source, tmp_path / f"made-{times}", duplicates="keep", split="by_time")
    assert 0 < handed[1] <= 1.01 * handed[0]


def test_the_command_prepares_and_describes(tmp_path, here, capsys):
    from tfadvrec.cli.app import main

    source, target = shards(table(), tmp_path / "parts"), tmp_path / "made"
    with contextlib.suppress(SystemExit):
        main(["prepare", source, str(target), "--k-core", "3", "--split", "by_time", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == ShardedLog(target).describe()
    assert sum(said["interactions"].values()) == len(k_core(Interactions.from_csv(source), 3))


def test_without_beam_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install 'tfadvrec\[beam\]'"):
        BeamEngine(tmp_path)
    (tmp_path / "a.csv").write_text("user,item\na,x\nb,y\n")
    with pytest.raises(ImportError, match="environment of its own"):
        prepare(tmp_path / "a.csv", tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
