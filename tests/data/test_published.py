import pytest

from tfadvrec.data import DataError, published_split


def write(folder, **parts):
    for name, text in parts.items():
        (folder / f"{name}.csv").write_text(text)
    return [folder / f"{name}.csv" for name in parts]


def pairs(log):
    return list(zip(log.user_ids[log.user].tolist(), log.item_ids[log.item].tolist(), strict=True))


def test_parts_share_one_vocabulary_and_keep_their_rows(tmp_path):
    train, test, valid = write(
        tmp_path,
        train="user,item,rating\na,1,5\nb,2,4\n",
        test="user,item,rating\na,3,3\n",
        valid="user,item,rating\nc,1,2.5\n",
    )
    split = published_split(train, test, validation=valid)
    assert pairs(split.train) == [("a", 1), ("b", 2)]
    assert pairs(split.validation) == [("c", 1)]
    assert pairs(split.test) == [("a", 3)]
    assert split.train.item_ids.tolist() == [1, 2, 3]
    assert split.test.rating.tolist() == [3.0]
    assert split.describe()["test"]["with_cold_item"] == 1
    assert split.describe()["validation"]["with_cold_user"] == 1


def test_repeats_go_within_a_part_only_and_leaks_are_counted(tmp_path):
    train, test = write(tmp_path, train="1\t1\n1\t1\n2\t2\n", test="1\t1\n")
    split = published_split(train, test, separator="\t")
    assert (len(split.train), len(split.test)) == (2, 1)
    assert split.train.dropped == {"repeated (user, item) pairs": 1}
    assert split.describe()["test"]["also_in_train"] == 1


def test_an_id_is_text_for_all_parts_when_one_part_has_text(tmp_path):
    train, test = write(tmp_path, train="1,10\n2,11\n", test="x,10\n1,11\n")
    split = published_split(train, test, header=False)
    assert split.train.user_ids.tolist() == ["1", "2", "x"]


def test_errors_name_the_part_and_its_line(tmp_path):
    train, test = write(
        tmp_path,
        train="user,item,rating\na,1,5\nb,2,4\n",
        test="user,item,rating\na,3,3\nb,3,bad\n",
    )
    with pytest.raises(DataError, match=r"test\.csv, line 3: b,3,bad"):
        published_split(train, test)
    test.write_text("user,item\na,3\n")
    with pytest.raises(DataError, match="All files of a split have the same columns"):
        published_split(train, test)
    with pytest.raises(FileNotFoundError):
        published_split(train, tmp_path / "none.csv")
