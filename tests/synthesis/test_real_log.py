"""MovieLens-100K: what the baselines of synthesis keep and lose, and whom they give away."""

import numpy as np

from tfadvrec.data import Interactions
from tfadvrec.synthesis import copy_check, fidelity, gaussian_copula, membership, of_users


def test_a_copula_keeps_columns_and_loses_who_takes_what(benchmark_data):
    folder = benchmark_data / "ml-100k"
    log = Interactions.from_csv(folder / "u.data", header=False, user=0, item=1, rating=2, time=3)
    order = np.random.default_rng(0).permutation(log.n_users)
    members, others = of_users(log, order[:471]), of_users(log, order[471:])
    made = gaussian_copula(members, len(members))
    record = fidelity(members, made, repeats=2)
    for name in ("item", "rating", "weekday", "hour"):
        js = record["columns"][name]["js"]
        assert js["synthetic"]["mean"] < 1.2 * js["real halves"]["mean"], name
    rows = record["pairs"]["co-occurrence cosine"]
    assert rows["synthetic"]["mean"] > 1.3 * rows["real halves"]["mean"]
    assert copy_check(made, members, others)["against"]["train"]["exact profiles"] == 0
    caught = membership(members, members, others)["at"]["0.01"]["true positives"]
    free = membership(made, members, others)["at"]["0.01"]["true positives"]
    assert caught["low"] > 0.9
    assert free["low"] <= 0.01
