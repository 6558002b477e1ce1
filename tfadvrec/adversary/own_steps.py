"""Steps that a model has written itself, which a training around it does not run."""

import warnings

import keras


def check_own_steps(model: keras.Model) -> None:
    """Refuses a `train_step` whose loss nobody knows, and warns of steps that will not run.

    `compute_loss` is the hook: what a `train_step` minimises belongs there.

    Args:
        model: The model that is going to be trained.

    Raises:
        ValueError: It has a `train_step` of its own, and no `compute_loss` of its own.
    """
    name = type(model).__name__
    if _own(model, "train_step"):
        if not _own(model, "compute_loss"):
            raise ValueError(
                f"{name} has a train_step of its own, so what it minimises is not known here. "
                "Move the loss into compute_loss(self, x, y, y_pred, sample_weight, training), "
                "which AdversarialTraining calls in each of its passes, as Keras's own train_step "
                "does. Where the compiled loss is meant: "
                "`def compute_loss(self, **given): return super().compute_loss(**given)`."
            )
        warnings.warn(
            f"{name} has a train_step of its own, which AdversarialTraining does not run: it "
            "trains on the model's compute_loss.",
            stacklevel=3,
        )
    own = [step for step in ("test_step", "predict_step") if _own(model, step)]
    if own:
        warnings.warn(
            f"{name} has {' and '.join(own)} of its own, which AdversarialTraining does not run: "
            "call the model's own evaluate and predict.",
            stacklevel=3,
        )


def _own(model: keras.Model, name: str) -> bool:
    """Whether a method is written neither in Keras nor in this package."""
    return getattr(type(model), name).__module__.split(".")[0] not in ("keras", "tfadvrec")
