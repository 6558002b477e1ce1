"""Asks a model server what a servable offers, in the words of a recommender."""

from collections.abc import Sequence
from operator import index
from types import TracebackType
from typing import Any, Self

from tfadvrec.serving.client.answers import PairScores, Recommendations, Vectors
from tfadvrec.serving.client.calls import ClientCalls
from tfadvrec.serving.client.grpc_client import GrpcClient
from tfadvrec.serving.client.inputs import as_ids, as_list, padded, same_length
from tfadvrec.serving.client.rest_client import RestClient

PROTOCOLS = {"grpc": GrpcClient, "rest": RestClient}
LONG_HISTORY = "Give the latest ones."
LONG_EXCLUSION = "Give the ones that would rank highest, or export with a larger max_exclude=."


class Client:
    """Asks a model server for lists, scores and vectors.

    It needs no TensorFlow: REST needs the standard library alone, gRPC needs `grpcio`. Ids are
    text, or integers, which travel as decimal text. Many rows are sent as several requests, one
    after the other. A servable of a model of histories takes, in the place of a user, the list of
    the item ids of the user's history.

    Args:
        target: `host:port`; for REST also a URL such as `https://host/prefix`.
        model: The name under which the model is served.
        protocol: `"grpc"`, without encryption, or `"rest"`.
        timeout: Seconds that one request may take.
        max_batch: Rows that are sent in one request, at most. Keep it within the largest batch of
            a server with batching.

    Raises:
        ImportError: If gRPC is asked for and not installed.
        ValueError: If an argument cannot be meant.

    Example:

    >>> client = Client("localhost:8501", "movies", protocol="rest", timeout=0.5)
    >>> client.recommend("7")
    Traceback (most recent call last):
    ...
    ValueError: users must be a list of ids, got '7'. Write ['7'] for a single one.
    """

    def __init__(
        self,
        target: str,
        model: str,
        *,
        protocol: str = "grpc",
        timeout: float = 5.0,
        max_batch: int = 32,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ValueError(f"Client expects protocol to be 'grpc' or 'rest', got {protocol!r}.")
        if not timeout > 0:
            raise ValueError(f"Client expects timeout to be seconds > 0, got {timeout!r}.")
        if isinstance(max_batch, bool) or not isinstance(max_batch, int) or max_batch < 1:
            raise ValueError(f"Client expects max_batch to be an integer >= 1, got {max_batch!r}.")
        self.target, self.model, self.protocol = target, model, protocol
        self.timeout, self.max_batch = timeout, max_batch
        self._wire = PROTOCOLS[protocol](target, model, timeout=timeout)
        self._calls = ClientCalls(self._wire, max_batch)

    def recommend(
        self,
        users: Sequence[Any],
        k: int | None = None,
        exclude: Sequence[Sequence[str | int]] | None = None,
    ) -> Recommendations:
        """Asks for the best items of each user.

        Args:
            users: The users' ids.
            k: Length of the lists; by default what the servable has.
            exclude: Of each user the ids of items that are not wanted.

        Returns:
            `items`, `scores` and `known`. A list is shorter than `k` where there are no more
            items; an unknown user gets what the servable was exported to give.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable cannot do what is asked for.
        """
        name = "recommend" if exclude is None else "recommend_excluding"
        users = self._listed(users)
        rows = None if exclude is None else as_list(exclude, "exclude")
        if rows is not None:
            same_length(users=users, exclude=rows)
        spec = self._calls.signature(name)
        columns = self._askers(spec, users)
        if rows is not None:
            width = spec["inputs"]["exclude"]["shape"][1]
            columns["exclude"] = padded(rows, width, "exclude", LONG_EXCLUSION)
        width = self._length(k, spec["outputs"]["item_id"]["shape"][1])
        found = self._calls.ask(name, columns)
        items, scores = [], []
        for ids, numbers in zip(found["item_id"], found["score"], strict=True):
            kept = [place for place, item in enumerate(ids) if item != ""][:width]
            items.append([ids[place] for place in kept])
            scores.append([numbers[place] for place in kept])
        return Recommendations(items, scores, found["known_user"])

    def score(self, users: Sequence[Any], items: Sequence[str | int]) -> PairScores:
        """Asks for the score of user i with item i.

        Args:
            users: The users' ids.
            items: As many item ids.

        Returns:
            `scores`, `known_users` and `known_items`.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable cannot do what is asked for.
        """
        users, items = self._listed(users), as_ids(items, "items")
        same_length(users=users, items=items)
        spec = self._calls.signature("score")
        found = self._calls.ask("score", self._askers(spec, users) | {"item_id": items})
        flags = list(zip(found["known_user"], found["known_item"], strict=True))
        scores = [
            score if all(known) else None
            for score, known in zip(found["score"], flags, strict=True)
        ]
        return PairScores(scores, found["known_user"], found["known_item"])

    def embed_users(self, users: Sequence[Any]) -> Vectors:
        """Asks for the users' vectors.

        Args:
            users: The users' ids.

        Returns:
            `vectors` and `known`.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable has no user vectors.
        """
        users = self._listed(users)
        found = self._calls.ask(
            "embed_user", self._askers(self._calls.signature("embed_user"), users)
        )
        return Vectors(found["embedding"], found["known_user"])

    def embed_items(self, items: Sequence[str | int]) -> Vectors:
        """Asks for the items' vectors; those of unknown items are zeros.

        Args:
            items: The items' ids.

        Returns:
            `vectors` and `known`.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable has no item vectors.
        """
        found = self._calls.ask("embed_item", {"item_id": as_ids(items, "items")})
        return Vectors(found["embedding"], found["known_item"])

    def generate(self, users: Sequence[Any], seeds: Sequence[Sequence[int]]) -> Vectors:
        """Asks for one generated profile a user.

        Args:
            users: The users' ids.
            seeds: Of each user two integers; the same two give the same profile.

        Returns:
            `vectors`, the profiles, and `known`.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable generates nothing, or a seed is not two integers.
        """
        users = self._listed(users)
        seeds = [[index(one) for one in seed] for seed in as_list(seeds, "seeds")]
        same_length(users=users, seeds=seeds)
        columns = self._askers(self._calls.signature("generate"), users) | {"seed": seeds}
        found = self._calls.ask("generate", columns)
        return Vectors(found["profile"], found["known_user"])

    def detect(self, profiles: Sequence[Sequence[float]]) -> list[float]:
        """Asks how likely each profile is fake.

        Args:
            profiles: Of each user one number an item, in the row order of the model.

        Returns:
            One probability a profile.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If the servable detects nothing, or a profile has another length.
        """
        rows = [[float(one) for one in row] for row in as_list(profiles, "profiles")]
        return self._calls.ask("detect", {"profile": rows})["p_fake"]

    def describe(self) -> dict[str, Any]:
        """Says what the server offers; it is asked once, at the first call of any method.

        Returns:
            `model`, `version`, `target`, `protocol` and `signatures`: of each the `inputs` and
            `outputs` with `dtype` and `shape`; -1 is open. A server tells no defaults.

        Raises:
            ServingError: If the server does not answer.
        """
        return {
            "model": self.model,
            "target": self.target,
            "protocol": self.protocol,
            **self._calls.metadata,
        }

    def close(self) -> None:
        """Closes the connection."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _listed(self, users: Any) -> list[Any]:
        """The users as a list; text would be taken for a list of letters."""
        if isinstance(users, str | bytes):
            as_ids(users, "users")
        return as_list(users, "users")

    def _askers(self, spec: dict[str, Any], users: list[Any]) -> dict[str, list[Any]]:
        """The input that says who asks: ids, or histories."""
        if "history" not in spec["inputs"]:
            return {"user_id": as_ids(users, "users")}
        width = spec["inputs"]["history"]["shape"][1]
        return {"history": padded(users, width, "users", LONG_HISTORY)}

    def _length(self, k: int | None, width: int) -> int:
        """The length of the lists."""
        if k is None:
            return width
        if isinstance(k, bool) or not hasattr(k, "__index__") or k < 1:
            raise ValueError(f"k must be an integer >= 1 or None, got {k!r}.")
        if k > width:
            raise ValueError(
                f"k may be at most {width} with model {self.model!r} at {self.target}, version "
                f"{self._calls.metadata['version']}, got {k}. Its lists are no longer: export it "
                "with a larger k=, unless its catalogue is that small."
            )
        return k
