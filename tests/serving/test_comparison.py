import numpy as np
import pytest

from tfadvrec.serving.ladder.comparison import compare
from tfadvrec.serving.ladder.tensors import packed

MASKED = np.float32(np.finfo(np.float32).min)


def tensors(ids, scores):
    return {
        "item_id": packed(np.array(ids, dtype=object)),
        "score": packed(np.array(scores, np.float32)),
        "known_user": packed(np.ones(len(ids), bool)),
    }


def judge(want, got, exclude=None):
    inputs = {} if exclude is None else {"exclude": packed(np.array(exclude, dtype=object))}
    return compare({"signature": "recommend", "inputs": inputs, "outputs": want}, got)


WANT = tensors([["a", "b", "c", "d"]], [[3.0, 2.0, 2.0, 1.0]])


def test_equal_answers_differ_by_nothing():
    assert judge(WANT, WANT) == (0.0, [])


@pytest.mark.parametrize(
    ("ids", "fine"),
    [
        (["a", "c", "b", "d"], True),  # inside a tie
        (["a", "b", "c", "z"], True),  # the end of the list may cut a tie
        (["b", "a", "c", "d"], False),
        (["a", "b", "z", "d"], False),
        (["a", "b", "c", "a"], False),
        (["a", "b", "c", ""], False),
    ],
)
def test_ids_may_differ_only_inside_ties(ids, fine):
    _, problems = judge(WANT, tensors([ids], [[3.0, 2.0, 2.0, 1.0]]))
    assert (not problems) == fine


def test_numbers_are_compared_relative_to_the_largest():
    difference, problems = judge(WANT, tensors([["a", "b", "c", "d"]], [[3.0, 2.0, 2.0, 1.3]]))
    assert difference == pytest.approx(0.1)
    assert "score differs by 1.0e-01" in problems[0]
    large = tensors([["a", "b"]], [[1e6, 5.0]])
    assert judge(large, tensors([["a", "b"]], [[1e6 + 1, 5.0]]))[1] == []


@pytest.mark.parametrize("wrong", [np.nan, np.inf, MASKED])
def test_masked_and_broken_numbers_never_pass(wrong):
    got = tensors([["a", "b", "c", "d"]], [[3.0, 2.0, 2.0, wrong]])
    assert judge(WANT, got)[1]
    masked = tensors([["a", "b", "c", ""]], [[3.0, 2.0, 2.0, MASKED]])
    assert judge(masked, WANT)[1]
    assert judge(masked, masked) == (0.0, [])


def test_excluded_items_never_pass():
    _, problems = judge(WANT, WANT, exclude=[["x", "d"]])
    assert "1 of 1 rows" in problems[0]


def test_missing_and_misshapen_outputs_are_problems():
    assert judge(WANT, {"score": WANT["score"]})[1]
    assert "expected string [1, 4]" in judge(WANT, tensors([["a"]], [[3.0]]))[1][0]
    flags = WANT | {"known_user": packed(np.zeros(1, bool))}
    assert "known_user is [False]" in judge(WANT, flags)[1][0]
