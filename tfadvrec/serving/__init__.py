"""From a trained model to a verified, numbered version folder for TensorFlow Serving."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Batching": "loopback.batching",
        "BruteForce": "index.brute_force",
        "Client": "client.client",
        "ExportError": "exporting",
        "ExportSpec": "export_spec",
        "LoopbackServer": "loopback.server",
        "Report": "report",
        "ServingError": "client.serving_error",
        "describe": "operations.describing",
        "export": "exporting",
        "export_clicks": "click_export",
        "reindex": "reindexing",
        "restore": "publishing",
        "rollback": "publishing",
        "verify": "ladder.verification",
    },
)
