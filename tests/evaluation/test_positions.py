"""Positions and lists against a slow sort of every row, on scores that are hard to order."""

import numpy as np
import pytest

from tfadvrec.evaluation.positions import count_up_to, positions, top

RNG = np.random.default_rng(0)
LARGEST = np.finfo(np.float32).max
HARD = np.array([0.0, -0.0, 1e-45, -1e-45, LARGEST, -LARGEST, np.inf, -np.inf, 1.0], np.float32)


def scores_of(kind, shape):
    scores = {
        "random": lambda: RNG.normal(size=shape),
        "tied": lambda: RNG.integers(0, 5, shape),
        "constant": lambda: np.ones(shape),
        "extreme": lambda: RNG.choice(HARD, shape),
    }[kind]().astype(np.float32)
    scores[RNG.random(shape) < 0.3] = np.nan
    scores[0] = np.nan  # a user who has seen everything
    return scores


def slow_positions(scores):
    """Of every candidate: how many others score at least as much."""
    with np.errstate(invalid="ignore"):
        return np.array([(row[None, :] >= row[:, None]).sum(axis=1) - 1 for row in scores])


@pytest.mark.parametrize("kind", ["random", "tied", "constant", "extreme"])
@pytest.mark.parametrize("width", [1, 2, 8, 9, 64, 301])
def test_positions_and_lists_agree_with_comparing_everything(kind, width):
    scores = scores_of(kind, (21, width))
    expected = slow_positions(scores)
    for most in (1, 3, width):  # one held-out item each, a few, and enough to sort the row
        held = [
            RNG.permutation(np.flatnonzero(~np.isnan(row)))[: RNG.integers(0, most + 1)]
            for row in scores
        ]
        starts = np.concatenate([[0], np.cumsum([len(items) for items in held])]).astype(np.int64)
        item = np.concatenate(held).astype(np.int64)
        row = np.repeat(np.arange(len(scores)), np.diff(starts))
        assert positions(-scores, starts, item).tolist() == expected[row, item].tolist()
    for k in {1, 5, width, width + 3}:
        items, place = top(-scores, k)
        for user, row in enumerate(scores):
            allowed = np.flatnonzero(~np.isnan(row) & (expected[user] < k))
            order = np.lexsort((allowed, -(row[allowed] + 0.0)))
            shown = allowed[order]
            assert items[user].tolist() == [*shown, *[-1] * (k - len(shown))]
            assert place[user].tolist() == [*expected[user][shown], *[k] * (k - len(shown))]


def test_counts_do_not_overflow_a_byte():
    """2,040 items are 255 words of eight flags, which is as much as a byte can add up."""
    for width in (2039, 2040, 2041, 10_000):
        cost = np.zeros((2, width), np.float32)
        cost[1, -1] = np.nan
        assert count_up_to(cost, np.zeros(2, np.float32)).tolist() == [width, width - 1]


def test_a_shorter_list_is_the_start_of_a_longer_one():
    cost = -scores_of("tied", (40, 30))
    longest, place = top(cost, 12)
    for k in range(1, 12):
        items, _ = top(cost, k)
        shown = np.where(place[:, :k] < k, longest[:, :k], -1)
        assert np.array_equal(items, shown)
