import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tfadvrec.serving import ExportError, ExportSpec, export, planning, releasing
from tfadvrec.serving.ladder.core_ops import CORE_OPS
from tfadvrec.serving.ladder.graph_audit import audit_graph, read_meta_graph
from tfadvrec.serving.ladder.runtimes import IsolatedRun, no_c_runtime

TABLE = [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]


def by_numpy(scores):
    return tf.ensure_shape(tf.numpy_function(np.negative, [scores], tf.float32), [None, 3])


@tf.function(jit_compile=True)
def by_xla(scores):
    return scores * 2.0


@tf.function
def by_nested_xla(scores):
    return by_xla(scores) + 1.0


def by_chance(scores):
    return scores + tf.random.uniform(tf.shape(scores))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (by_numpy, "PyFunc, a call back into this Python process"),
        (by_xla, "demands XLA"),
        (by_nested_xla, "demands XLA"),
        (by_chance, "RandomUniform, stateful randomness"),
        (lambda one: tf.io.decode_raw(tf.strings.as_string(one), tf.uint8)[..., 0], "DecodeRaw"),
    ],
)
def test_what_a_server_cannot_run_is_not_published(scores, tmp_path, tamper, message):
    with pytest.raises(ExportError, match=message) as caught:
        export(scores(TABLE, tamper), tmp_path / "rec")
    assert not caught.value.report.verified
    assert not (tmp_path / "rec").exists()


def test_failure_keeps_the_versions_that_are_there(scores, tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(ExportError):
        export(scores(TABLE, by_xla), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["1"]


def test_model_that_cannot_be_traced_is_refused(scores, tmp_path):
    with pytest.raises(ValueError, match="cannot be traced into a graph"):
        export(scores(TABLE, lambda one: tf.constant(one.numpy())), tmp_path)
    with pytest.raises(ValueError, match=r"must give \(batch, 3\)"):
        export(scores(TABLE, lambda one: one[:, :2]), tmp_path)


def test_model_with_a_table_of_its_own_is_refused(scores, tmp_path):
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([0], [1.0]), 0.0)
    with pytest.raises(ValueError, match="reads a resource that is no variable"):
        export(scores(TABLE, lambda one: one + table.lookup(tf.constant([0]))), tmp_path)


def test_c_runtime_has_no_python_functions(scores, tmp_path):
    if no_c_runtime():
        pytest.skip(f"NOT TESTED in the C runtime: {no_c_runtime()}")
    plan = planning.make_plan(scores(TABLE, by_numpy), ExportSpec())
    releasing.save(plan, tmp_path, number=1, name="rec")
    signature = read_meta_graph(tmp_path).signature_def["score"]
    names = {
        side: {key: one.name for key, one in getattr(signature, side).items()}
        for side in ("inputs", "outputs")
    }
    one = {"dtype": "string", "shape": [1], "values": ["u0"]}
    call = {"signature": "score", "inputs": {"user_id": one, "item_id": one}}
    with IsolatedRun("c_runtime") as process:
        process.ask(tmp_path, [call], {"score": names})
        outputs, problems = process.outcome()
    assert outputs == []
    assert "PyFunc" in problems[0]


def test_devices_other_than_the_cpu_are_found():
    with tf.Graph().as_default() as graph:
        with tf.device("/device:GPU:0"):
            tf.constant(1.0)
        with tf.device("/device:CPU:0"):
            tf.constant(2.0)
    (problem,) = audit_graph(graph.as_graph_def())
    assert "tied to the device /device:GPU:0" in problem


def test_listed_operations_exist_and_only_known_ones_have_state():
    missing = [one for one in CORE_OPS if op_def_registry.get(one) is None]
    assert missing == []
    assert sorted(one for one in CORE_OPS if op_def_registry.get(one).is_stateful) == [
        "Assert", "AssignVariableOp", "Case", "CheckNumerics", "DisableCopyOnRead", "HashTableV2",
        "If", "InitializeTableFromTextFileV2", "LookupTableFindV2", "LookupTableSizeV2",
        "MergeV2Checkpoints", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "RestoreV2",
        "SaveV2", "StatefulPartitionedCall", "StatelessRandomGetAlg", "VarHandleOp",
        "VarIsInitializedOp", "While",
    ]  # fmt: skip
