"""The callback puts ranking quality into the logs every few epochs."""

import numpy as np
import pytest

from tfadvrec.data import Interactions
from tfadvrec.evaluation import Random, RankingCallback, evaluate


def logs():
    pairs = np.random.default_rng(0).permutation(60)[:40]
    user, item = np.divmod(pairs, 10)
    whole = Interactions(user=user, item=item, user_ids=np.arange(6), item_ids=np.arange(10))
    return whole.take(np.arange(30)), whole.take(np.arange(30, 40))


def test_values_enter_the_logs_and_repeat_in_between():
    train, validation = logs()
    model = Random(n_users=6, n_items=10)
    callback = RankingCallback(train, validation, every=2, k=(3,), model=model)
    seen = []
    for epoch in range(3):
        found = {}
        callback.on_epoch_end(epoch, found)
        seen.append(found)
    expected = evaluate(model, train, validation, k=3, metrics=["ndcg", "hr"]).means
    assert seen[0] == seen[1] == seen[2]
    assert seen[0] == {f"val_{name}": value for name, value in expected.items()}


def test_every_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        RankingCallback(*logs(), every=0)
