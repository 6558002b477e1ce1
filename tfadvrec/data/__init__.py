"""Raw logs to `Interactions`, their splits, and the batches that models train on."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "DataError": "checks",
        "DataWarning": "checks",
        "Interactions": "interactions",
        "Split": "splitting",
        "leave_last_out": "splitting",
        "by_time": "splitting",
        "by_ratio": "splitting",
        "k_core": "splitting",
        "cold_rows": "splitting",
        "cold_items": "cold_split",
        "published_split": "published",
        "read_table": "readers",
        "hash_ids": "vocabulary",
        "movielens": "sources",
        "SourceUnavailable": "sources",
        "synthetic": "generator",
        "match_titles": "titles",
        "title_year": "titles",
        "titles_of": "titles",
        "pairs": "sampling",
        "points": "sampling",
        "in_batch": "sampling",
        "rows": "row_sampling",
        "histories": "row_sampling",
        "Block": "block",
        "RowBlock": "row_block",
        "sequences": "sequence_sampling",
        "SequenceBlock": "sequence_block",
        "ClickLog": "click_log",
        "with_negatives": "click_negatives",
    },
)
