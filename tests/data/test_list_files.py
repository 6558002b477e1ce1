"""Logs of which a line is a user and the user's items."""

import gzip

import numpy as np
import pytest

from tfadvrec.data import DataError, Interactions, leave_last_out, published_split

TEXT = "7 30 10 20\n\n9\t10 10\n"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "plays.txt"
    file.write_text(TEXT)
    return file


def pairs(log):
    return list(zip(log.user_ids[log.user].tolist(), log.item_ids[log.item].tolist(), strict=True))


def test_users_and_items_come_in_the_order_of_the_lines(path):
    log = Interactions.from_lists(path)
    assert [tuple(map(str, pair)) for pair in pairs(log)] == [
        ("7", "30"), ("7", "10"), ("7", "20"), ("9", "10"), ("9", "10"),
    ]  # fmt: skip
    assert log.time is None
    assert log.rating is None
    assert log.name == "plays"
    assert "plays.txt" in log.origin


def test_the_last_item_of_a_line_is_a_users_last(tmp_path):
    file = tmp_path / "plays.txt"
    file.write_text("7 30 10 20\n9 20 30 10\n")
    log = Interactions.from_lists(file)
    split = leave_last_out(log, validation=False)
    assert [str(item) for _, item in sorted(pairs(split.test))] == ["20", "10"]


def test_repeated_items_can_be_dropped_and_files_packed(path):
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert len(Interactions.from_lists(path)) == 5
    assert len(Interactions.from_lists(path, duplicates="last")) == 4
    with pytest.raises(DataError, match="line 3"):
        Interactions.from_lists(path, duplicates="error")


def test_users_without_items_are_named_or_dropped_and_counted(path):
    path.write_text("7 30 10\n8\n9 10\n")
    with pytest.raises(DataError, match=r"1 of 3 lines .* line 2: '8'"):
        Interactions.from_lists(path)
    log = Interactions.from_lists(path, invalid="drop")
    assert log.n_users == 2
    assert log.dropped["user without items"] == 1


@pytest.mark.parametrize("text", ["", "7,30,10\n9,10\n"])
def test_what_has_no_items_at_all_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(DataError, match="separated by blanks"):
        Interactions.from_lists(path, invalid="drop")


def test_text_in_another_encoding_is_explained(path):
    path.write_bytes("ann caf\xe9 tea\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 1: byte 0xe9"):
        Interactions.from_lists(path)
    assert "café" in Interactions.from_lists(path, encoding="latin-1").item_ids.tolist()


def test_a_published_split_of_lists_shares_one_vocabulary(tmp_path):
    (tmp_path / "train.txt").write_text("1 10 20 10\n2 20\n")
    (tmp_path / "test.txt").write_text("1 30\n2 10\n")
    split = published_split(tmp_path / "train.txt", tmp_path / "test.txt", layout="lists")
    assert split.validation is None
    assert split.train.n_items == 3
    assert len(split.train) == 4  # as `from_lists`: repeated items stay
    np.testing.assert_array_equal(split.train.item_ids, split.test.item_ids)
    assert [tuple(map(int, pair)) for pair in pairs(split.test)] == [(1, 30), (2, 10)]
    with pytest.raises(ValueError, match="no columns: separator"):
        published_split(
            tmp_path / "train.txt", tmp_path / "test.txt", layout="lists", separator=","
        )
    with pytest.raises(ValueError, match="layout"):
        published_split(tmp_path / "train.txt", tmp_path / "test.txt", layout="list")
