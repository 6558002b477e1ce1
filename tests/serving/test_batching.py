"""Merged requests are answered as single ones are, and what padding does to exclusions."""

from pathlib import Path

import numpy as np
import pytest

from tests.serving.plain_servable import save_plain
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.ladder.tensors import raw_strings
from tfadvrec.serving.loopback.batching import Batching
from tfadvrec.serving.loopback.servable import LoopbackServable
from tfadvrec.serving.loopback.status import Refused

RULES = Batching((1, 4, 8, 32))


def texts(*rows):
    return np.array(rows, object)


@pytest.fixture(scope="module")
def servable(published):
    _, report = published
    one = LoopbackServable(Path(report.path), model="rec", version=1)
    yield one
    one.close()


@pytest.fixture(scope="module")
def calls(published):
    """For each signature the inputs of its first probe call, as arrays."""
    contract = read_contract(Path(published[1].path))
    found = {}
    for call in reversed(contract["probe"]):
        if set(call["inputs"]) == set(contract["signatures"][call["signature"]]["inputs"]):
            found[call["signature"]] = {name: array(one) for name, one in call["inputs"].items()}
    return {name: one for name, one in found.items() if name != "recommend_flex"}


def array(tensor):
    if tensor["dtype"] == "string":
        values = np.array(raw_strings(tensor), object)
    else:
        values = np.array(tensor["values"], tensor["dtype"])
    return values.reshape(tensor["shape"])


def same(one, other):
    for name in one:
        if one[name].dtype == np.float32:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(one[name], other[name])


def test_rows_are_joined_rounded_up_by_the_last_first_row_and_split():
    tasks = [{"x": np.array([1, 2])}, {"x": np.array([3, 4, 5])}]
    merged = RULES.merge(tasks)
    assert merged["x"].tolist() == [1, 2, 3, 4, 5, 3, 3, 3]
    split = RULES.split({"y": merged["x"] * 10}, [2, 3])
    assert [one["y"].tolist() for one in split] == [[10, 20], [30, 40, 50]]
    assert [RULES.round_up(rows) for rows in (1, 2, 8, 9)] == [1, 4, 8, 32]


@pytest.mark.parametrize("sizes", [(), (0, 2), (4, 4), (8, 1)])
def test_sizes_must_increase(sizes):
    with pytest.raises(ValueError, match="increasing"):
        Batching(sizes)


def test_what_does_not_fit_fails_the_whole_batch():
    wide, narrow = {"x": np.zeros([1, 3])}, {"x": np.zeros([1, 2])}
    with pytest.raises(Refused, match="different widths") as failed:
        RULES.run([wide, narrow], lambda merged: merged)
    assert failed.value.code == "FAILED_PRECONDITION"
    for bad in ({"x": np.zeros(2), "k": np.zeros(1)}, {"k": np.array(1)}, {"x": np.zeros(33)}):
        with pytest.raises(Refused) as failed:
            RULES.rows(bad)
        assert failed.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Refused, match="of a batch of 4 rows must have as many"):
        RULES.run([{"x": np.zeros(4)}], lambda merged: {"sum": np.array(0.0)})


def test_padding_repeats_the_requests_own_first_element():
    rules = Batching((8,), pad_variable_length_inputs=True)
    merged = rules.merge([{"x": texts(["a", "b"], ["c", "d"])}, {"x": texts(["e", "f", "g"])}])
    assert merged["x"][:3].tolist() == [["a", "b", "a"], ["c", "d", "a"], ["e", "f", "g"]]
    with pytest.raises(Refused, match="empty tensor"):
        rules.merge([{"x": np.zeros([1, 0])}, {"x": np.zeros([1, 2])}])


def test_merged_answers_are_the_single_ones_in_any_order(servable, calls):
    for name, inputs in calls.items():
        rows = len(next(iter(inputs.values())))
        tasks = [{key: one[row : row + 1] for key, one in inputs.items()} for row in range(rows)]
        alone = [servable.predict(name, task, ()) for task in tasks]
        order = np.random.default_rng(0).permutation(rows)
        answers = RULES.run(
            [tasks[row] for row in order],
            lambda merged, name=name: servable.predict(name, merged, ()),
        )
        for row, answer in zip(order, answers, strict=True):
            same(alone[row], answer)


def test_padded_ragged_exclusions_are_wrong_and_fixed_width_ones_right(servable, calls):
    user = calls["recommend"]["user_id"][:1]
    best = servable.predict("recommend", {"user_id": user}, ())["item_id"][0]
    rules = Batching((8,), pad_variable_length_inputs=True)

    def answered(*exclude):
        tasks = [{"user_id": np.repeat(user, len(one)), "exclude": one} for one in exclude]
        return rules.run(
            tasks, lambda merged: servable.predict("recommend_excluding", merged, ("item_id",))
        )

    # of the first request only row 0 excludes the best item; the second makes the batch wider
    ragged = answered(texts([best[0]], [b""]), texts([best[1], best[2], b"", b""]))
    assert ragged[0]["item_id"][1, 0] == best[1] != best[0]  # row 1 lost it too
    fixed = answered(
        texts([best[0], b"", b"", b""], [b""] * 4), texts([best[1], best[2], b"", b""])
    )
    assert fixed[0]["item_id"][1, 0] == best[0]
    assert fixed[0]["item_id"][0, 0] == best[1]
    assert fixed[1]["item_id"][0, :2].tolist() == [best[0], best[3]]


def test_an_output_without_rows_cannot_be_batched(tmp_path):
    one = LoopbackServable(save_plain(tmp_path / "1"), model="toy", version=1, batching=RULES)
    try:
        with pytest.raises(Refused, match="must have as many"):
            one.predict("total", {"x": np.ones(4, np.float32)}, ())
        answer = one.predict("", {"x": np.ones(3, np.float32)}, ())
        assert answer["y"].tolist() == [2, 2, 2]
    finally:
        one.close()
