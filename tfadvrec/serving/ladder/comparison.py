"""Compares expected answers with served ones."""

from typing import Any

import numpy as np

from tfadvrec.serving.graph.signatures import MASKED_SCORE
from tfadvrec.serving.ladder.tensors import Tensors, unpacked

TOLERANCE = 1e-5
# what vectors of less precision may change
APPROXIMATE = 0.02


def compare(call: dict[str, Any], served: Tensors) -> tuple[float, list[str]]:
    """Compares the answers of one call.

    Numbers may differ by `TOLERANCE`, relative to the largest expected number of the tensor where
    that is above one (float32 sums in another order differ by that much). Masked slots must be
    masked in both. Ids must be equal except among items whose scores are as close as that.

    Args:
        call: With `signature`, `inputs` and the expected `outputs`; with `recall` where the index
            is not exact: then numbers may differ by `APPROXIMATE`, and lists must share that part
            of the expected items in the mean.
        served: The served outputs.

    Returns:
        The largest such difference, and one sentence a problem.
    """
    expected, name = call["outputs"], call["signature"]
    if set(served) != set(expected):
        return 0.0, [f"{name} answers {sorted(served)}, expected {sorted(expected)}."]
    worst, problems = 0.0, []
    tolerance = APPROXIMATE if "recall" in call else TOLERANCE
    for output, want in expected.items():
        got = served[output]
        if got["dtype"] != want["dtype"] or got["shape"] != want["shape"]:
            problems.append(
                f"{name}: {output} is {got['dtype']} {got['shape']}, expected {want['dtype']} "
                f"{want['shape']}."
            )
        elif want["dtype"] == "float32":
            difference = number_difference(unpacked(want), unpacked(got))
            worst = max(worst, difference)
            if not difference <= tolerance:
                problems.append(f"{name}: {output} differs by {difference:.1e} (> {tolerance}).")
        elif want["dtype"] == "string" and "recall" in call:
            problems += low_recall(call, served)
        elif want["dtype"] == "string":
            problems += wrong_lists(call, served)
        elif got["values"] != want["values"]:
            problems.append(f"{name}: {output} is {got['values']}, expected {want['values']}.")
    return worst, problems


def number_difference(want: np.ndarray, got: np.ndarray) -> float:
    """Measures how far numbers are apart; infinite where one is masked and the other is not."""
    masked = want == np.float32(MASKED_SCORE)
    if (masked != (got == np.float32(MASKED_SCORE))).any() or not np.isfinite(got).all():
        return float("inf")
    if masked.all():
        return 0.0
    want, got = want[~masked].astype(np.float64), got[~masked].astype(np.float64)
    return float(np.abs(want - got).max() / max(1.0, np.abs(want).max()))


def low_recall(call: dict[str, Any], served: Tensors) -> list[str]:
    """Tells whether the lists of an index that is not exact miss too many items."""
    want, got = (unpacked(one["item_id"]) for one in (call["outputs"], served))
    pairs = [(set(a) - {""}, set(b) - {""}) for a, b in zip(want, got, strict=True)]
    shares = [len(a & b) / len(a) for a, b in pairs if a]
    recall = float(np.mean(shares)) if shares else 1.0
    if recall >= call["recall"] and all(len(a) == len(b) for a, b in pairs):
        return []
    return [
        f"{call['signature']}: the lists hold {recall:.4f} of the expected items, and must hold "
        f"{call['recall']}, in lists of the same lengths."
    ]


def wrong_lists(call: dict[str, Any], served: Tensors) -> list[str]:
    """Finds rows whose ids are not the expected ones up to ties."""
    want, got = unpacked(call["outputs"]["item_id"]), unpacked(served["item_id"])
    scores = unpacked(call["outputs"]["score"]).astype(np.float64)
    near = TOLERANCE * max(1.0, np.abs(scores[scores > MASKED_SCORE]).max(initial=0.0))
    unwanted = [[]] * len(want)
    if "exclude" in call["inputs"]:
        unwanted = unpacked(call["inputs"]["exclude"]).tolist()
    wrong = [
        row
        for row in range(len(want))
        if not same_list(want[row].tolist(), got[row].tolist(), scores[row], near)
        or (set(got[row]) - {""}) & set(unwanted[row])
    ]
    if not wrong:
        return []
    row = wrong[0]
    return [
        f"{call['signature']}: item_id has other items than expected in {len(wrong)} of "
        f"{len(want)} rows; row {row} begins {got[row][:5].tolist()}, expected "
        f"{want[row][:5].tolist()}."
    ]


def same_list(want: list[str], got: list[str], scores: np.ndarray, near: float) -> bool:
    """Tells whether two lists agree up to the order inside ties.

    The last tie may be cut by the end of the list, so other items can stand in it.
    """
    if want == got:
        return True
    ends = [*(np.flatnonzero(scores[:-1] - scores[1:] > near) + 1), len(want)]
    start = 0
    for end in ends:
        ours, theirs = want[start:end], got[start:end]
        cut = end == len(want) and "" not in ours
        if cut and (len(set(theirs)) < len(theirs) or set(theirs) & {"", *want[:start]}):
            return False
        if not cut and sorted(ours) != sorted(theirs):
            return False
        start = end
    return True
