"""The signatures beyond the plain lists: what they answer, worked out by hand or by NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import tfadvrec as tar
from tfadvrec.serving import ExportError, ExportSpec, export
from tfadvrec.serving.planning import make_plan
from tfadvrec.serving.releasing import save

MASKED = np.finfo(np.float32).min


class Player:
    """A factorised model that also generates, discriminates and detects."""

    def __init__(self, vectors):
        self.inner = vectors.random()
        self.user_ids, self.item_ids = self.inner.user_ids, self.inner.item_ids
        self.embed_users, self.embed_items = self.inner.embed_users, self.inner.embed_items

    def generate(self, rows, seeds):
        noise = tf.map_fn(
            lambda seed: tf.random.stateless_normal([23], seed),
            seeds,
            fn_output_signature=tf.float32,
        )
        return tf.matmul(self.embed_users(rows), self.inner.items, transpose_b=True) + noise

    def discriminate(self, users, items):
        scores = tf.reduce_sum(self.embed_users(users) * self.embed_items(items), axis=1)
        return tf.sigmoid(scores)

    def detect(self, profiles):
        return tf.sigmoid(tf.reduce_sum(profiles, axis=1) - 3.0)


@pytest.fixture(scope="module")
def player(vectors, tmp_path_factory):
    """Such a model, exported, and its loaded signatures."""
    model = Player(vectors)
    report = export(model, tmp_path_factory.mktemp("play"), k=5, max_exclude=4, examples=True)
    return model, report, tf.saved_model.load(report.path).signatures


@pytest.fixture(scope="module")
def taken():
    """EASE on a small log, and the log."""
    rng = np.random.default_rng(3)
    users, items = np.repeat(np.arange(9), 5), rng.integers(0, 12, 45)
    log = tar.Interactions.from_arrays(users, items, duplicates="first")
    model = tar.EASE(n_users=log.n_users, n_items=log.n_items, regularization=3.0)
    return model.fit(log), log


def texts(tensor):
    return [[one.decode() for one in row] for row in tensor.numpy()]


def test_all_signatures_are_offered_and_verified(player):
    _, report, _ = player
    assert report.verified
    assert report.signatures == (
        *("serving_default", "recommend", "recommend_excluding", "recommend_flex"),
        *("recommend_examples", "score", "embed_user", "embed_item"),
        *("generate", "discriminate", "detect"),
    )


def test_flex_lists_have_the_length_that_each_row_wants(player):
    model, _, served = player
    users, items = model.inner.users.numpy(), model.inner.items.numpy()
    order = np.argsort(-(users[:3] @ items.T), axis=1)
    ids = model.item_ids[order]
    answer = served["recommend_flex"](
        user_id=tf.constant(["100", "101", "102"]),
        exclude=tf.constant([["", ""], [ids[1, 0], ids[1, 2]], [ids[2, 1], "who"]]),
        k=tf.constant([2, 0, 7]),
    )
    got = texts(answer["item_id"])
    assert got[0] == [*ids[0, :2], *[""] * 5]
    assert got[1] == [""] * 7
    assert got[2] == np.delete(ids[2], 1)[:7].tolist()
    assert (answer["score"].numpy()[1] == MASKED).all()


def test_flex_lists_never_have_more_columns_than_there_are_items(player):
    model, _, served = player
    answer = served["recommend_flex"](
        user_id=tf.constant(["100"]), exclude=tf.constant([[""]]), k=tf.constant([1000])
    )
    assert sorted(texts(answer["item_id"])[0]) == sorted(model.item_ids)


def test_generated_rows_depend_on_their_own_seed_only(player):
    _, _, served = player
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]], tf.int64)
    users = tf.constant(["100", "100", "100"])
    whole = served["generate"](user_id=users, seed=seeds)["profile"].numpy()
    alone = served["generate"](user_id=users[2:], seed=seeds[2:])["profile"].numpy()
    np.testing.assert_array_equal(whole[0], whole[2])
    np.testing.assert_allclose(whole[2], alone[0], atol=1e-6)
    assert np.abs(whole[0] - whole[1]).max() > 0.1
    stranger = served["generate"](user_id=tf.constant(["who"]), seed=seeds[:1])
    assert not stranger["known_user"].numpy()[0]
    np.testing.assert_array_equal(stranger["profile"], np.zeros((1, 23)))


def test_probabilities_say_what_they_are_of(player):
    model, _, served = player
    pair = served["discriminate"](
        user_id=tf.constant(["101", "101"]), item_id=tf.constant([model.item_ids[4], "who"])
    )
    score = model.inner.users.numpy()[1] @ model.inner.items.numpy()[4]
    np.testing.assert_allclose(pair["p_real"], [1 / (1 + np.exp(-score)), 0.0], rtol=1e-5)
    assert pair["known_item"].numpy().tolist() == [True, False]
    profiles = np.zeros((2, 23), np.float32)
    profiles[1, :3] = 1
    fake = served["detect"](profile=tf.constant(profiles))["p_fake"]
    np.testing.assert_allclose(fake, [1 / (1 + np.exp(3.0)), 0.5], rtol=1e-5)


def test_examples_ask_as_ids_do(player):
    _, _, served = player
    example = tf.train.Example()
    example.features.feature["user_id"].bytes_list.value.append(b"103")
    raw = tf.constant([example.SerializeToString(), b""])
    answer = served["recommend_examples"](examples=raw)
    plain = served["recommend"](user_id=tf.constant(["103", ""]))
    for name, tensor in plain.items():
        np.testing.assert_array_equal(answer[name], tensor)


def test_generator_with_a_state_is_not_published(vectors, tmp_path):
    class Stateful(Player):
        def generate(self, rows, seeds):
            return tf.random.normal([tf.shape(rows)[0], 2])

    with pytest.raises(ExportError, match="stateful randomness"):
        export(Stateful(vectors), tmp_path / "rec", k=5)
    assert not (tmp_path / "rec").exists()


def test_generator_that_mixes_rows_is_not_published(vectors, tmp_path):
    class Mixing(Player):
        def generate(self, rows, seeds):
            one = super().generate(rows, seeds)
            return one - tf.reduce_mean(one, axis=0)

    with pytest.raises(ExportError, match="generate: profile differs"):
        export(Mixing(vectors), tmp_path / "rec", k=5)


def test_generator_of_an_open_width_is_refused(vectors):
    class Open(Player):
        def generate(self, rows, seeds):
            return tf.zeros([tf.shape(rows)[0], tf.shape(rows)[0]])

    with pytest.raises(ValueError, match=r"must give \(batch, \.\.\.\) of a fixed width"):
        make_plan(Open(vectors), ExportSpec())


def test_history_stands_for_the_user(taken, tmp_path):
    model, _ = taken
    report = export(model, tmp_path / "rec", k=12, max_exclude=3, history=6, examples=True)
    assert report.verified
    assert not (tmp_path / "rec" / "1" / "assets" / "users.txt").exists()
    served = tf.saved_model.load(report.path).signatures
    assert "embed_user" not in served
    items = model.item_ids.astype(str)
    mine = [0, 3, 5]
    history = [[*items[mine], "who", "", ""], ["who"] + [""] * 5]
    answer = served["recommend"](history=tf.constant(history))
    want = model.weight_matrix.numpy()[mine].sum(axis=0)
    order = np.argsort(-want, kind="stable")
    assert answer["known_user"].numpy().tolist() == [True, False]
    np.testing.assert_allclose(answer["score"].numpy()[0], want[order], rtol=1e-4, atol=1e-5)
    assert texts(answer["item_id"])[1] == [""] * 12


def test_long_examples_keep_their_last_items(taken, saved, tmp_path):
    model, _ = taken
    loaded = saved(model, tmp_path, k=4, history=2, examples=True)
    items = model.item_ids.astype(str).tolist()
    raw = []
    for row in (items[:5], items[:1]):
        example = tf.train.Example()
        example.features.feature["history"].bytes_list.value.extend(one.encode() for one in row)
        raw.append(example.SerializeToString())
    answer = loaded.signatures["recommend_examples"](examples=tf.constant(raw))
    plain = loaded.signatures["recommend"](history=tf.constant([items[3:5], [items[0], ""]]))
    np.testing.assert_array_equal(answer["item_id"], plain["item_id"])


@pytest.mark.parametrize("kind", ["ease", "knn", "svd"])
def test_users_of_the_log_get_by_history_what_they_get_by_id(taken, kind):
    ease, log = taken
    size = {"n_users": log.n_users, "n_items": log.n_items}
    model = {
        "ease": lambda: ease,
        "knn": lambda: tar.ItemKNN(**size, neighbours=4).fit(log),
        "svd": lambda: tar.PureSVD(**size, rank=3).fit(log),
    }[kind]()
    rows = np.full((log.n_users, 12), -1)
    for user in range(log.n_users):
        mine = log.item[log.user == user]
        rows[user, : len(mine)] = mine
    users = np.arange(log.n_users)
    if kind == "svd":
        got, want = model.embed_history(rows), model.embed_users(users)
    else:
        got, want = model.score_history(rows), model.score_catalogue(users)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_factorised_model_answers_histories(taken, tmp_path):
    _, log = taken
    model = tar.PureSVD(n_users=log.n_users, n_items=log.n_items, rank=3).fit(log)
    report = export(model, tmp_path / "rec", k=5, history=4)
    served = tf.saved_model.load(report.path).signatures
    items = model.item_ids.astype(str)
    vector = served["embed_user"](history=tf.constant([[items[1], items[1], "", ""], [""] * 4]))
    np.testing.assert_allclose(vector["embedding"][0], model.item_factors.numpy()[1], rtol=1e-5)
    np.testing.assert_array_equal(vector["embedding"][1], np.zeros(3))


def test_batching_servers_get_no_open_widths(vectors, tmp_path):
    plan = make_plan(vectors.random(), ExportSpec(k=5, server_batching=True, batch_sizes=(1, 4)))
    save(plan, tmp_path, number=1, name="rec")
    assert "recommend_flex" not in tf.saved_model.load(str(tmp_path)).signatures
    text = (tmp_path / "batching_params.pbtxt").read_text()
    assert "max_batch_size { value: 4 }" in text
