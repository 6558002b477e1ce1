"""Synthetic logs: how close, how useful and how private they are; mixing them with real ones."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "synthesis_report": "build",
        "SynthesisReport": "report",
        "event_columns": "event_table",
        "fidelity": "fidelity_section",
        "utility": "utility_section",
        "copy_check": "copy_section",
        "membership": "membership_section",
        "independent_columns": "independent",
        "popularity_profiles": "independent",
        "gaussian_copula": "copula",
        "of_users": "shared_items",
        "mix": "mixing",
        "real_rows": "mixing",
        "random_rows": "sampled_rows",
        "popularity_rows": "sampled_rows",
        "ease_rows": "sampled_rows",
        "game_rows": "sampled_rows",
        "augmentation_ablation": "ablation",
        "AblationResult": "ablation_result",
        "linear": "builders",
        "factors": "builders",
    },
)
