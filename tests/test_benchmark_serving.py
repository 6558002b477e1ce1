"""The figures of the benchmark's part `serving`, on made-up seconds; no system is measured."""

import pytest

from tests.benchmarks import serving


def test_percentiles_leave_out_the_first_request_and_the_settling():
    seconds = [9.0, *[7.0] * 10, *[0.001 * (number + 1) for number in range(90)]]
    row = serving.summary("fake", 4, seconds)
    assert row["first_ms"] == 9000.0
    assert row["requests"] == 90
    assert row["p50_ms"] == pytest.approx(45.5)
    assert row["p99_ms"] == pytest.approx(89.11)
    assert row["rows_per_s"] == pytest.approx(4 * 90 / 4.095, rel=1e-3)


def test_medians_are_compared_with_one_pass_over_the_memory():
    rows = [
        {"system": "pass", "p50_ms": 2.0},
        {"system": "numpy", "p50_ms": 5.0},
        {"system": "faiss flat", "problem": "missing"},
        {"system": "warmed", "first_ms": 3.0},
        {"system": "by turns", "p50_ms": 3.0, "times_pass": 1.1},
    ]
    found = serving.compared(rows)
    assert [row.get("times_pass") for row in found] == [None, 2.5, None, None, 1.1]
    assert serving.compared(rows[1:]) == rows[1:]


def test_users_of_requests_follow_each_other_and_wrap():
    assert serving.users(0, 3) == [0, 1, 2]
    assert serving.users(2, 500) == list(range(500))
