import bz2
import gzip

import numpy as np
import pytest

from tfadvrec.data import DataError, Interactions, read_table

ROWS = [("ann", "tea", "4", "100"), ("bob", "tea", "2.5", "90"), ("ann", "milk", "1", "120")]


def write(
    folder, rows=ROWS, separator=",", header="user,item,rating,time", name="log.csv", end="\n"
):
    lines = [header.replace(",", separator)] if header else []
    lines += [separator.join(row) for row in rows]
    path = folder / name
    path.write_bytes((end.join(lines) + end).encode())
    return path


def check(log):
    assert log.user_ids[log.user].tolist() == ["ann", "bob", "ann"]
    assert log.item_ids[log.item].tolist() == ["tea", "tea", "milk"]
    if log.rating is not None:
        assert log.rating.tolist() == [4.0, 2.5, 1.0]
    if log.time is not None:
        assert log.time.tolist() == [100, 90, 120]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::", " ", "~", "-|-"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_separator_with_header(tmp_path, separator, end):
    path = write(tmp_path, separator=separator, end=end)
    check(Interactions.from_csv(path, separator=separator))
    if separator not in ("~", "-|-"):
        log = Interactions.from_csv(path)
        check(log)
        assert log.rating is not None
        assert log.time is not None


@pytest.mark.parametrize("separator", [",", "::"])
def test_columns_by_position_without_header(tmp_path, separator):
    path = write(tmp_path, separator=separator, header="")
    check(Interactions.from_csv(path, user=0, item=1, rating=2, time=3))
    check(Interactions.from_csv(path, header=False))
    assert Interactions.from_csv(path).rating is None


def test_columns_by_other_names_and_kept_columns(tmp_path):
    path = write(tmp_path, header="who,what,stars,when")
    log = Interactions.from_csv(path, user="who", item="what", time="when", columns=["when"])
    check(log)
    assert log.rating is not None
    assert log.columns["when"].tolist() == [100, 90, 120]
    assert Interactions.from_csv(path, user="who", item=1, rating=False, time="when").rating is None


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "log.csv.gz"), (bz2.compress, "x.bin")])
@pytest.mark.parametrize("separator", [",", "::"])
def test_packed_files_are_unpacked_whatever_their_name(tmp_path, pack, name, separator):
    plain = write(tmp_path, separator=separator)
    packed = tmp_path / name
    packed.write_bytes(pack(plain.read_bytes()))
    check(Interactions.from_csv(packed))


def test_a_cut_off_gzip_file_is_an_error(tmp_path):
    whole = gzip.compress(write(tmp_path, rows=ROWS * 1000).read_bytes())
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.csv\.gz: cannot be unpacked"):
        Interactions.from_csv(path)


def test_quoted_separators_line_breaks_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "log.csv"
    text = '\ufeffuser,item,rating\nann,"tea, green",4\nbob,"milk\nshake",3\nann,"a ""b""",2\n'
    path.write_text(text, encoding="utf-8")
    log = Interactions.from_csv(path)
    assert log.item_ids[log.item].tolist() == ["tea, green", "milk\nshake", 'a "b"']
    bad = tmp_path / "bad.csv"
    bad.write_text(text.replace(",2", ",two"), encoding="utf-8")
    with pytest.raises(DataError, match="line 5: ann"):
        Interactions.from_csv(bad)


def test_quotes_can_be_ordinary_characters(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_text('1\t"tea\n2\tmilk\n')
    assert '"tea' in Interactions.from_csv(path, quote=None).item_ids


@pytest.mark.parametrize("blank", ["\n", "\n\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", "::"])
def test_line_numbers_are_right_with_header_and_blank_lines(tmp_path, separator, blank):
    path = tmp_path / "log.csv"
    rows = ["user,item,rating", "ann,tea,1", "", "bob,tea,2", "bob,milk,high", "eve,milk,3"]
    text = blank + "\n".join(rows).replace(",", separator) + "\n"
    path.write_bytes(text.encode())
    expected = 1 + text.splitlines().index(rows[4].replace(",", separator))
    with pytest.raises(DataError) as error:
        Interactions.from_csv(path)
    assert f"line {expected}: bob{separator}milk{separator}high" in str(error.value)
    assert str(path) in str(error.value)
    assert 'invalid="drop"' in str(error.value)
    log = Interactions.from_csv(path, invalid="drop")
    assert len(log) == 3
    assert log.dropped == {"rating that is no finite number": 1}


@pytest.mark.parametrize("bad", ["nan", "inf", "", "-Infinity"])
def test_ratings_that_are_not_finite_name_their_line(tmp_path, bad):
    path = write(tmp_path, rows=[*ROWS, ("eve", "tea", bad, "100")])
    with pytest.raises(
        DataError, match="1 row with a rating that is no finite number: line 5: eve"
    ):
        Interactions.from_csv(path)


@pytest.mark.parametrize("none", ["", "NaN", "null"])
def test_rows_without_id_are_refused_or_dropped_and_counted(tmp_path, none):
    path = write(tmp_path, rows=[*ROWS, (none, "tea", "3", "100"), ("eve", none, "3", "100")])
    with pytest.raises(DataError, match=r"user without id: line 5.*item without id: line 6"):
        Interactions.from_csv(path)
    log = Interactions.from_csv(path, invalid="drop")
    check(log)
    assert log.dropped == {"user without id": 1, "item without id": 1}


def test_times_that_cannot_be_read_name_their_line(tmp_path):
    path = write(tmp_path, rows=[*ROWS, ("eve", "tea", "3", "soon")])
    with pytest.raises(DataError, match="time that cannot be read: line 5: eve,tea,3,soon"):
        Interactions.from_csv(path)


def test_mixed_time_units_name_their_line(tmp_path):
    rows = [(*row[:3], "881250949") for row in ROWS] + [("eve", "tea", "3", "881250949000")]
    with pytest.raises(DataError, match=r"more than one unit.*line 5: eve"):
        Interactions.from_csv(write(tmp_path, rows=rows))


def test_ragged_rows_name_their_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "ann,tea\nbob,milk\n" * 20 + "eve\nann,tea,4,5\n")
    with pytest.raises(
        DataError, match=r"2 rows differ. First of them: line 42: eve; line 43: ann"
    ):
        Interactions.from_csv(path, user="user", item="item")
    log = Interactions.from_csv(path, invalid="drop")
    assert log.dropped["row with too few or too many fields"] == 2
    bad = tmp_path / "both.csv"
    bad.write_text("user,item,rating\nann,tea,1\neve,3\nann,milk,x\nbob,tea,2\nbob,milk,2\n" * 1)
    with pytest.raises(DataError, match="line 3: eve,3"):
        Interactions.from_csv(bad, separator=",")


def test_the_wrong_separator_is_named_with_the_right_one(tmp_path):
    path = write(tmp_path, separator=";")
    with pytest.raises(DataError, match=r"have one column.*pass separator=';'"):
        Interactions.from_csv(path, separator=",")
    path.write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"no separator of .* The file begins: line 1: one"):
        Interactions.from_csv(path)


def test_a_header_is_never_taken_for_data_nor_data_for_a_header(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,10\n2,11\n")
    assert len(Interactions.from_csv(path)) == 2
    with pytest.raises(DataError, match=r"looks like a header, not like a row\. Pass header=True"):
        Interactions.from_csv(path, header=False, user=0, item=1)
    path.write_text("1,10\n2,11\n3,10\n")
    assert len(Interactions.from_csv(path)) == 3
    with pytest.raises(
        DataError, match=r"looks like a row, not like a header\. Pass\s+header=False"
    ):
        Interactions.from_csv(path, header=True, user=0, item=1)
    path.write_text("ann,tea\nbob,milk\n")
    with pytest.raises(
        DataError, match="cannot tell whether the first line 'ann, tea' is a header"
    ):
        Interactions.from_csv(path)
    assert len(Interactions.from_csv(path, header=False)) == 2


def test_an_unknown_column_lists_those_there_are(tmp_path):
    path = write(tmp_path)
    with pytest.raises(
        DataError, match=r"no column 'items'. The columns are 'user', 'item'.*'item'\?"
    ):
        Interactions.from_csv(path, item="items")
    with pytest.raises(DataError, match=r"no column 9; the columns 0\.\.3"):
        Interactions.from_csv(path, item=9)
    other = write(tmp_path, header="a,b,c,d")
    with pytest.raises(DataError, match="no column looks like the user"):
        Interactions.from_csv(other)
    twice = write(tmp_path, header="user,item,item,d")
    with pytest.raises(DataError, match="names \\['item'\\] more than once"):
        Interactions.from_csv(twice)


@pytest.mark.parametrize("separator", [",", "::"])
@pytest.mark.parametrize("far", [0, 30_000])
def test_another_encoding_is_suggested_and_works(tmp_path, separator, far):
    path = tmp_path / "log.csv"
    rows = (
        ["user,item"] + [f"u{n},tea" for n in range(far)] + ["ann,caf\xe9", "bob,milk", "bob,tea"]
    )
    path.write_bytes("\n".join(rows).replace(",", separator).encode("cp1252"))
    with pytest.raises(
        DataError, match=rf'not utf-8.*encoding="cp1252".*line {far + 2}: byte 0xe9'
    ):
        Interactions.from_csv(path, separator=separator)
    log = Interactions.from_csv(path, separator=separator, encoding="cp1252")
    assert "caf\xe9" in log.item_ids.tolist()
    with pytest.raises(ValueError, match="knows no encoding 'klingon'"):
        Interactions.from_csv(path, encoding="klingon")


def test_files_that_are_no_text_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        Interactions.from_csv(tmp_path / "none.csv")
    for content, message in (
        (b"", "the file is empty"),
        (b"\n\n", "no separator|the file is empty"),
        (b"PAR1....", "from_parquet"),
        (b"PK\x03\x04....", "zip archive"),
        (b"a\0b,c\n", "zero bytes"),
    ):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            Interactions.from_csv(path)
    path.write_text("user,item\n")
    with pytest.raises(DataError, match="no interactions"):
        Interactions.from_csv(path, user="user", item="item")


@pytest.mark.parametrize(
    ("policy", "expected"), [("last", 4.0), ("first", 5.0), ("keep", None), ("error", None)]
)
def test_repeated_pairs_follow_the_policy(tmp_path, policy, expected):
    # by time, not by place in the file: the latest of ann's three teas is the second line
    rows = [("ann", "tea", "3", "20"), ("ann", "tea", "4", "30"), ("ann", "tea", "5", "10")]
    path = write(tmp_path, rows=[*rows, ("bob", "milk", "1", "10")])
    if policy == "error":
        with pytest.raises(DataError, match=r"2 rows repeat.*line 3: ann.*line 4: ann"):
            Interactions.from_csv(path, duplicates=policy)
        return
    log = Interactions.from_csv(path, duplicates=policy)
    if policy == "keep":
        assert len(log) == 4
        return
    assert log.rating.tolist() == [expected, 1.0]
    assert log.dropped == {"repeated (user, item) pairs": 2}


def test_repeated_pairs_without_times_go_by_their_place():
    for policy, expected in (("last", [2.0, 9.0]), ("first", [1.0, 9.0])):
        log = Interactions.from_arrays([1, 1, 2], [5, 5, 6], rating=[1, 2, 9], duplicates=policy)
        assert log.rating.tolist() == expected
    with pytest.raises(ValueError, match="duplicates: expected one of last, first, error, keep"):
        Interactions.from_arrays([1], [2], duplicates="all")


def test_integer_ids_come_back_as_integers_and_leading_zeros_as_text(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n3,0012\n1,7\n")
    log = Interactions.from_csv(path)
    assert log.user_ids.dtype == np.int64
    assert log.item_ids.tolist() == ["0012", "7"]


def test_read_table_keeps_ids_as_text_and_infers_the_rest(tmp_path):
    path = tmp_path / "films.dat"
    path.write_text("007::Dr. No (1962)::1962\n008::Other (1963)::1963\n")
    table = read_table(path, names=("id", "title", "year"))
    assert table["id"].to_pylist() == ["007", "008"]
    assert table["year"].to_pylist() == [1962, 1963]
    with pytest.raises(DataError, match="2 names for 3 columns"):
        read_table(path, names=("id", "title"))


def test_a_large_file_takes_no_python_a_row(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "large.csv"
    rows = np.stack([rng.integers(0, 500, 200_000), rng.integers(0, 900, 200_000)], axis=1)
    np.savetxt(path, rows, fmt="%d", delimiter=",", header="user,item", comments="")
    log = Interactions.from_csv(path, duplicates="keep")
    assert np.array_equal(log.user_ids[log.user], rows[:, 0])
    assert np.array_equal(log.item_ids[log.item], rows[:, 1])


def test_text_in_utf_16_is_recognised_and_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,tea\n2,milk\n", encoding="utf-16")
    with pytest.raises(DataError, match='probably encoding="utf-16"'):
        Interactions.from_csv(path)
    assert Interactions.from_csv(path, encoding="utf-16").item_ids.tolist() == ["milk", "tea"]


def test_characters_that_only_look_like_line_breaks_stay_in_their_field(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("user,item\n1,a\u2028b\n2,c\x85d\n".encode())
    assert Interactions.from_csv(path).item_ids.tolist() == ["a\u2028b", "c\x85d"]
