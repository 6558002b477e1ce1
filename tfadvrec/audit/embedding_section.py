"""Section A and the sanity box, assembled into the parts of the record."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadvrec.audit import embedding
from tfadvrec.audit.attack_names import (
    ATTACKS,
    EVERYWHERE,
    ITERATIVE,
    PLAIN,
    WORST,
    sizes_of,
)
from tfadvrec.audit.evidence import number
from tfadvrec.audit.sanity import Sanity
from tfadvrec.audit.sections import not_run, section
from tfadvrec.audit.triples import training_triples
from tfadvrec.audit.victim import Victim


def embedding_section(
    victims: list[Victim],
    train: Any,
    *,
    sections: Sequence[str],
    sizes: tuple[float, ...],
    loss: Any,
    trained_against: Sequence[str] | None,
    seed: int,
    say: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Section A and the sanity box; where there is nothing to attack, both say so."""
    main, other = victims[0], victims[1] if len(victims) > 1 else None
    if "embedding" in sections:
        say("compiling the attack")
        batches = training_triples(train, seed=seed)
        for victim in victims:
            victim.prepare(batches, loss)
    else:
        main.reason = "the embedding section was not asked for"
    attacked = [victim for victim in victims if victim.attacker is not None]
    if main.attacker is None:
        box = Sanity(main, other, epsilons=sizes, size=sizes[0], trained_against=trained_against)
        empty = {"norms": {}, "scales": {}, "curves": {}, "areas": {}, "control": None}
        empty |= {"headline": {"relative": None, "reason": main.reason}, "headline_plain_loss": {}}
        empty["checks"] = [line.to_dict() for line in box.checks()]
        return not_run("embedding", main.reason), empty
    embedding.run_curves(attacked, sizes, say)
    say("attacks at the size where the twin has lost half")
    heads = embedding.headlines(attacked, sizes)
    size = heads[ITERATIVE]["relative"] or sizes[len(sizes) // 2]
    say("control attacks of the sanity box")
    box = Sanity(main, other, epsilons=sizes, size=size, trained_against=trained_against, seed=seed)
    box.run_controls()
    found = {
        "norms": {victim.role: _norms(victim) for victim in attacked},
        "scales": {victim.role: number(victim.attacker.scale) for victim in attacked},
        "curves": {victim.role: embedding.curves(victim, sizes) for victim in attacked},
        "areas": {victim.role: embedding.areas(victim, sizes) for victim in attacked},
        "headline": heads[ITERATIVE],
        "headline_plain_loss": heads[PLAIN],
        "control": {
            "relative": float(size),
            "losses": box.losses,
            "spsa_queries": box.queries,
        },
        "checks": [line.to_dict() for line in box.checks()],
    }
    where = {"norm": "l2, row by row", "see": ["norms", "curves", "headline", "checks"]}
    return section("embedding", threat_model=embedding.THREAT_MODEL, **where), found


def _norms(victim: Victim) -> dict[str, Any]:
    """Mean row lengths: of each table, of all rows, and of the final user and item vectors."""
    norms: dict[str, Any] = {"tables": victim.attacker.norms}
    model = victim.model
    for side, count in (("users", model.n_users), ("items", model.n_items)):
        embed = getattr(model, f"embed_{side}", None)
        norms[side] = None
        if embed is not None:
            vectors = np.asarray(embed(np.arange(count, dtype=np.int32)), np.float32)
            norms[side] = float(np.linalg.norm(vectors, axis=1).mean())
    return norms


def hyperparameters(
    steps: int, draws: int, sizes: tuple[float, ...], loss: Any, triples: int
) -> dict[str, Any]:
    gradient = {
        "loss": "BayesianPersonalizedRanking" if loss is None else type(loss).__name__,
        "reduction": "sum",
        "gradient over": f"all {triples} training interactions, one uniform negative each",
        "target": "all embedding tables, one perturbation a row",
        "norm": "l2",
    }
    iterative = {"steps": steps, "step_size": "2.5 epsilon / steps", "start": "clean tables"}
    scaled = {"scores": "divided by the clean model's root mean square margin (`scales`)"}
    plain = {"scores": "as they are"}
    known = {
        ATTACKS[0]: {"norm": "l2", "draws": draws, "rows": "all, uniform directions"},
        ATTACKS[1]: gradient | {"steps": 1} | scaled,
        ITERATIVE: gradient | iterative | scaled,
        PLAIN: gradient | iterative | plain | {"sizes": list(sizes_of(PLAIN, sizes))},
        WORST: {"minimum over": list(EVERYWHERE), "noise": "the noisiest draw of each user"},
    }
    return {"relative sizes": list(sizes), **known}
