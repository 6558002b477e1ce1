"""The behaviour game: a log's users and events, made up column by column."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {"BehaviourGame": "behaviour_game", "calibrate": "calibration"},
)
