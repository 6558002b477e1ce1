"""Columns of behaviour: what is encoded comes back, on its grid, within its range."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tfadvrec.data import Interactions, synthetic
from tfadvrec.models.behaviour.clockwork import times
from tfadvrec.models.behaviour.column_spec import ColumnSpec
from tfadvrec.models.behaviour.conditions import Condition
from tfadvrec.models.behaviour.draws import uniform
from tfadvrec.models.behaviour.fitting import fit_column, modes
from tfadvrec.models.behaviour.heads import sample, surprise
from tfadvrec.models.behaviour.item_table import item_table, pooled_counts, taste_codes
from tfadvrec.models.behaviour.tables import clock, specs_of, tables


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, 4.5, 3.0, 0.5] * 9),
        np.array(["tv", "phone", "tv", "web"]),
        np.random.default_rng(0).integers(18, 70, 400),
        np.round(np.random.default_rng(1).normal(50, 9, 300), 2),
        np.random.default_rng(2).lognormal(3, 1.5, 500),
        np.random.default_rng(3).integers(0, 5000, 300).astype(float) * 0.5,
    ],
    ids=["half stars", "text", "integers", "cents", "skewed", "half steps"],
)
def test_decoding_gives_back_what_was_encoded(values):
    spec = fit_column("x", values, "event")
    decoded = spec.decode(spec.encode(values))
    if values.dtype.kind == "U":
        assert decoded.tolist() == values.tolist()
    else:
        np.testing.assert_allclose(decoded, values, rtol=2e-4, atol=1e-3)
    assert ColumnSpec.from_json(spec.to_json()) == spec


def test_modes_are_found_where_they_are():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 600), rng.normal(100, 3, 400)])
    means, deviations = modes(values)
    assert len(means) <= 10
    near = [m for m in means if abs(m - 100) < 15]
    assert near
    assert any(abs(m) < 5 for m in means)
    assert all(d > 0 for d in deviations)
    assert not [m for m in means if 20 < m < 80]


def test_grid_and_range_hold_whatever_a_network_says():
    spec = fit_column("age", np.arange(18, 78), "user")
    alpha = np.linspace(-1, 1, 50)[:, None]
    rows = np.concatenate([alpha, np.eye(spec.choices)[np.arange(50) % spec.choices]], axis=1)
    ages = spec.decode(rows)
    assert ages.min() >= 18
    assert ages.max() <= 77
    assert (ages == np.rint(ages)).all()


def test_text_that_identifies_is_no_column():
    assert fit_column("zip", np.array([f"z{i}" for i in range(300)]), "user") is None


def test_an_unknown_category_is_named():
    spec = fit_column("device", np.array(["tv", "web"]), "event")
    with pytest.raises(ValueError, match="no category 'fax'"):
        spec.encode(np.array(["fax"]))


def test_tables_know_sessions_gaps_and_the_clock():
    day = 86_400
    log = Interactions.from_arrays(
        [5, 5, 5, 9], [1, 2, 3, 1], time=[4 * day + 7200, 4 * day + 7260, 5 * day, 0]
    )
    made = tables(log)
    assert made.event["gap"].tolist() == [0, 60, day - 7260, 0]
    assert made.event["arrival"].tolist() == ["first", "same", "new", "first"]
    assert made.event["weekday"].tolist() == [0, 0, 1, 3]
    assert made.event["hour"].tolist() == [2, 2, 0, 0]
    assert made.user["length"].tolist() == [3, 1]


def test_surprise_is_the_likelihood_of_what_is_sampled():
    spec = ColumnSpec(name="c", side="event", kind="category", values=("a", "b", "c"))
    raw = np.tile(np.log([[0.2, 0.3, 0.5]]), (20_000, 1)).astype(np.float32)
    drawn = sample(spec, raw, uniform(0, np.arange(20_000), 3), temperature=0.2, hard=True)
    assert np.abs(drawn.numpy().mean(axis=0) - [0.2, 0.3, 0.5]).max() < 0.015
    assert surprise(spec, raw[:1], np.eye(3, dtype=np.float32)[2:]).numpy() == pytest.approx(
        -np.log(0.5), rel=1e-5
    )


def test_a_row_of_noise_depends_on_its_own_number_alone():
    every = uniform(3, np.arange(1000), 7)
    assert (uniform(3, np.array([700]), 7)[0] == every[700]).all()
    assert every.min() > 0
    assert every.max() < 1
    assert abs(every.mean() - 0.5) < 0.02
    assert (uniform(4, np.array([700]), 7) != every[700]).any()
    assert (uniform(3, np.array([700]), 7, stream=1) != every[700]).any()


def test_rare_items_are_as_likely_as_items_that_nobody_took():
    matrix = csr_matrix(np.array([[1, 1, 0, 0, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0]] * 3))
    matrix = matrix[:7]
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    pooled = pooled_counts(counts, 4)
    assert pooled[2] == pooled[3] == pooled[4]
    assert pooled.sum() == counts.sum()
    table, _ = item_table(matrix, 2, rare=4)
    assert (table[2] == table[3]).all()
    assert (table[0] != table[1]).any()


def test_tastes_tell_apart_who_likes_what(blocks_log):
    _, factors = item_table(blocks_log.csr(), 2, rare=0)
    tastes = taste_codes(blocks_log.csr(), factors)
    parity = np.arange(20) % 2
    inside = np.linalg.norm(tastes[parity == 0] - tastes[parity == 0].mean(axis=0), axis=1).mean()
    between = np.linalg.norm(tastes[parity == 0].mean(axis=0) - tastes[parity == 1].mean(axis=0))
    assert between > 2 * inside


class _Range:
    time_range = (0.0, 100.0)


def test_the_clock_keeps_order_hours_and_weekdays():
    owner = np.repeat([0, 1], 4)
    event = {
        "arrival": np.array(["first", "same", "new", "new"] * 2),
        "gap": np.array([0, 90, 7200.0, 9 * 86_400] * 2),
        "hour": np.array([20, 3, 23, 6] * 2),
        "weekday": np.array([4, 1, 2, 6] * 2),
    }
    none = Condition(np.zeros(1), np.zeros(1))
    time = times(_Range, np.array([10.3, 40.0]), owner, event, none)
    hour, weekday = clock(time)
    assert hour.tolist() == [20, 20, 23, 6] * 2
    assert weekday[[0, 3, 4, 7]].tolist() == [4, 6, 4, 6]
    assert time[1] - time[0] == 90
    assert (np.diff(time[:4]) > 0).all()
    assert time.min() >= 0
    assert time.max() <= 100 * 86_400


def test_every_part_of_a_log_becomes_a_column():
    log = synthetic(40, 30, n_interactions=400)
    names = [spec.name for spec in specs_of(tables(log))]
    assert names[:5] == ["age", "gender", "occupation", "length", "start"]
    assert {"arrival", "rating", "hour", "weekday", "gap"} <= set(names)
