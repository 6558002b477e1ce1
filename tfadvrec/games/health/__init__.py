"""The health of a game while it trains: signals, a callback that acts on them, and a report."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "AdaptiveBalance": "adaptive_balance",
        "HealthMonitor": "health_monitor",
        "HealthReport": "health_report",
        "HealthWarning": "health_warning",
        "LIMITS": "limit",
        "Limit": "limit",
        "Observation": "observation",
        "measure": "signals",
    },
)
