"""Five programs that tutorials on this subject print, each in a form that runs and is measured."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "PROGRAMS": "listing",
        "Program": "listing",
        "run_program": "listing",
        "repeat": "repeating",
        "digits": "digits",
        "ratings_with_samples": "ratings_with_samples",
        "wasserstein_critic": "wasserstein_critic",
        "item_profiles": "item_profiles",
        "generated_ratings": "generated_ratings",
    },
)
