"""Train on synthetic data, test on real people."""

import pytest

from tfadvrec.data import synthetic
from tfadvrec.models import EASE, MatrixFactorization
from tfadvrec.synthesis import independent_columns, utility
from tfadvrec.synthesis.utility_section import for_real_users


def test_the_real_log_itself_is_worth_as_much_as_the_real_log(split):
    found = utility(split.train, split.train, split.test, validation=split.validation)
    ratio = found["models"]["EASE"]["ratio"]
    assert (ratio["value"], ratio["low"], ratio["high"]) == (1.0, 1.0, 1.0)


def test_columns_without_association_teach_less_than_the_real_log(split):
    made = independent_columns(split.train, len(split.train), seed=4)
    found = utility(split.train, made, split.test, validation=split.validation)
    assert found["models"]["EASE"]["ratio"]["high"] < 0.9
    rows = found["models"]["EASE"]["rows"]
    assert (
        rows["real"]["metrics"]["ndcg@10"]["low"] > rows["synthetic"]["metrics"]["ndcg@10"]["value"]
    )
    assert found["popularity"]["metrics"]["ndcg@10"]["value"] > 0


def test_other_people_of_the_same_taste_teach_as_much_as_these(split):
    # 900 more users of the generator that made the split, of whom none is in it
    log = synthetic(300, 150, n_interactions=7_000, seed=3)
    found = utility(split.train, log, split.test, validation=split.validation)
    assert found["models"]["EASE"]["ratio"]["low"] > 0.9


def test_a_model_of_ones_own_and_itemknn(split):
    def build(log):
        return EASE(n_users=log.n_users, n_items=log.n_items, regularization=200.0).fit(log)

    found = utility(split.train, split.train, split.test, models={"mine": build}, resamples=50)
    assert found["models"]["mine"]["rows"]["real"]["metrics"]["ndcg@10"]["value"] > 0.1
    named = utility(split.train, split.train, split.test, models=("ItemKNN",), resamples=50)
    assert named["models"]["ItemKNN"]["ratio"]["value"] == 1.0
    assert named["tuned"] is False


def test_a_model_with_weights_of_users_is_refused(split):
    log = split.train
    model = MatrixFactorization(n_users=log.n_users, n_items=log.n_items, dimension=4)
    with pytest.raises(ValueError, match="has weights of users"):
        for_real_users(model, log)
    with pytest.raises(ValueError, match="EASE, ItemKNN or name -> function"):
        utility(log, log, split.test, models=("BPR",))
