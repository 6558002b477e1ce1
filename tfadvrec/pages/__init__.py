"""Reports as pages: blocks of text, tables and figures, rendered and written whole."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Block": "block",
        "html_page": "rendering",
        "markdown_page": "rendering",
        "read_record": "report_files",
        "write_files": "report_files",
    },
)
