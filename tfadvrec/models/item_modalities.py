"""What models whose items have modalities share: made for a log, filled, deprived, encoded."""

from typing import Any, Self

import keras

from tfadvrec.data import Interactions
from tfadvrec.models.modalities import (
    Vectors,
    Wanted,
    encode_modalities,
    learn_modalities,
    table_of,
)
from tfadvrec.models.modality_table import ModalityTable


class ItemModalities:
    """Mixed into a `Recommender` whose items have modalities.

    The model has `modalities`, and `modality_tables` with a `ModalityTable` for each.
    """

    modality_tables: list[ModalityTable]

    @classmethod
    def for_log(
        cls,
        log: Interactions,
        modalities: Wanted = None,
        *,
        vectors: Vectors | None = None,
        **config: Any,
    ) -> Self:
        """Makes a model for a log: learns and encodes its items' modalities, takes its ids.

        Args:
            log: The training part of a split.
            modalities: Names of item features, or name -> kind or fields of a `Modality`; None for
                all features of the log.
            vectors: Name -> given vectors `(n_items, width)`, of images or of an encoder; NaN in
                the rows that have none.
            **config: Further arguments of the constructor.

        Returns:
            The model, bound to the log.

        Raises:
            ValueError: If the log has no feature of that name.
        """
        learned = learn_modalities(log, modalities, vectors)
        model = cls(n_users=log.n_users, n_items=log.n_items, modalities=learned, **config)
        model.bind(log)
        model.encode_features(log, vectors)
        return model

    def bind(self, log: Interactions) -> Self:
        """Takes a log's ids, and encodes the features that it has; others stay as they are."""
        super().bind(log)
        encode_modalities(self.modality_tables, log, required=False)
        return self

    def encode_features(
        self, log: Interactions, vectors: Vectors | None = None
    ) -> dict[str, float]:
        """Fills the items' feature tables, and insists on finding every modality.

        Args:
            log: A log with this model's rows.
            vectors: Name -> given vectors `(n_items, width)`.

        Returns:
            Name -> share of the items that have the modality.

        Raises:
            ValueError: If a modality has no values.
        """
        return encode_modalities(self.modality_tables, log, vectors)

    def hidden(self, modality: str, items: Any, *, impute: str = "zero") -> Any:
        """Takes a modality from items inside a `with` block.

        Args:
            modality: Its name.
            items: Rows of the items that lose it.
            impute: `"zero"`: they have nothing; `"mean"`: the mean of all items that have it.
        """
        return table_of(self.modality_tables, modality).hidden(items, impute=impute)

    def attach_encoder(self, modality: str, encoder: keras.layers.Layer, inputs: Any) -> None:
        """Lets an encoder compute a modality's vectors, so that training tunes it; then compile.

        Args:
            modality: A modality of kind `"vector"`.
            encoder: Gives `(batch, width)` of a batch of `inputs`; see `PooledEncoder`.
            inputs: Arrays with a row an item.
        """
        table_of(self.modality_tables, modality).attach(encoder, inputs)

    def detach_encoder(self, modality: str) -> None:
        """Writes the tuned encoder's vectors into the model, which needs it no longer."""
        table_of(self.modality_tables, modality).detach()

    def save_to_preset(self, folder: str, **options: Any) -> None:
        """Writes a preset folder; see `tfadvrec.presets.save`.

        Raises:
            ValueError: If an encoder is attached.
        """
        busy = [t.modality.name for t in self.modality_tables if t.encoders]
        if busy:
            raise ValueError(
                f"a preset holds vectors and no encoder: call detach_encoder({busy[0]!r}) first."
            )
        super().save_to_preset(folder, **options)
