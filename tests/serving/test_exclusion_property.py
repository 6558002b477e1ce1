"""Exclusions of random servables against a list that NumPy makes."""

import numpy as np
import pytest
import tensorflow as tf

MASKED = np.finfo(np.float32).min
ROWS = 200
SIZES = [  # items, k, exclusions
    (40, 7, 9),
    (40, 40, 3),
    (9, 30, 4),  # k > N
    (9, 4, 25),  # E > N
    (5, 11, 13),  # both
    (2, 1, 1),
]


class Case:
    """A servable with known scores, and random requests to it.

    Half of the models have small whole numbers as scores, so that ties are many and exact.
    """

    def __init__(self, seed, *, vectors, scores, saved, folder):
        n_items, self.k, self.width = SIZES[seed % len(SIZES)]
        self.rng = np.random.default_rng(seed)
        if (seed + seed // len(SIZES)) % 2:
            model = scores(self.rng.integers(-3, 4, (8, n_items)))
            self.scores = model.table.numpy()
        else:
            model = vectors.random(n_users=8, n_items=n_items, seed=seed)
            self.scores = model.users.numpy() @ model.items.numpy().T
        self.users, self.items = model.user_ids.astype(str), model.item_ids.astype(object)
        options = {"k": self.k, "max_exclude": self.width, "signatures": ["recommend_excluding"]}
        self.served = saved(model, folder, **options).signatures
        self.rows = self.rng.integers(8, size=ROWS)
        self.exclude = np.stack([self.wishes(row) for row in self.rows])
        self.answer = self.ask(self.exclude)

    def wishes(self, row):
        """One row of exclusions: nothing, the user's best, everything that fits, or anything."""
        best = self.items[np.argsort(-self.scores[row], kind="stable")]
        pool = np.concatenate([self.items, ["", "", "unknown", "ITEM 0"]]).astype(object)
        count = int(self.rng.integers(self.width + 1))
        listed = [
            np.full(count, "", object),
            best[:count],
            np.resize(best, self.width),
            self.rng.choice(pool, count),
        ][self.rng.integers(4)]
        return np.concatenate([listed, np.full(self.width, "", object)])[: self.width]

    def ask(self, exclude):
        """Ids and scores of all rows."""
        answer = self.served["recommend_excluding"](
            user_id=tf.constant(self.users[self.rows]), exclude=tf.constant(exclude)
        )
        return text(answer["item_id"]), answer["score"].numpy()

    def wanted(self):
        """What NumPy says: items left by falling score, then by row."""
        scores = self.scores[self.rows].astype(np.float32)
        unwanted = (self.items[None, :, None] == self.exclude[:, None, :]).any(axis=2)
        scores = np.where(unwanted, MASKED, scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        best = np.take_along_axis(scores, order, axis=1)
        return np.where(best > MASKED, self.items[order], ""), best


def text(tensor):
    return np.array([[one.decode() for one in row] for row in tensor.numpy()], object)


@pytest.fixture(scope="module", params=range(8), ids=lambda seed: f"seed {seed}")
def case(request, vectors, scores, saved, tmp_path_factory):
    """One random servable with its requests."""
    return Case(
        request.param,
        vectors=vectors,
        scores=scores,
        saved=saved,
        folder=tmp_path_factory.mktemp("case"),
    )


def test_lists_are_those_of_numpy(case):
    ids, scores = case.wanted()
    assert (case.answer[0] == ids).all()
    np.testing.assert_allclose(case.answer[1], scores, rtol=1e-5, atol=1e-5)


def test_what_is_left_is_listed_once_and_what_is_masked_comes_last(case):
    ids, scores = case.answer
    assert ids.shape == (ROWS, min(case.k, len(case.items)))
    assert np.isfinite(scores).all()
    for listed, given, unwanted in zip(ids.tolist(), scores, case.exclude, strict=True):
        real = [one for one in listed if one]
        left = set(case.items) - set(unwanted)
        assert len(real) == min(len(left), len(listed))
        assert len(set(real)) == len(real)
        assert set(real) <= left
        assert listed == real + [""] * (len(listed) - len(real))
        assert (given[len(real) :] == MASKED).all()
        assert (np.diff(given) <= 0).all()


def test_order_repetition_and_unknown_ids_change_nothing(case):
    shuffled = case.rng.permuted(case.exclude, axis=1)
    assert (case.ask(shuffled)[0] == case.answer[0]).all()
    strangers = np.where(case.exclude == "", "never heard of", case.exclude)
    assert (case.ask(strangers)[0] == case.answer[0]).all()
    repeated = np.where(case.exclude == "", case.exclude[:, :1], case.exclude)
    assert (case.ask(repeated)[0] == case.answer[0]).all()


def test_excluding_nothing_is_recommending(case):
    nothing = case.ask(np.full_like(case.exclude, ""))
    plain = case.served["recommend"](user_id=tf.constant(case.users[case.rows]))
    assert (nothing[0] == text(plain["item_id"])).all()
    np.testing.assert_allclose(nothing[1], plain["score"], rtol=1e-6)


def test_excluding_the_first_moves_the_others_up(case):
    nothing = case.ask(np.full_like(case.exclude, ""))[0]
    first = np.full_like(case.exclude, "")
    first[:, -1] = nothing[:, 0]
    assert (case.ask(first)[0][:, :-1] == nothing[:, 1:]).all()
