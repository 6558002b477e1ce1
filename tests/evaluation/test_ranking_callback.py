"""The callback puts ranking quality into the logs, stops on it and restores the best weights."""

import keras
import numpy as np
import pytest

from tfadvrec.adversary import AdversarialTraining, FastGradient
from tfadvrec.data import Interactions, pairs
from tfadvrec.evaluation import Random, RankingCallback, RankingTask, evaluate
from tfadvrec.losses import BayesianPersonalizedRanking
from tfadvrec.models import MatrixFactorization

# Position of everybody's held-out item after each epoch: better, worse, best at epoch 4, worse.
PLAN = (5, 3, 4, 4, 1, 2, 2, 3, 3, 3, 3, 3)
N_USERS, N_ITEMS, EPOCHS = 6, 12, len(PLAN)


def logs():
    cells = np.random.default_rng(0).permutation(60)[:40]
    user, item = np.divmod(cells, 10)
    whole = Interactions(user=user, item=item, user_ids=np.arange(6), item_ids=np.arange(10))
    return whole.take(np.arange(30)), whole.take(np.arange(30, 40))


def planned_logs():
    """Everybody has seen item 0, and item 1 is held out of everybody."""
    rows = np.arange(N_USERS, dtype=np.int32)
    ids = {"user_ids": rows, "item_ids": np.arange(N_ITEMS)}
    return [Interactions(user=rows, item=np.full(N_USERS, item), **ids) for item in (0, 1)]


class Planned(keras.callbacks.Callback):
    """Gives the model the weights that put item 1 at the planned position."""

    def __init__(self, recommender):
        super().__init__()
        self.recommender = recommender

    def on_epoch_end(self, epoch, logs=None):
        scores = -np.arange(N_ITEMS, dtype=np.float32)
        scores[1] = -1.5 - PLAN[epoch]
        self.recommender.item_embedding.embeddings.assign(scores[:, None])
        self.recommender.user_embedding.embeddings.assign(np.ones((N_USERS, 1)))


def fit(kind, callbacks, *, epochs=EPOCHS, **options):
    """Trains with a rate of zero, so that only the plan moves the weights."""
    train, _ = planned_logs()
    recommender = MatrixFactorization(n_users=N_USERS, n_items=N_ITEMS, dimension=1)
    model = recommender
    if kind == "adversarial":
        model = AdversarialTraining(recommender, FastGradient(0.1))
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=BayesianPersonalizedRanking())
    data = pairs(train, batch_size=3, block=2 if kind == "blocks" else None)
    options = {"verbose": 0, "epochs": epochs, **options}
    history = model.fit(data, callbacks=[Planned(recommender), *callbacks], **options)
    return recommender, history


def position(recommender):
    return round(-1.5 - float(recommender.item_embedding.embeddings.numpy()[1, 0]))


def ndcg(place):
    return 1 / np.log2(place + 2)


@pytest.mark.parametrize("kind", ["plain", "adversarial", "blocks"])
def test_stops_after_evaluations_without_a_new_best_and_restores_it(kind):
    callback = RankingCallback(*planned_logs(), stop_after=3, restore_best=True)
    recommender, history = fit(kind, [callback])
    assert len(history.history["loss"]) == 8  # best at epoch 4, then 5, 6 and 7 are worse
    np.testing.assert_allclose(history.history["val_ndcg@10"], [ndcg(p) for p in PLAN[:8]])
    assert (callback.best_epoch, callback.best) == (4, pytest.approx(ndcg(1)))
    assert position(recommender) == PLAN[4]


def test_every_few_epochs_counts_evaluations_and_restores_an_evaluated_epoch():
    callback = RankingCallback(*planned_logs(), every=2, stop_after=3, restore_best=True)
    recommender, history = fit("plain", [callback])
    # evaluated at epochs 0, 1, 3, 5, 7, 9, 11; epoch 4 is never seen; 5 is the best of those
    assert list(callback.evaluations) == [0, 1, 3, 5, 7, 9, 11]
    assert callback.best_epoch == 5
    assert position(recommender) == PLAN[5]
    shown = [PLAN[e] for e in (0, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11)]
    np.testing.assert_allclose(history.history["val_ndcg@10"], [ndcg(p) for p in shown])


def test_the_last_epoch_is_evaluated_and_may_be_the_best():
    callback = RankingCallback(*planned_logs(), every=4, restore_best=True)
    recommender, _ = fit("plain", [callback], epochs=5)
    assert list(callback.evaluations) == [0, 3, 4]
    assert callback.best_epoch == 4
    assert position(recommender) == PLAN[4]


def test_training_that_is_taken_up_again_starts_anew_with_the_same_turns():
    callback = RankingCallback(*planned_logs(), every=3, restore_best=True)
    fit("plain", [callback], epochs=6)
    task = callback.task
    recommender, _ = fit("plain", [callback], initial_epoch=6, epochs=10)
    assert list(callback.evaluations) == [6, 8, 9]
    assert callback.best_epoch == 6
    assert position(recommender) == PLAN[6]
    assert callback.task is task


@pytest.mark.parametrize("kind", ["plain", "adversarial"])
def test_kerass_own_early_stopping_keeps_an_evaluated_epoch(kind):
    stop = keras.callbacks.EarlyStopping(
        "val_ndcg@10", mode="max", patience=6, restore_best_weights=True
    )
    recommender, history = fit(kind, [RankingCallback(*planned_logs(), every=2), stop])
    assert stop.best_epoch == 5
    assert len(history.history["loss"]) == 12  # 3 evaluations of 2 epochs after epoch 5
    assert position(recommender) == PLAN[5]


@pytest.mark.parametrize("callback", ["EarlyStopping", "ModelCheckpoint"])
def test_keras_does_not_guess_the_direction(callback, tmp_path):
    options = {"EarlyStopping": {}, "ModelCheckpoint": {"save_best_only": True}}[callback]
    if callback == "ModelCheckpoint":
        options |= {"filepath": tmp_path / "best.weights.h5", "save_weights_only": True}
    reader = getattr(keras.callbacks, callback)(monitor="val_ndcg@10", **options)
    with pytest.raises(ValueError, match="mode='max'"):
        fit("plain", [RankingCallback(*planned_logs()), reader], epochs=2)


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
    assert list(callback.evaluations) == [0, 1]


def test_the_task_is_prepared_once(monkeypatch):
    callback = RankingCallback(*planned_logs(), users=[0, 2, 4])
    monkeypatch.setattr(RankingTask, "__init__", None)
    fit("plain", [callback], epochs=3)
    assert callback.task.users.tolist() == [0, 2, 4]
    assert len(callback.evaluations) == 3


def test_options_are_checked():
    with pytest.raises(ValueError, match="every must be at least 1"):
        RankingCallback(*logs(), every=0)
    with pytest.raises(ValueError, match="stop_after must be at least 1"):
        RankingCallback(*logs(), stop_after=0)
    for monitor in ("ndcg@5", "gini@10", "loss"):
        with pytest.raises(ValueError, match=r"better when higher: ndcg@10, auc"):
            RankingCallback(*logs(), metrics=("ndcg", "auc", "gini"), monitor=monitor)
    assert RankingCallback(*logs(), metrics=("auc",)).monitor == "auc"
    assert RankingCallback(*logs(), monitor="val_hr@10").monitor == "hr@10"
    nameless = RankingCallback(*logs())
    nameless.set_model(keras.Sequential())
    with pytest.raises(ValueError, match="has no score_catalogue"):
        nameless.on_epoch_end(0, {})
