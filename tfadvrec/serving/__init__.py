"""From a trained model to a verified, numbered version folder for TensorFlow Serving."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "BruteForce": "brute_force",
        "ExportError": "exporting",
        "ExportSpec": "export_spec",
        "Report": "report",
        "export": "exporting",
        "verify": "verification",
    },
)
