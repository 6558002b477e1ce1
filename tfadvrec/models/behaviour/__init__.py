"""What a behaviour generator is made of: columns, heads, conditions, and the way back to a log."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "ColumnSpec": "column_spec",
        "fit_column": "fitting",
        "tables": "tables",
        "item_table": "item_table",
        "taste_codes": "item_table",
    },
)
