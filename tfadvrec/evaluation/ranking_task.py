"""One split, prepared once, on which any number of models are ranked."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tfadvrec.evaluation.catalogue import check_same_catalogue, each_block, pair_matrix
from tfadvrec.evaluation.diversity import CoOccurrence, along_vectors
from tfadvrec.evaluation.list_metrics import LIST_METRICS, ListMetrics
from tfadvrec.evaluation.positions import positions, top
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

    Preparing the mask costs as much as ranking a small catalogue, and so do the items' cosines for
    `ild`, which are kept once an evaluation has asked for them. Whoever ranks the same users more
    than once makes the task once.

    Args:
        train: The training `Interactions`.
        test: The held-out `Interactions`, with the same vocabularies.
        seen: More logs to mask.
        users: Rows to evaluate; by default all with held-out items.
        items: Rows of the items that are ranked, such as the cold ones; by default all.

    Attributes:
        users: `(users,)` rows that are evaluated.
        counts: Who and what is counted, dropped or excluded, and why.
        mask: What is never ranked, in words.
        policy: How it is ranked, in words.

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
        items: Sequence[int] | np.ndarray | None = None,
    ):
        others = [("test", test), *((f"seen[{n}]", log) for n, log in enumerate(seen))]
        check_same_catalogue(train, others)
        self.train = train
        self.mask = _mask_in_words(train, seen)
        masked = pair_matrix([train, *seen])
        self._candidate = _candidates(train.n_items, items)
        self.policy = POLICY
        if items is not None:
            test = test.take(self._candidate[test.item])
            some = f"Of the {train.n_items:,} items {self._candidate.sum():,} are ranked."
            self.policy = POLICY.replace("The whole catalogue is ranked.", some)
        self._held_out, self.users, self.counts = _held_out(train, test, masked, users)
        everyone = len(self.users) == train.n_users
        self._masked = masked if everyone else masked[self.users]

    def evaluate(
        self,
        model: Any,
        *,
        k: Sequence[int] | int = (10,),
        metrics: Sequence[str] | None = None,
        item_vectors: np.ndarray | None = None,
        chunk: int | None = None,
        keep_lists: int = 0,
        threads: int | None = None,
    ) -> RankingResult:
        """Ranks the catalogue with one model; arguments as in `tfadvrec.evaluation.evaluate`.

        With `keep_lists`, the result's `lists` are each user's best `keep_lists` items.
        """
        cuts, names = _cuts(k), _names(metrics)
        check_same_catalogue(self.train, [], model)
        of_ranks = [name for name in names if name not in LIST_METRICS]
        of_lists = [name for name in names if name in LIST_METRICS]
        wanted = (*(cuts if of_lists else ()), *((keep_lists,) if keep_lists else ()))
        of_block = functools.partial(self._of_block, ranks=bool(of_ranks), wanted=wanted)
        blocks = each_block(model, self.users, self._masked, of_block, chunk=chunk, threads=threads)
        columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
        per_user: dict[str, np.ndarray] = {}
        overall, more = {}, {}
        if of_ranks:
            per_user |= self._rank_values(columns[0], columns[1], cuts, of_ranks)
        if of_lists:
            lists = self._list_metrics(of_lists, item_vectors, threads)
            lengths = {cut: columns[-1][:, c] for c, cut in enumerate(cuts)}
            per_user |= lists.per_user(columns[-2], lengths)
            overall, shown = lists.overall(columns[-2], lengths)
            more = {"recommended items": shown}
        return RankingResult(
            users=self.users.astype(np.int32),
            per_user=per_user,
            overall=overall,
            k=cuts,
            counts={**self.counts, **more},
            mask=self.mask,
            policy=self.policy,
            lists=_first(columns[-2], columns[-1][:, -1], keep_lists) if keep_lists else None,
        )

    def _of_block(
        self, start: int, cost: np.ndarray, *, ranks: bool, wanted: Sequence[int]
    ) -> tuple[np.ndarray, ...]:
        """Held-out items' positions and costs; lists, and their lengths at each wanted cut."""
        if not self._candidate.all():
            cost[:, ~self._candidate] = np.nan
        found: tuple[np.ndarray, ...] = ()
        if ranks:
            starts = self._held_out.indptr[start : start + len(cost) + 1].astype(np.int64)
            item = self._held_out.indices[starts[0] : starts[-1]]
            row = np.repeat(np.arange(len(cost)), np.diff(starts))
            found += (positions(cost, starts - starts[0], item), cost[row, item])
        if wanted:
            listed, place = top(cost, min(max(wanted), self.train.n_items))
            lengths = [((place < cut) & (listed >= 0)).sum(axis=1) for cut in wanted]
            found += (listed, np.stack(lengths, axis=1))
        return found

    def _list_metrics(
        self, names: Sequence[str], item_vectors: np.ndarray | None, threads: int | None
    ) -> ListMetrics:
        if item_vectors is not None:
            pairs = functools.partial(along_vectors, np.asarray(item_vectors))
        else:
            pairs = self._pairs.along if "ild" in names else along_vectors
        return ListMetrics(
            self._popularity,
            self.train.n_users,
            metrics=names,
            pairs=functools.partial(pairs, threads=threads),
        )

    @functools.cached_property
    def _popularity(self) -> np.ndarray:
        return np.asarray(self.train.popularity())

    @functools.cached_property
    def _pairs(self) -> CoOccurrence:
        return CoOccurrence(pair_matrix([self.train]))

    def _rank_values(
        self, place: np.ndarray, cost: np.ndarray, cuts: Sequence[int], names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        starts = self._held_out.indptr.astype(np.int64)
        values = rank_metrics(place, starts, cuts, [name for name in names if name != "auc"])
        if "auc" in names:
            candidates = self._candidate.sum() - self._masked @ self._candidate.astype(np.int64)
            values["auc"] = auc(place, -cost, starts, candidates)
        return values


def _first(lists: np.ndarray, length: np.ndarray, k: int) -> np.ndarray:
    """The first `length` items of each list in an array of `k` columns."""
    kept = np.full((len(lists), k), -1, np.int32)
    shown = lists[:, :k]
    kept[:, : shown.shape[1]] = np.where(
        np.arange(shown.shape[1]) < length[:, None], shown, np.int32(-1)
    )
    return kept


def _candidates(n_items: int, items: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Which items are ranked, bool `(n_items,)`."""
    if items is None:
        return np.ones(n_items, bool)
    rows = np.asarray(items, np.int64)
    if not rows.size or rows.min() < 0 or rows.max() >= n_items:
        raise ValueError(
            f"items must be rows in 0..{n_items - 1}, at least one; got {np.unique(rows)[:5]}...: "
            "turn ids into rows with log.lookup_items(ids)."
        )
    return np.isin(np.arange(n_items), rows)


def _held_out(
    train: Any, test: Any, mask: sparse.csr_matrix, users: Sequence[int] | np.ndarray | None
) -> tuple[sparse.csr_matrix, np.ndarray, dict[str, Any]]:
    """Held-out items that the user had not seen, the users that have any, and the counts."""
    given = pair_matrix([test])
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
    active = np.bincount(train.user, minlength=train.n_users) > 0
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
