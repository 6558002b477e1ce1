"""What a client raises when a server does not answer."""

ADVICE = {
    "UNAVAILABLE": "Nothing that speaks {protocol} answers there: is the server running, and is "
    "this its {protocol} port? By default gRPC has 8500 and REST 8501.",
    "DEADLINE_EXCEEDED": "There was no answer within {timeout} s: give a longer timeout=, or send "
    "fewer rows at a time with a smaller max_batch=.",
    "NOT_FOUND": "The server has no such model: the name is that of --model_name or of its "
    "models.config, and the version must have been loaded.",
    "FAILED_PRECONDITION": "The server's version does not offer this, or other requests were "
    "merged with this one: make a new client if a version was published, and compare describe().",
    "INVALID_ARGUMENT": "The server's version expects other inputs: make a new client if a version "
    "was published, compare describe(), and keep max_batch= within the server's largest batch.",
    "RESOURCE_EXHAUSTED": "The server is overloaded: ask more slowly, or run more servers.",
}
OTHERWISE = "The server's log says more."


class ServingError(RuntimeError):
    """A request that a server did not answer.

    Args:
        code: Name of the gRPC status code, also where REST was spoken.
        said: What the server, or the connection, said.
        target: Where it was asked.
        model: Which model.
        signature: Which signature, or None where metadata was asked for.
        protocol: `"grpc"` or `"rest"`.
        timeout: Seconds that the client waited at most.

    Example:

    >>> raise ServingError(
    ...     "NOT_FOUND", "no movies", target="host:8500", model="movies", signature="score",
    ...     protocol="grpc", timeout=1.0,
    ... )
    Traceback (most recent call last):
    ...
    tfadvrec.serving.client.serving_error.ServingError: host:8500 (gRPC), model 'movies', ...
    """

    def __init__(
        self,
        code: str,
        said: str,
        *,
        target: str,
        model: str,
        signature: str | None,
        protocol: str,
        timeout: float,
    ) -> None:
        self.code, self.said, self.target = code, said, target
        self.model, self.signature = model, signature
        spoken = {"grpc": "gRPC", "rest": "REST"}[protocol]
        asked = f"signature {signature!r}" if signature else "its metadata"
        advice = ADVICE.get(code, OTHERWISE).format(protocol=spoken, timeout=timeout)
        super().__init__(
            f"{target} ({spoken}), model {model!r}, {asked}: {code}: {said.rstrip('.')}. {advice}"
        )
