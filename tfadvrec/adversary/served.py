"""What ranks in a trained model: the tables that an attack on it moves."""

import keras

from tfadvrec.adversary.target import embedding_tables


def served_tables(model: keras.Model) -> list[keras.Variable]:
    """The tables whose rows a trained model ranks by.

    They are the trained embedding tables, except where a model ranks by rows that it computes from
    them and keeps (a graph model): such a model names them by a property `served_tables`.

    Args:
        model: The model.

    Raises:
        ValueError: The model has none.
    """
    own = getattr(model, "served_tables", None)
    return embedding_tables().find(model) if own is None else list(own)
