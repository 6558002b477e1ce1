"""One split, prepared once, on which any number of models are ranked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.evaluation.catalogue import (
    check_same_catalogue,
    masked_scores,
    positions,
    seen_matrix,
    top,
)
from tfadvrec.evaluation.list_metrics import LIST_METRICS, ListMetrics
from tfadvrec.evaluation.rank_metrics import RANK_METRICS, auc, rank_metrics
from tfadvrec.evaluation.ranking_result import RankingResult

METRICS = (*RANK_METRICS, "auc", *LIST_METRICS)

POLICY = (
    "The whole catalogue is ranked. Position = number of other candidates that score at least as "
    "much, so ties count against the model; an item is in a list of k when its position is below "
    "k. Recall and MAP divide by all held-out items of the user; the ideal of NDCG stops at "
    "min(k, held-out items); MRR is 0 without a hit in the first k. Means are over users with at "
    "least one held-out item that they had not seen."
)


class RankingTask:
    """Who is evaluated on what, and what is masked; `evaluate` is this for one model.

    Preparing the mask costs as much as ranking a small catalogue, so a report that ranks the same
    users dozens of times makes it once.

    Args:
        train: The training `Interactions`.
        test: The held-out `Interactions`, with the same vocabularies.
        seen: More logs to mask.
        users: Rows to evaluate; by default all with held-out items.

    Attributes:
        users: `(users,)` rows that are evaluated.
        counts: Who and what is counted, dropped or excluded, and why.
        mask: What is never ranked, in words.

    Raises:
        ValueError: If the logs do not share vocabularies or nobody is left.
    """

    def __init__(
        self,
        train: Any,
        test: Any,
        *,
        seen: Sequence[Any] = (),
        users: Sequence[int] | np.ndarray | None = None,
    ):
        others = [("test", test), *((f"seen[{n}]", log) for n, log in enumerate(seen))]
        check_same_catalogue(train, others)
        self.train = train
        self.seen = seen_matrix(train, seen)
        self.mask = _mask_in_words(train, seen)
        self._held_out, self.users, self.counts = _held_out(train, test, self.seen, users)

    def evaluate(
        self,
        model: Any,
        *,
        k: Sequence[int] | int = (10,),
        metrics: Sequence[str] | None = None,
        item_vectors: np.ndarray | None = None,
        chunk: int = 1024,
        keep_lists: int = 0,
    ) -> RankingResult:
        """Ranks the catalogue with one model; arguments as in `tfadvrec.evaluation.evaluate`.

        With `keep_lists`, the result's `lists` are each user's best `keep_lists` items.
        """
        cuts, names = _cuts(k), _names(metrics)
        check_same_catalogue(self.train, [], model)
        of_lists = [name for name in names if name in LIST_METRICS]
        lists = ListMetrics(self.train, cuts, metrics=of_lists, item_vectors=item_vectors)
        parts: list[dict[str, np.ndarray]] = []
        kept: list[np.ndarray] = []
        for start, scores in masked_scores(model, self.users, self.seen, chunk):
            wanted = self._held_out[start : start + len(scores)]
            parts.append(_from_positions(scores, wanted, cuts, names))
            if of_lists:
                lists.add(*top(scores, max(cuts)))
            if keep_lists:
                kept.append(top(scores, keep_lists)[0])
        per_user = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        more = {"recommended items": lists.recommended()} if of_lists else {}
        return RankingResult(
            users=self.users.astype(np.int32),
            per_user=per_user | lists.per_user(),
            overall=lists.overall(),
            k=cuts,
            counts={**self.counts, **more},
            mask=self.mask,
            policy=POLICY,
            lists=np.concatenate(kept) if kept else None,
        )


def _from_positions(
    scores: np.ndarray, wanted: sparse.csr_matrix, cuts: Sequence[int], names: Sequence[str]
) -> dict[str, np.ndarray]:
    starts = wanted.indptr.astype(np.int64)
    row = np.repeat(np.arange(len(scores)), np.diff(starts))
    place = positions(scores, row, wanted.indices)
    values = rank_metrics(place, starts, cuts, [name for name in names if name in RANK_METRICS])
    if "auc" in names:
        candidates = scores.shape[1] - np.count_nonzero(np.isnan(scores), axis=1)
        values["auc"] = auc(place, scores[row, wanted.indices], starts, candidates)
    return values


def _held_out(
    train: Any, test: Any, mask: sparse.csr_matrix, users: Sequence[int] | np.ndarray | None
) -> tuple[sparse.csr_matrix, np.ndarray, dict[str, Any]]:
    """Held-out items that the user had not seen, the users that have any, and the counts."""
    given = test.csr().astype(bool)
    left = sparse.csr_matrix(given > given.multiply(mask))
    left.eliminate_zeros()
    left.sort_indices()
    had, has = np.diff(given.indptr) > 0, np.diff(left.indptr) > 0
    asked = np.ones(train.n_users, bool)
    if users is not None:
        chosen = np.asarray(users, np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= train.n_users):
            raise ValueError(
                f"users must be rows in 0..{train.n_users - 1}, got {chosen.min()}..{chosen.max()};"
                " turn ids into rows with log.lookup_users(ids)."
            )
        asked[:] = False
        asked[chosen] = True
    rows = np.flatnonzero(has & asked)
    if not len(rows):
        raise ValueError(
            f"no user is left to evaluate: of {int(asked.sum())} users asked for, "
            f"{int((asked & had).sum())} have held-out items and {int((asked & has).sum())} have "
            "one that is not in train or seen. Check that test was split from the same log and "
            "is not itself in `seen`."
        )
    kept = left[rows]
    cold_item = np.asarray(train.popularity()) == 0
    active = np.diff(train.csr().indptr) > 0
    counts = {
        "evaluated": len(rows),
        "excluded": {
            "no held-out item": int((asked & ~had).sum()),
            "every held-out item already in train or seen": int((asked & had & ~has).sum()),
            "not asked for": int((~asked).sum()),
        },
        "held-out items": int(kept.nnz),
        "repeated held-out interactions merged": len(test) - int(given.nnz),
        "held-out items dropped, already in train or seen": int(given[asked].nnz - kept.nnz),
        "held-out items without training interactions": int(cold_item[kept.indices].sum()),
        "evaluated users without training interactions": int((~active[rows]).sum()),
    }
    return kept, rows, counts


def _cuts(k: Sequence[int] | int) -> tuple[int, ...]:
    cuts = tuple(sorted({int(cut) for cut in np.atleast_1d(k)}))
    if not cuts or cuts[0] < 1:
        raise ValueError(
            f"k must name list lengths of at least 1, got {k!r}, for example k=(5, 10)"
        )
    return cuts


def _names(metrics: Sequence[str] | None) -> tuple[str, ...]:
    names = METRICS if metrics is None else tuple(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise ValueError(
            f"unknown metrics {unknown}; known: {', '.join(METRICS)} (without '@k': the cuts are k)"
        )
    return names


def _mask_in_words(train: Any, seen: Sequence[Any]) -> str:
    logs = [f"{len(train):,} training interactions"]
    logs += [f"{len(log):,} interactions of a log given as seen" for log in seen]
    return "not ranked: the user's items among " + " and ".join(logs)
