"""What any model trains with: compiled blocks and merged gradients."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "BlockTraining": "blocks",
        "batch_rows": "blocks",
        "run_block": "blocks",
        "merge_rows": "gradients",
        "DistributedTrainer": "distributed_trainer",
        "add_gradients": "gradients",
        "ready": "gradients",
    },
)
