"""From a trained model to a verified, numbered version folder for TensorFlow Serving."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Batching": "batching",
        "BruteForce": "brute_force",
        "Client": "client",
        "ExportError": "exporting",
        "ExportSpec": "export_spec",
        "LoopbackServer": "loopback_server",
        "Report": "report",
        "ServingError": "serving_error",
        "describe": "describing",
        "export": "exporting",
        "reindex": "reindexing",
        "restore": "publishing",
        "rollback": "publishing",
        "verify": "verification",
    },
)
