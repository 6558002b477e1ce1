"""One column of a log: its values, what kind they are, and what one row of it is."""

from dataclasses import dataclass

import numpy as np

CATEGORY, ORDINAL, NUMBER = "category", "ordinal", "number"


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one kind, one for each interaction or for each user.

    Attributes:
        name: The column's name.
        values: `(interactions,)` or `(users with interactions,)`.
        kind: `"category"` (names without an order), `"ordinal"` (few different numbers) or
            `"number"`.
        unit: `"interaction"` or `"user"`.
    """

    name: str
    values: np.ndarray
    kind: str
    unit: str

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray) -> "Column":
        """Some of its rows."""
        return Column(self.name, self.values[rows], self.kind, self.unit)
