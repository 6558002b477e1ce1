"""Logs of impressions: read from anything, checked, split; nothing is learnt from held-out rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tfadvrec.data import ClickLog, DataError, rows

FRAME = {
    "ad": ["tea", "jam", "", "tea"],
    "hour": [9, 10, 9, 11],
    "age": [31.0, 40.0, 22.0, 35.0],
    "shown": [0.5, 0.25, 1.0, 0.5],
    "click": [1, 0, 0, 1],
}
ROLES = {"label": "click", "fields": ["ad", "hour"], "numbers": ["age"], "propensity": "shown"}


def same(one, other):
    assert one.label.tolist() == other.label.tolist()
    assert one.propensity.tolist() == other.propensity.tolist()
    for name in one.codes:
        assert one.field_values(name).tolist() == other.field_values(name).tolist()
    assert one.numbers["age"].tolist() == other.numbers["age"].tolist()


def test_every_way_in_gives_the_same_log(tmp_path):
    log = ClickLog.from_frame(FRAME, action="ad", **ROLES)
    assert log.field_values("ad").tolist() == ["tea", "jam", "", "tea"]
    assert log.field_values("hour").tolist() == ["9", "10", "9", "11"]
    assert log.describe()["clicks"] == 2
    same(log, ClickLog.from_frame(pd.DataFrame(FRAME), **ROLES))
    same(log, ClickLog.from_frame(pl.DataFrame(FRAME), **ROLES))
    pd.DataFrame(FRAME).to_csv(tmp_path / "ads.csv", index=False)
    read = ClickLog.from_csv(tmp_path / "ads.csv", **ROLES)
    same(log, read)
    assert read.name == "ads"


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("click", [1, 0, 2, 1], r"label: 1 value other than 0 and 1 \(row 2: 2.0\)"),
        ("click", [1, 0, None, 1], "click: 1 value missing, infinite or no number .row 2: "),
        ("age", [31.0, 40.0, np.nan, 1.0], "age: 1 value missing, infinite or no number .row 2"),
        ("age", ["31", "old", "22", "35"], "row 1: old"),
        ("shown", [0.5, 0.0, 1.5, 0.5], r"propensity: 2 values outside \(0, 1\] \(row 1: 0.0; row"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_row(column, values, said):
    with pytest.raises(DataError, match=said):
        ClickLog.from_frame({**FRAME, column: values}, **ROLES)


def test_roles_that_cannot_be_meant_are_refused():
    with pytest.raises(DataError, match=r"no column 'adv'.*Did you mean 'ad'"):
        ClickLog.from_frame(FRAME, label="click", fields=["adv"])
    with pytest.raises(DataError, match="action must be one of the fields"):
        ClickLog.from_frame(FRAME, action="age", **ROLES)
    with pytest.raises(DataError, match="at least one field or number"):
        ClickLog.from_frame(FRAME, label="click", fields=[])
    with pytest.raises(ValueError, match="'error' or 'keep'"):
        ClickLog.from_frame(FRAME, missing="mean", **ROLES)


def test_a_missing_number_may_be_kept():
    log = ClickLog.from_frame({**FRAME, "age": ["31", "", "22", "35"]}, missing="keep", **ROLES)
    assert np.isnan(log.numbers["age"]).tolist() == [False, True, False, False]


def test_a_split_takes_every_row_once_in_the_asked_shares():
    many = {"ad": np.arange(100), "click": np.arange(100) % 2}
    log = ClickLog.from_frame(many, label="click", fields=["ad"])
    parts = log.by_ratio(validation=0.2, test=0.1, seed=3)
    assert [len(part) for part in parts] == [70, 20, 10]
    taken = np.concatenate([part.field_values("ad") for part in parts])
    assert sorted(taken.astype(int).tolist()) == list(range(100))
    again = log.by_ratio(validation=0.2, test=0.1, seed=3)
    assert again[2].field_values("ad").tolist() == parts[2].field_values("ad").tolist()
    assert len(log.by_ratio(validation=0, test=0.1)[1]) == 0
    with pytest.raises(DataError, match="together below 1"):
        log.by_ratio(validation=0.5, test=0.5)


def test_a_field_may_be_set_to_one_value_in_every_row():
    log = ClickLog.from_frame(FRAME, **ROLES).with_field("ad", "jam")
    assert log.field_values("ad").tolist() == ["jam"] * 4
    assert log.field_values("hour").tolist() == ["9", "10", "9", "11"]
    with pytest.raises(DataError, match="no field 'age'"):
        log.with_field("age", 3)


def test_rows_may_have_a_table_of_labels():
    tables = {"x": np.arange(6.0), "y": np.arange(6.0)[:, None] % 2}
    for block in (None, 3):
        part = next(iter(rows(tables, label="y", batch_size=4, seed=0, block=block)))
        inputs, label = part if block is None else part.batch(0)
        assert sorted(inputs) == ["x"]
        assert label.numpy()[:, 0].tolist() == (inputs["x"].numpy() % 2).tolist()
    with pytest.raises(DataError, match="no table 'z' of labels"):
        rows(tables, label="z", batch_size=4)
