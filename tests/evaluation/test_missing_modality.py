"""The curve of a ranking whose items lack a modality, against rankings by hand."""

import numpy as np
import pytest

from tfadvrec.data import leave_last_out
from tfadvrec.evaluation import RankingTask, missing_modality_curve
from tfadvrec.evaluation.missing_modality import missing
from tfadvrec.models import MostPopular, Multimodal


@pytest.fixture
def ranked(blocks_log):
    titles = np.array([f"{'even' if item % 2 == 0 else 'odd'}" for item in range(20)])
    log = blocks_log.replace(item_features={"title": titles})
    split = leave_last_out(log, validation=False)
    model = Multimodal.for_log(split.train, {"title": "text"}, dimension=8, seed=0)
    return model, RankingTask(split.train, split.test), split.train


def value(model, task):
    return task.evaluate(model, k=10, metrics=["ndcg"]).means["ndcg@10"]


def test_every_point_is_the_ranking_of_the_model_without_those_items_modality(ranked):
    model, task, train = ranked
    before = model.modality_tables[0].features.numpy()
    alone = MostPopular(n_users=20, n_items=20).fit(train)
    rows = missing_modality_curve(
        model, task, "title", rates=[0, 0.5, 1], seeds=[0, 1], without=alone
    )
    found = {(row["imputation"], row["rate"]): row for row in rows}
    clean = value(model, task)
    assert found["zero", 0.0]["value"] == found["mean", 0.0]["value"] == pytest.approx(clean)
    for impute in ("zero", "mean"):
        halves = []
        for seed in (0, 1):
            with model.hidden("title", missing(model, 0.5, seed), impute=impute):
                halves.append(value(model, task))
        assert found[impute, 0.5]["value"] == pytest.approx(np.mean(halves))
        assert found[impute, 0.5]["sd"] == pytest.approx(np.std(halves, ddof=1))
        with model.hidden("title", np.arange(20), impute=impute):
            whole = value(model, task)
        assert found[impute, 1.0]["value"] == pytest.approx(whole)
        assert found[impute, 1.0]["kept"] == pytest.approx(whole / clean)
    assert found["model without", 0.5]["value"] == pytest.approx(value(alone, task))
    np.testing.assert_array_equal(model.modality_tables[0].features, before)


def test_what_lacks_a_modality_at_a_rate_lacks_it_at_higher_ones(ranked):
    model, task, _ = ranked
    few, many = missing(model, 0.3, 5), missing(model, 0.7, 5)
    assert (len(few), len(many)) == (6, 14)
    assert set(few) < set(many)
    with pytest.raises(ValueError, match="from 0 to 1"):
        missing_modality_curve(model, task, "title", rates=[1.5])
