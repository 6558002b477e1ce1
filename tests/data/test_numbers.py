import datetime

import numpy as np
import pyarrow as pa
import pytest

from tfadvrec.data import DataError, Interactions
from tfadvrec.data.numbers import ratings, seconds

MOMENT = 881_250_949


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_the_unit_is_inferred_when_all_agree(factor):
    values, bad = seconds(np.array([MOMENT, MOMENT + 60]) * factor)
    assert values.tolist() == [MOMENT, MOMENT + 60]
    assert not bad.any()


def test_mixed_units_name_the_odd_rows():
    with pytest.raises(
        DataError,
        match=r"'time': times in more than one unit \(2 look like s, 1 look like ms\).*row 1",
    ):
        Interactions.from_arrays([1, 2, 3], [1, 2, 3], time=[MOMENT, MOMENT * 1000, MOMENT + 5])


def test_a_stated_unit_is_believed():
    assert seconds(np.array([5, 10_000]), "ms")[0].tolist() == [0, 10]
    assert seconds(np.array([-1500]), "ms")[0].tolist() == [-2]
    with pytest.raises(ValueError, match="time_unit: expected one of s, ms, us, ns"):
        seconds(np.array([1]), "minutes")


def test_negative_times_need_a_unit():
    with pytest.raises(DataError, match="1 negative times"):
        seconds(np.array([5, -5]))
    assert seconds(np.array([5, -5]), "s")[0].tolist() == [5, -5]


def test_times_beyond_32_bits_stay_whole():
    assert seconds(np.array([2**33]))[0].tolist() == [2**33]


def test_zero_belongs_to_every_unit():
    assert seconds(np.array([0, MOMENT * 1000]))[0].tolist() == [0, MOMENT]


@pytest.mark.parametrize(
    "column",
    [
        np.array(["1997-12-04T15:55:49", "1997-12-04 15:55:49"]),
        np.array(["1997-12-04T15:55:49Z", "1997-12-04T16:55:49+01:00"]),
        np.array(["1997-12-04T15:55:49", "1997-12-04T15:55:49"], "datetime64[s]"),
        np.array(["1997-12-04T15:55:49", "1997-12-04T15:55:49"], "datetime64[ns]"),
        pa.array([datetime.datetime(1997, 12, 4, 15, 55, 49)] * 2),
        pa.chunked_array([pa.array([MOMENT * 1000] * 2, pa.timestamp("ms", "Europe/Berlin"))]),
        np.array([str(MOMENT)] * 2),
        np.array([MOMENT + 0.25] * 2),
        pa.array([MOMENT] * 2, pa.uint64()),
    ],
)
def test_dates_and_numbers_of_every_kind_are_seconds(column):
    values, bad = seconds(column)
    assert values.tolist() == [MOMENT] * 2
    assert not bad.any()


def test_what_is_no_time_is_marked():
    assert seconds(np.array(["1997-12-04", "yesterday"]))[1].tolist() == [False, True]
    assert seconds(np.array([1.0, np.nan]))[1].tolist() == [False, True]
    assert seconds(pa.array([1, None]))[1].tolist() == [False, True]
    assert seconds(np.array([np.inf]))[1].tolist() == [True]


@pytest.mark.parametrize("text", ["nan", "inf", "", "five", "-inf"])
def test_what_is_no_finite_rating_is_nan(text):
    values = ratings(np.array(["4.5", text]))
    assert values[0] == 4.5
    assert np.isnan(values[1])


def test_ratings_of_every_kind_are_numbers():
    assert ratings(pa.array([True, False])).tolist() == [1.0, 0.0]
    assert ratings(pa.array([b"1", b"2"])).tolist() == [1.0, 2.0]
    assert ratings(pa.array(["1", "2"]).dictionary_encode()).tolist() == [1.0, 2.0]
    assert np.isnan(ratings(pa.nulls(2))).all()
    with pytest.raises(DataError, match="expected numbers"):
        ratings(pa.array([datetime.date(2020, 1, 1)]))
