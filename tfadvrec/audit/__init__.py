"""What would an attacker do to this model: a robustness report as a record, a page and figures."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "robustness_report": "build",
        "RobustnessReport": "report",
    },
)
