"""Next events in time: which are ranked, from what, and where a window begins."""

import numpy as np
import pytest

from tfadvrec.data import DataError, Interactions
from tfadvrec.data.event_windows import gap_buckets
from tfadvrec.evaluation import evaluate_next_events


@pytest.fixture
def log():
    """Five items. User 0: 0 at 10, 1 at 20, 2 at 30; user 1: 3 at 25, 4 at 40; user 2: 0 at 50."""
    return Interactions(
        user=np.array([0, 1, 0, 2, 1, 0], np.int32),
        item=np.array([2, 4, 0, 0, 3, 1], np.int32),
        time=np.array([30, 40, 10, 50, 25, 20]),
        user_ids=np.arange(3),
        item_ids=np.arange(5),
    )


class Successor:
    """Prefers the item after the last one, then lower rows; remembers what it was asked."""

    length = 2

    def __init__(self):
        self.asked = []

    def score_history(self, rows):
        self.asked += [row.tolist() for row in rows if row[-1] >= 0]
        scores = np.tile(-np.arange(5.0), (len(rows), 1))
        scores[np.arange(len(rows)), (rows[:, -1] + 1) % 5] = 1.0
        return scores


def test_each_later_event_is_ranked_from_all_before_it(log):
    model = Successor()
    result = evaluate_next_events(model, log, after=25, windows=2)
    assert model.asked == [[0, 1], [-1, 3]]  # 2 at 30, and 4 at 40, though user 1 came at 25
    assert result.time.tolist() == [30, 40]
    assert result.rank.tolist() == [1.0, 1.0]
    assert result.unranked == 2  # the first events of users 1 and 2
    assert [row["ndcg@10"] for row in result.rows()] == [1.0, 1.0]


def test_what_was_taken_is_not_ranked_and_ties_count_against_the_model(log):
    class Last:
        def score_history(self, rows):
            return np.tile([9.0, 9.0, 0.0, 0.0, 1.0], (len(rows), 1))

    result = evaluate_next_events(Last(), log, after=30, windows=1, k=2)
    assert result.rank.tolist() == [3.0, 3.0]  # behind 4 and its equal 3; behind 0 and 1
    row = result.rows()[0]
    assert (row["events"], row["hr@2"], row["mrr"]) == (2, 0.0, pytest.approx(1 / 3))


def test_a_log_without_times_or_later_events_is_an_error(log):
    with pytest.raises(DataError, match="has none"):
        evaluate_next_events(Successor(), log.replace(time=None), after=0)
    with pytest.raises(DataError, match="0 events at 50"):
        evaluate_next_events(Successor(), log, after=50)


def test_a_time_aware_model_is_given_the_gaps_between_events():
    log = Interactions.from_arrays([1, 1, 1], ["tea", "jam", "oats"], time=[1, 3, 1003])
    given = []

    class TimeAware:
        time_aware, length = True, 2

        def score_history(self, rows, gaps):
            given.append((rows[:2].tolist(), gaps[:2].tolist()))
            return np.zeros((len(rows), 3))

    evaluate_next_events(TimeAware(), log, after=2, windows=1)
    rows, gaps = given[0]
    names = log.item_ids.tolist()
    assert rows == [[-1, names.index("tea")], [names.index("tea"), names.index("jam")]]
    known = gap_buckets(np.array([2]))
    assert gaps[1][1] == known[0]  # two seconds before jam
    assert gaps[0][0] == 0  # padding
