"""Calls of any signature, in as many requests as it takes."""

from functools import cached_property
from typing import Any

from tfadvrec.serving.client.grpc_client import GrpcClient
from tfadvrec.serving.client.inputs import rows_of, same_length, tensor
from tfadvrec.serving.client.rest_client import RestClient


class ClientCalls:
    """Knows what a servable offers, and asks for it.

    Args:
        wire: Who speaks with the server.
        max_batch: Rows of one request, at most.
    """

    def __init__(self, wire: GrpcClient | RestClient, max_batch: int) -> None:
        self.wire, self.max_batch = wire, max_batch

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The `version` and the `signatures`, asked for once."""
        found = self.wire.metadata()
        offered = {
            name: one for name, one in found["signatures"].items() if not name.startswith("__")
        }
        return {**found, "signatures": offered}

    def signature(self, name: str) -> dict[str, Any]:
        """Finds a signature.

        Raises:
            ValueError: If it is not offered; the message says what is.
        """
        found = self.metadata["signatures"]
        if name not in found:
            raise ValueError(
                f"Model {self.wire.model!r} at {self.wire.target}, version "
                f"{self.metadata['version']}, does not offer {name!r}; it offers {sorted(found)}. "
                "Export it with that signature, if the model has it."
            )
        return found[name]

    def ask(self, name: str, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Asks a signature.

        Args:
            name: The signature.
            columns: Of each input one value, or nested list of values, a row.

        Returns:
            Of each output the same.

        Raises:
            ServingError: If the server does not answer.
            ValueError: If it does not offer the signature, or the rows do not fit it.
        """
        spec = self.signature(name)
        count = same_length(**columns)
        answers: dict[str, list[Any]] = {output: [] for output in spec["outputs"]}
        for start in range(0, count, self.max_batch):
            inputs = {
                key: tensor(rows[start : start + self.max_batch], spec["inputs"][key], key)
                for key, rows in columns.items()
            }
            for output, one in self.wire.predict(name, inputs, spec["outputs"]).items():
                answers[output] += rows_of(one)
        return answers
