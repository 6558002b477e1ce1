"""Fine-tuning: freeze and unfreeze, start from other libraries' factors, learn from a teacher."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Distillation": "distillation",
        "Factors": "factors",
        "UnfreezeAt": "unfreeze_at",
        "freeze": "freezing",
        "unfreeze": "freezing",
        "warm_start": "warm_starting",
    },
)
