import numpy as np
import pytest

from tfadvrec.serving.vocabulary import read_vocabulary, wire_ids, write_vocabulary


def test_integers_become_decimal_strings():
    assert wire_ids(np.array([-3, 0, 2**62]), "user") == ["-3", "0", str(2**62)]
    assert wire_ids(np.array([1, 2], np.uint8), "user") == ["1", "2"]
    assert wire_ids(["7", 8], "user") == ["7", "8"]
    assert wire_ids(np.array(["a", 8], dtype=object), "user") == ["a", "8"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "one id for each row"),
        ([[1, 2]], r"shape \(1, 2\)"),
        (["a", ""], "must not be empty: row 1: ''"),
        (["a\n", "b"], r"line breaks \(\\n, \\r\): row 0: 'a\\n' \(1 of 2 rows\)"),
        (["a", "b\r"], r"line breaks"),
        (["a", "\ud800"], "valid Unicode: row 1"),
        (["a", "b", "a", "b"], r"differ from each other: row 2: 'a', row 3: 'b' \(2 of 4"),
        (np.array(["1", 1], dtype=object), "differ from each other: row 1: 1"),
        ([1.5, 2.0], "text or integers, and not float64"),
        ([True, False], "text or integers, and not bool"),
        ([b"a"], r"text or integers, and not \|S1"),
        (np.array(["a", None], dtype=object), "row 1: None"),
    ],
)
def test_unfit_ids_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        wire_ids(ids, "item")


def test_files_hold_one_id_a_line(tmp_path):
    ids = ["é", "\u2028", " b "]
    write_vocabulary(tmp_path / "ids.txt", ids)
    assert (tmp_path / "ids.txt").read_bytes() == "é\n\u2028\n b \n".encode()
    assert read_vocabulary(tmp_path / "ids.txt") == ids
