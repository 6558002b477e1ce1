"""Adam whose moments of a row change only when the row has a gradient."""

import keras
import tensorflow as tf

from tfadvrec.optimizers.row_slots import Slots
from tfadvrec.optimizers.row_sparse import RowSparse


@keras.saving.register_keras_serializable(package="tfadvrec")
class LazyAdam(RowSparse, keras.optimizers.Adam):
    """Adam on the rows of a batch; the other rows and their moments stay as they are.

    On the rows that a batch looks up this is Adam's own rule, with the bias correction of the
    global step. Untouched rows differ from Adam, which lets them drift on with their decaying
    moments; Adam is the same only where every row is touched in every step. Variables with dense
    gradients follow Adam.

    Args: as `keras.optimizers.Adam`, `amsgrad` included.

    Reference: Kingma and Ba, Adam, ICLR 2015, algorithm 1; lazy updates as in TensorFlow Addons'
    `LazyAdam`.
    """

    def update_rows(
        self, variable: tf.Variable, slots: Slots, total: tf.Tensor, learning_rate: tf.Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        bias_1, bias_2 = 1 - tf.pow(self.beta_1, step), 1 - tf.pow(self.beta_2, step)
        rate = learning_rate * tf.sqrt(bias_2) / bias_1
        first = self._toward(self._momentums[index].value, slots, total, 1 - self.beta_1)
        second = self._toward(
            self._velocities[index].value, slots, tf.square(total), 1 - self.beta_2
        )
        if self.amsgrad:
            highest = self._velocity_hats[index].value
            known = slots.read(highest)
            second = tf.maximum(known, second)
            slots.add(highest, slots.where_used(second - known))
        change = -rate * first / (tf.sqrt(second) + self.epsilon)
        slots.add(variable, slots.where_used(change))

    def _toward(
        self, moment: tf.Variable, slots: Slots, value: tf.Tensor, share: float
    ) -> tf.Tensor:
        """Moves the rows of a moment towards a value, and gives what they are then."""
        known = slots.read(moment)
        change = share * (value - known)
        slots.add(moment, slots.where_used(change))
        return known + change
