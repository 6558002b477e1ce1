"""Optimizers that touch only the rows of a table that a batch has looked up."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "LazyAdam": "lazy_adam",
        "RowSlots": "row_slots",
        "RowSparse": "row_sparse",
        "RowWiseAdagrad": "row_wise_adagrad",
        "SparseAdagrad": "sparse_adagrad",
        "SparseSGD": "sparse_sgd",
    },
)
