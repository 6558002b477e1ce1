import numpy as np
import pytest
import tensorflow as tf

from tfadvrec.serving import BruteForce
from tfadvrec.serving.index.top_of_blocks import BLOCK, block_scores, top_of_blocks
from tfadvrec.serving.ladder.graph_audit import audit_graph

INDEXES = {
    "float32": BruteForce(),
    "float32 chunked": BruteForce(chunk=256),
    "float16": BruteForce(dtype="float16", chunk=128),
    "int8": BruteForce(dtype="int8", chunk=256, rescore=3),
    "one chunk": BruteForce(dtype="int8"),
}


def whole_numbers(n_items, *, seed=0):
    """Vectors that every dtype stores without loss, with many equal ones: 127 is in each row."""
    rng = np.random.default_rng(seed)
    items = rng.integers(-2, 3, size=(n_items, 3))
    return np.concatenate([items, np.full((n_items, 1), 127)], axis=1).astype(np.float32)


def best(scores, count):
    """Scores and rows, equal scores by lower row, worked out by sorting everything."""
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.fixture(params=INDEXES, name="index")
def each_index(request):
    return INDEXES[request.param]


@pytest.mark.parametrize("n_items", [1, 5, 64, 65, 700])
def test_search_is_a_sort_of_all_scores(index, n_items):
    items = whole_numbers(n_items)
    queries = np.random.default_rng(1).integers(-2, 3, size=(3, 4)).astype(np.float32)
    queries[:, 3] = [0, 1, -1]
    table = index.build(items)
    top = tf.function(table.top)
    for count in {1, min(20, n_items), n_items}:
        want = best(queries @ items.T, count)
        for got in (table.top(tf.constant(queries), count), top(queries, tf.constant(count))):
            np.testing.assert_array_equal(got[0], want[0])
            np.testing.assert_array_equal(got[1], want[1])
            assert got[1].dtype == tf.int32


@pytest.mark.parametrize("n_items", [4500, 4544])
def test_large_catalogue_is_searched_by_blocks_and_remains_sorted(index, n_items):
    items = whole_numbers(n_items)
    items[-1] = [9, 9, 9, 127]  # the best, in the last block
    queries = np.array([[1, 1, 1, 0], [-1, -1, -1, 0], [0, 0, 0, 0]], np.float32)
    table = index.build(items)
    for batch in (1, 3):
        scores, rows = table.top(tf.constant(queries[:batch]), 150)
        want = best(queries[:batch] @ items.T, 150)
        np.testing.assert_array_equal(scores, want[0])
        np.testing.assert_array_equal(rows, want[1])
        assert rows[0, 0] == n_items - 1


def test_filling_is_never_found_though_all_scores_are_negative(index):
    items = -np.abs(whole_numbers(1001))
    table = index.build(items)
    scores, rows = table.top(tf.ones([1, 4]), 1001)
    assert sorted(rows.numpy()[0]) == list(range(1001))
    assert (scores.numpy() < 0).all()


def test_width_is_known_to_the_graph_and_no_query_is_no_answer(index):
    table = index.build(whole_numbers(300))
    spec = tf.TensorSpec([None, 4], tf.float32)
    top = tf.function(lambda some: table.top(some, 7), input_signature=[spec])
    traced = top.get_concrete_function()
    assert [one.as_list() for one in traced.output_shapes] == [[None, 7], [None, 7]]
    assert traced(tf.zeros([0, 4]))[1].shape == (0, 7)
    assert table.top(tf.ones([2, 4]), tf.constant(0))[1].shape == (2, 0)
    assert audit_graph(traced.graph.as_graph_def()) == []


def test_pairs_and_vectors_are_those_of_the_items(index):
    items = whole_numbers(300)
    table = index.build(items)
    rows = tf.constant([299, 0, 129, 128, 0])
    np.testing.assert_array_equal(table.vectors(rows), items[rows.numpy()])
    queries = np.arange(20, dtype=np.float32).reshape(5, 4)
    want = (queries * items[rows.numpy()]).sum(axis=1)
    np.testing.assert_array_equal(table.pairs(tf.constant(queries), rows), want)


def test_sizes_are_what_the_variables_take():
    items = whole_numbers(1280)
    sizes = {}
    for name, index in INDEXES.items():
        table = index.build(items)
        held = sum(one.numpy().nbytes for one in table.variables)
        assert table.held_bytes == held
        sizes[name] = (table.n_bytes, held)
    assert sizes == {
        "float32": (20480, 20480),
        "float32 chunked": (20480, 20480),
        "float16": (10240, 10240),
        "int8": (5120 + 5120, 5120 + 5120 + 10240),  # codes, scales; and the float16 copy
        "one chunk": (10240, 20480),
    }


def test_rescoring_finds_what_bytes_alone_miss():
    items = np.array([[1000, 1.2], [1000, 1.3], [1000, 0.9], [-1000, 0]], np.float32)
    query = tf.constant([[0.0, 1.0]])  # all codes of the second column are 0
    narrow = BruteForce(dtype="int8", rescore=1).build(items)
    assert narrow.top(query, 1)[1].numpy().tolist() == [[1]]
    items = items[[0, 2, 1, 3]]
    assert BruteForce(dtype="int8", rescore=1).build(items).top(query, 1)[1].numpy() == [[0]]
    assert BruteForce(dtype="int8", rescore=2).build(items).top(query, 1)[1].numpy() == [[2]]


def test_rows_of_zeros_are_no_trouble():
    items = np.zeros((5, 4), np.float32)
    items[2] = -1e-3
    for index in INDEXES.values():
        scores, rows = index.build(items).top(tf.ones([1, 4]), 5)
        assert rows.numpy().tolist() == [[0, 1, 3, 4, 2]]
        np.testing.assert_allclose(scores[0], [0, 0, 0, 0, -4e-3], rtol=1e-3)


@pytest.mark.parametrize("columns", [64, 1280])
def test_top_of_blocks_leaves_filling_out(columns):
    scores = np.random.default_rng(0).integers(0, 4, size=(3, columns)).astype(np.float32)
    scores[:, columns - 50 :] = scores[:, columns - 51, None]
    blocks = tf.constant(scores.reshape(3, -1, 64).transpose(1, 0, 2))
    for count in (1, 14, columns - 50):
        got = top_of_blocks(blocks, count, n_real=columns - 50)
        want = best(scores[:, : columns - 50], count)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


def test_a_chunk_of_float16_is_cast_at_a_time(monkeypatch):
    """The memory of a search is a chunk's: no more rows are float32 at once, nor two chunks."""
    table = BruteForce(dtype="float16", chunk=256).build(whole_numbers(1_000))
    cast = []

    def seen(queries, blocks):
        assert blocks.dtype == tf.float32
        cast.append(blocks.shape[0] * BLOCK)
        return block_scores(queries, blocks)

    with monkeypatch.context() as patched:
        patched.setattr("tfadvrec.serving.index.block_table.block_scores", seen)
        table.top(tf.ones([2, 4]), 10)
    assert cast == [256, 256, 256, 256]  # 1,000 rows fill 16 blocks of 64
    graph = tf.function(lambda: table.top(tf.ones([2, 4]), 10)).get_concrete_function().graph
    loops = [one for one in graph.get_operations() if one.type in ("While", "StatelessWhile")]
    assert [one.get_attr("parallel_iterations") for one in loops] == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "bfloat16"}, "one of .*float16.*got 'bfloat16'"),
        ({"chunk": 1000}, "multiple of 64, such as 65536, or None, got 1000"),
        ({"chunk": 0}, "multiple of 64"),
        ({"chunk": 128.0}, "multiple of 64"),
        ({"rescore": 50}, "rescore with dtype='int8' only"),
        ({"dtype": "float16", "rescore": 0}, "which ranks by what it stores"),
        ({"dtype": "int8", "rescore": 0}, "integer >= 1 with dtype='int8'.*got 0"),
        ({"recall_floor": 99}, "from 0 to 1, got 99"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BruteForce(**options)


def test_smaller_types_are_chunked_and_bytes_rescored_by_default():
    assert BruteForce(dtype="float16").chunk == 65_536
    int8 = BruteForce(dtype="int8")
    assert (int8.chunk, int8.rescore) == (65_536, 50)
    assert BruteForce().chunk is None
    assert [one.describe()["exact"] for one in (BruteForce(), int8)] == [True, False]
    described = int8.describe()
    assert BruteForce(**{name: described[name] for name in vars(int8)}) == int8


def test_vectors_beyond_half_precision_are_refused():
    items = np.full((3, 2), 7e4, np.float32)
    with pytest.raises(ValueError, match="float16, which ends at 65504; the largest value is 7e"):
        BruteForce(dtype="int8").build(items)
    assert BruteForce().build(items).n_bytes == 4 * 2 * 64
