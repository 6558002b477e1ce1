import numpy as np
import pytest
import tensorflow as tf

MASKED = np.finfo(np.float32).min


def wanted_list(scores, ids, exclude, *, width):
    """The answer, item by item: no array tricks."""
    left = [(-score, row) for row, score in enumerate(scores) if ids[row] not in set(exclude)]
    best = [(ids[row], -score) for score, row in sorted(left)][:width]
    return best + [("", MASKED)] * (width - len(best))


@pytest.mark.parametrize(
    ("n_items", "k", "max_exclude"),
    [(23, 5, 4), (23, 10, 30), (6, 10, 3), (6, 10, 9), (1, 1, 1)],
    ids=["plain", "more exclusions than items", "long lists", "both", "one item"],
)
def test_exclusions_match_an_item_by_item_list(vectors, saved, tmp_path, n_items, k, max_exclude):
    model = vectors.random(n_items=n_items, seed=n_items + k)
    loaded = saved(model, tmp_path, k=k, max_exclude=max_exclude)
    rng, ids = np.random.default_rng(0), model.item_ids.tolist()
    rows = rng.integers(7, size=40)
    kinds = [*ids, "", "", "nothing", ids[0]]  # unknown ids, padding and repetitions among them
    exclude = rng.choice(np.array(kinds, object), (40, max_exclude))
    exclude[0] = ""
    exclude[1] = ids[0]
    exclude[2, : len(ids)] = ids[:max_exclude]
    answer = loaded.signatures["recommend_excluding"](
        user_id=tf.constant(model.user_ids[rows].astype(str)), exclude=tf.constant(exclude)
    )
    scores = (model.users.numpy() @ model.items.numpy().T)[rows]
    for got_ids, got_scores, each, unwanted in zip(
        answer["item_id"].numpy(), answer["score"].numpy(), scores, exclude, strict=True
    ):
        want = wanted_list(each, ids, unwanted, width=min(k, n_items))
        assert [one.decode() for one in got_ids] == [one for one, _ in want]
        np.testing.assert_allclose(got_scores, [score for _, score in want], rtol=1e-5, atol=1e-5)


def test_unknown_users_get_the_list_of_the_mean_user(vectors, saved, tmp_path):
    model = vectors.random()
    loaded = saved(model, tmp_path, k=5)
    answer = loaded.signatures["recommend"](user_id=tf.constant(["103", "who", ""]))
    assert answer["known_user"].numpy().tolist() == [True, False, False]
    scores = model.users.numpy().mean(axis=0) @ model.items.numpy().T
    best = model.item_ids[np.argsort(-scores)[:5]].tolist()
    assert [one.decode() for one in answer["item_id"][1].numpy()] == best
    np.testing.assert_allclose(answer["score"][2], np.sort(scores)[::-1][:5], rtol=1e-5)
    vector = loaded.signatures["embed_user"](user_id=tf.constant(["who"]))
    np.testing.assert_allclose(vector["embedding"][0], model.users.numpy().mean(axis=0), rtol=1e-5)


def test_unknown_users_get_masked_slots_when_asked(vectors, saved, tmp_path):
    loaded = saved(vectors.random(), tmp_path, k=5, unknown_user="empty")
    for name, more in (
        ("recommend", {}),
        ("recommend_excluding", {"exclude": tf.fill((2, 256), "")}),
    ):
        answer = loaded.signatures[name](user_id=tf.constant(["103", "who"]), **more)
        assert answer["known_user"].numpy().tolist() == [True, False]
        assert (answer["score"][0].numpy() > MASKED).all()
        assert answer["score"][1].numpy().tolist() == [MASKED] * 5
        assert answer["item_id"][1].numpy().tolist() == [b""] * 5
    assert np.isfinite(MASKED)


def test_pairs_and_vectors_of_unknown_ids_are_marked(vectors, saved, tmp_path):
    model = vectors.random()
    loaded = saved(model, tmp_path)
    answer = loaded.signatures["score"](
        user_id=tf.constant(["100", "who", "101", ""]),
        item_id=tf.constant(["item 3 é", "item 3 é", "what", ""]),
    )
    assert answer["known_user"].numpy().tolist() == [True, False, True, False]
    assert answer["known_item"].numpy().tolist() == [True, True, False, False]
    want = float(model.users.numpy()[0] @ model.items.numpy()[3])
    np.testing.assert_allclose(answer["score"], [want, MASKED, MASKED, MASKED], rtol=1e-5)
    vector = loaded.signatures["embed_item"](item_id=tf.constant(["what", "item 3 é"]))
    np.testing.assert_array_equal(vector["embedding"], [np.zeros(4), model.items.numpy()[3]])
    assert vector["known_item"].numpy().tolist() == [False, True]


def test_rows_do_not_depend_on_their_batch(vectors, saved, tmp_path):
    recommend = saved(vectors.random(), tmp_path, k=5).signatures["recommend"]
    users = ["103", "who", "100", "106"]
    whole = recommend(user_id=tf.constant(users))
    for row, user in enumerate(users):
        alone = recommend(user_id=tf.constant([user]))
        assert alone["item_id"][0].numpy().tolist() == whole["item_id"][row].numpy().tolist()
    assert recommend(user_id=tf.constant([], tf.string))["item_id"].shape == (0, 5)


def test_scores_that_are_not_finite_are_masked(scores, saved, tmp_path):
    model = scores([[1.0, -np.inf, 3.0], [np.nan, 2.0, np.inf]])
    loaded = saved(model, tmp_path)
    answer = loaded.signatures["recommend"](user_id=tf.constant(["u0", "u1", "u2"]))
    assert answer["item_id"].numpy().tolist() == [
        [b"i2", b"i0", b""],
        [b"i1", b"", b""],
        [b"", b"", b""],
    ]
    assert answer["score"].numpy().tolist() == [[3, 1, MASKED], [2, MASKED, MASKED], [MASKED] * 3]


def test_odd_ids_survive(vectors, saved, tmp_path):
    ids = ["\ufeffmark", " a ", "a", "a\tb", "日本", "\u2028", "\x0b", "'\"\\", "x" * 300]
    model = vectors.random(n_users=len(ids), n_items=len(ids))
    loaded = saved(model, tmp_path, user_ids=ids, item_ids=np.array(ids, dtype=object))
    answer = loaded.signatures["recommend"](user_id=tf.constant(ids))
    assert answer["known_user"].numpy().all()
    assert {one.decode() for one in answer["item_id"].numpy().ravel()} == set(ids)
    assert (
        loaded.signatures["score"](user_id=tf.constant(ids), item_id=tf.constant(ids))["known_item"]
        .numpy()
        .all()
    )
