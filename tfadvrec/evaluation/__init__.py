"""How well a model ranks: one pass over the catalogue, many metrics, intervals and paired tests."""

from tfadvrec._face import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "evaluate": "ranking",
        "top_lists": "ranking",
        "RankingTask": "ranking_task",
        "missing_modality_curve": "missing_modality",
        "RankingResult": "ranking_result",
        "evaluate_ratings": "ratings",
        "RatingResult": "rating_result",
        "rating_situations": "rating_attacks",
        "evaluate_next_events": "next_event",
        "NextEventResult": "next_event",
        "evaluate_clicks": "clicks",
        "click_metrics": "clicks",
        "ClickResult": "click_result",
        "off_policy_value": "off_policy",
        "OffPolicyResult": "off_policy_result",
        "RankingCallback": "ranking_callback",
        "compare": "significance",
        "holm": "significance",
        "over_seeds": "significance",
        "Difference": "difference",
        "Random": "random_scores",
    },
)
