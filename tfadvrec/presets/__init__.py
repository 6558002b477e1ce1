"""Presets: a model as a folder of JSON, tensors and a card. Reading one executes nothing."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "register": "registry",
        "registered": "registry",
        "PresetError": "files",
        "save": "saving",
        "load": "loading",
        "read": "loading",
        "Preset": "loading",
        "find": "zoo",
        "folders": "zoo",
        "rewrite_card": "saving",
    },
)
