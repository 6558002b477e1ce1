"""Negatives: items that a user has not interacted with, drawn inside the compiled step."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfadvrec.data.checks import DataError
from tfadvrec.data.interactions import Interactions

REDRAWS = 8
PHILOX = 1  # TensorFlow's number for the generator
MOST_WORDS = 2**24  # 64 MiB of bits: half a thousand million user-item pairs
STRATEGIES = ("uniform", "popularity")


class Negatives(tf.experimental.ExtensionType):
    """Draws negatives by tensor operations alone, so that XLA can compile the draw.

    Uniform negatives are exact and need no rejection: a rank among the user's unseen items is
    drawn, and a binary search over the user's sorted positives turns the rank into an item.
    Popularity negatives come from an alias table; a draw that hits a positive is made again
    (eight times at most) and then replaced by a uniform negative.

    Attributes:
        start: int32 `(users + 1,)`, where each user's positives begin.
        items: int32 `(positives,)`, item rows, ascending for each user.
        share: float32 `(items,)`, each item's share of the training interactions.
        keep, alias: The alias table of `share`, `(items,)` each, `keep` in units of 2**-32; empty
            for uniform negatives.
        n_items: The size of the catalogue.
        count: How many negatives a positive gets.
        strategy: `"uniform"` or `"popularity"`.
        rounds: How many halvings the binary search needs.
        bits: uint32 `(users * words,)`, bit i of a user's words is item i; none where it would
            take more than 64 MiB, and the binary search decides instead.
        words: Words a user has in `bits`, 0 where there are none.
        stride: How many users lie between two whose positives are here: the tables of a shard are
            those of every `stride`-th user.
    """

    start: tf.Tensor
    items: tf.Tensor
    share: tf.Tensor
    keep: tf.Tensor
    alias: tf.Tensor
    n_items: int
    count: int
    strategy: str
    rounds: int
    bits: tf.Tensor
    words: int
    stride: int = 1

    @classmethod
    def of(cls, log: Interactions, *, count: int = 1, strategy: str = "uniform") -> "Negatives":
        """Prepares the tables for a log.

        Args:
            log: The training interactions; they alone count as positives.
            count: Negatives for each positive, 0 or more.
            strategy: `"uniform"` or `"popularity"`.

        Raises:
            DataError: A user has interacted with every item, so there is nothing to draw.
        """
        check_choice(count, strategy)
        seen = log.csr()
        seen.sort_indices()
        degree = np.diff(seen.indptr)
        full = np.flatnonzero(degree >= log.n_items)
        if count and len(full):
            raise DataError(
                f"{len(full)} users have interacted with all {log.n_items} items, so no negative "
                f"exists for them; first user ids: {log.user_ids[full[:5]].tolist()}. Drop these "
                "users or train with negatives=0."
            )
        share = log.popularity() / max(len(log), 1)
        bits, words = _packed(seen)
        return cls(
            start=tf.constant(seen.indptr, tf.int32),
            items=tf.constant(np.append(seen.indices, 0), tf.int32),
            **share_tables(share, strategy),
            n_items=log.n_items,
            count=count,
            strategy=strategy,
            rounds=rounds_of(int(degree.max(initial=1))),
            bits=tf.constant(bits, tf.uint32),
            words=words,
        )

    def draw(self, user: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws `count` negatives for each user of each batch.

        Args:
            user: int32 `(steps, batch)` user rows, or `(batch,)` for one batch.
            seed: int32 `(2,)`: a key, and the number of the first batch. A batch's draws depend on
                the key and its own number alone, however batches are grouped, compiled or not.

        Returns:
            int32, the shape of `user` and a last axis of `count`: item rows, none of them a
            positive of its user.
        """
        if len(user.shape) == 1:
            return self.draw(user[None], seed)[0]
        uniform = self._uniform(user, seed)
        if self.strategy == "uniform" or self.count == 0:
            return uniform
        more = (self.count, REDRAWS)
        slot = _bits(user, more, seed, 1) % tf.cast(self.n_items, tf.uint32)
        slot = tf.cast(slot, tf.int32)
        kept = _bits(user, more, seed, 2) <= tf.gather(self.keep, slot)
        item = tf.where(kept, slot, tf.gather(self.alias, slot))
        miss = ~self._contains(user[..., None, None], item)
        first = tf.argmax(tf.cast(miss, tf.int32), axis=-1, output_type=tf.int32)
        chosen = tf.gather(item, first[..., None], batch_dims=3)[..., 0]
        return tf.where(tf.reduce_any(miss, axis=-1), chosen, uniform)

    def is_positive(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Whether user r has item c among its positives: bool `(users, items)`."""
        return self._contains(user[:, None], item[None, :])

    def _uniform(self, user: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        place = self._place(user)
        begin = tf.gather(self.start, place)[..., None]
        end = tf.gather(self.start, place + 1)[..., None]
        free = tf.cast(self.n_items - (end - begin), tf.uint32)
        rank = tf.cast(_bits(user, (self.count,), seed, 0) % free, tf.int32)
        # the first positive that has more than `rank` unseen items before it
        low = self._search(
            begin + tf.zeros_like(rank),
            end + tf.zeros_like(rank),
            lambda place: tf.gather(self.items, place) - (place - begin) <= rank,
        )
        return rank + (low - begin)

    def _place(self, user: tf.Tensor) -> tf.Tensor:
        return user if self.stride == 1 else user // self.stride

    def _contains(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        user = self._place(user)
        if self.words:
            word = tf.gather(self.bits, user * self.words + item // 32)
            shifted = tf.bitwise.right_shift(word, tf.cast(item % 32, tf.uint32))
            return tf.cast(tf.bitwise.bitwise_and(shifted, tf.constant(1, tf.uint32)), tf.bool)
        begin = tf.gather(self.start, user) + tf.zeros_like(item)
        end = tf.gather(self.start, user + 1) + tf.zeros_like(item)
        low = self._search(begin, end, lambda place: tf.gather(self.items, place) < item)
        return (low < end) & (tf.gather(self.items, low) == item)

    def _search(
        self, begin: tf.Tensor, end: tf.Tensor, before: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """The first place in `[begin, end)` where `before` is false, by strides that halve."""

        def stride(low: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            beyond = low + size
            inside = beyond <= end
            further = inside & before(tf.where(inside, beyond, begin + 1) - 1)
            return tf.where(further, beyond, low), size // 2

        # a loop, not unrolled: XLA's fusion would compute each stride again in the next
        first = tf.constant(2 ** (self.rounds - 1))
        return tf.while_loop(
            lambda *_: True, stride, (begin, first), maximum_iterations=self.rounds
        )[0]


def check_choice(count: int, strategy: str) -> None:
    """Refuses a number of negatives or a strategy that there is not."""
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {STRATEGIES}. Received: {strategy!r}")
    if count < 0:
        raise ValueError(f"negatives must be 0 or more. Received: {count}")


def share_tables(share: np.ndarray, strategy: str) -> dict[str, tf.Tensor]:
    """The fields `share`, `keep` and `alias` of `Negatives`, from shares `(items,)`."""
    table = _alias_table(share) if strategy == "popularity" else (np.zeros(0),) * 2
    return {
        "share": tf.constant(share, tf.float32),
        "keep": tf.constant(np.floor(table[0] * (2**32 - 1)), tf.uint32),
        "alias": tf.constant(table[1], tf.int32),
    }


def rounds_of(degree: int) -> int:
    """How many halvings a search among `degree` positives needs."""
    return math.ceil(math.log2(degree + 1))


def _packed(seen: sparse.csr_matrix) -> tuple[np.ndarray, int]:
    """Each user's positives as bits in 32-bit words, and the words a user has."""
    users, items = seen.shape
    words = -(-items // 32)
    if users * words > MOST_WORDS:
        return np.zeros(0, np.uint32), 0
    table = np.zeros(users * words, np.uint32)
    owner = np.repeat(np.arange(users), np.diff(seen.indptr))
    flag = np.uint32(1) << (seen.indices % 32).astype(np.uint32)
    np.bitwise_or.at(table, owner * words + seen.indices // 32, flag)
    return table, words


def _bits(user: tf.Tensor, more: tuple[int, ...], seed: tf.Tensor, stream: int) -> tf.Tensor:
    """Uniform 32-bit integers `(steps, batch, *more)`, the same with and without XLA.

    Philox gives four of them for each value of its counter: a batch begins at its own value.
    """
    steps, batch = tf.shape(user)[0], tf.shape(user)[1]
    wanted = batch * math.prod(more)
    counts = (wanted + 3) // 4
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=tf.stack([seed[0], stream]))
    begin = tf.cast(seed[1], tf.uint64) * tf.cast(counts, tf.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.stack([4 * counts * steps]),
        key=key,
        counter=counter + tf.stack([begin, tf.zeros([], tf.uint64)]),
        dtype=tf.uint32,
        alg=tf.constant(PHILOX),
    )
    drawn = tf.reshape(drawn, tf.stack([steps, 4 * counts]))[:, :wanted]
    return tf.reshape(drawn, tf.stack([steps, batch, *more]))


def _alias_table(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias table of a distribution: draw a slot, keep it or take its alias.

    Slots below the mean are filled up from those above it in their order, so that running sums
    tell who fills whom, and a slot that gave away too much is filled by the next.
    """
    n = len(share)
    keep, alias = np.ones(n), np.arange(n)
    scaled = np.asarray(share, np.float64) * n
    small, large = np.flatnonzero(scaled < 1), np.flatnonzero(scaled >= 1)
    if not len(small) or not len(large):
        return keep, alias
    need = 1 - scaled[small]
    spare, asked = np.cumsum(scaled[large] - 1), np.cumsum(need)
    giver = np.minimum(np.searchsorted(spare, asked - need, side="right"), len(large) - 1)
    keep[small], alias[small] = scaled[small], large[giver]
    last = np.searchsorted(asked - need, spare, side="left") - 1
    given = np.where(last >= 0, asked[np.maximum(last, 0)], 0)
    over = np.maximum(given - spare, 0)[:-1]
    keep[large[:-1]], alias[large[:-1]] = np.clip(1 - over, 0, 1), large[1:]
    return keep, alias
