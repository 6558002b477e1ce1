"""Files of a model that is another one around a model."""

from typing import Any


class InnerFiles:
    """Mixed into a `keras.Model` whose `model` is the product: what is written is that model."""

    def save(self, filepath: Any, **options: Any) -> None:
        """Saves the model inside."""
        self.model.save(filepath, **options)

    def save_weights(self, filepath: Any, **options: Any) -> None:
        """Saves the weights of the model inside."""
        self.model.save_weights(filepath, **options)

    def load_weights(self, filepath: Any, **options: Any) -> None:
        """Loads weights into the model inside."""
        self.model.load_weights(filepath, **options)

    def export(self, filepath: Any, **options: Any) -> None:
        """Exports the model inside as Keras does; see `tfadvrec.serving` for TF Serving."""
        self.model.export(filepath, **options)
