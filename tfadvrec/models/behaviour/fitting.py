"""A column's kind, categories or modes, from its values."""

import warnings
from dataclasses import replace

import numpy as np

from tfadvrec.models.behaviour.column_spec import CATEGORY, NUMBER, ColumnSpec

FEW = 25  # different numbers up to which a number is a category
MODES = 10
LEAST_WEIGHT = 0.005
PERIODS, LEAST_USERS = 30, 30  # of a user's start: how many at most, and users in each
_MOST_CATEGORIES = 200
_SAMPLE = 20_000
_STEPS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.01)


def fit_column(
    name: str, values: np.ndarray, side: str, *, number: bool = False, seed: int = 0
) -> ColumnSpec | None:
    """Finds out what a column is.

    Text and numbers with at most 25 different values are categories. Other numbers get a Gaussian
    mixture of up to ten modes, of their logarithm where they are skewed. Text with more than 200
    values, or more than half as many as there are rows, identifies: it is no column.

    Args:
        name: The column's name.
        values: `(n,)` numbers or text.
        side: `"user"` or `"event"`.
        number: Whether few different numbers are modes all the same (counts, durations).
        seed: Seed of the mixture.

    Returns:
        The column, or None where it cannot be one.

    Example:

    >>> fit_column("rating", np.array([1.0, 5.0, 3.0, 3.0]), "event").values
    (1.0, 3.0, 5.0)

    Reference: Xu et al., Modeling Tabular Data using Conditional GAN, NeurIPS 2019, section 4.2.
    """
    values = np.asarray(values)
    if values.dtype.kind == "O" or not len(values):
        return None
    different = np.unique(values)
    if values.dtype.kind not in "fiub":
        if len(different) > min(_MOST_CATEGORIES, max(FEW, len(values) // 2)):
            return None  # it identifies
        names = tuple(map(str, different.tolist()))
        return ColumnSpec(name=name, side=side, kind=CATEGORY, values=names)
    whole = values.dtype.kind in "iub"
    if len(different) <= FEW and not number:
        kinds = tuple(different.astype(int if whole else float).tolist())
        return ColumnSpec(name=name, side=side, kind=CATEGORY, values=kinds, whole=whole)
    return _number(name, values.astype(np.float64), side, whole, seed)


def _number(name: str, values: np.ndarray, side: str, whole: bool, seed: int) -> ColumnSpec:
    low, high = float(values.min()), float(values.max())
    away = values - low
    log = bool(away.mean() > 2.0 * np.median(away)) or bool(high - low > 50 * (away.std() + 1e-12))
    skew = np.mean(((values - values.mean()) / (values.std() + 1e-12)) ** 3)
    spec = ColumnSpec(
        name=name,
        side=side,
        kind=NUMBER,
        means=(0.0,),
        deviations=(1.0,),
        low=low,
        high=high,
        step=grid(values),
        log=log or bool(skew > 2.0),
        whole=whole,
    )
    means, deviations = modes(spec.forward(values), seed=seed)
    return ColumnSpec(**{**spec.__dict__, "means": means, "deviations": deviations})


def in_periods(spec: ColumnSpec, values: np.ndarray) -> ColumnSpec:
    """The column of a point in time, with periods of equally many users as its modes.

    A mixture's modes of times are few and wide, and what is popular changes faster.

    Args:
        spec: A column of numbers.
        values: `(n,)` numbers.
    """
    latent = np.sort(spec.forward(values))
    count = max(1, min(PERIODS, len(latent) // LEAST_USERS))
    edges = np.unique(np.quantile(latent, np.linspace(0.0, 1.0, count + 1)))
    if len(edges) < 2:
        return spec
    half = np.maximum(np.diff(edges) / 2, 1e-3 * (edges[-1] - edges[0]))
    means, deviations = (edges[1:] + edges[:-1]) / 2, half / 2  # the edges are within 4 deviations
    return replace(spec, means=tuple(means.tolist()), deviations=tuple(deviations.tolist()))


def grid(values: np.ndarray) -> float:
    """The coarsest step of a usual grid that all values lie on, 0 where there is none.

    >>> grid(np.array([1.0, 2.5, 3.0])), grid(np.array([0.123, 1.0]))
    (0.5, 0.0)
    """
    places = np.asarray(values, np.float64) - np.min(values)
    for step in _STEPS:
        if np.abs(places / step - np.rint(places / step)).max() < 1e-4:
            return step
    return 0.0


def modes(latent: np.ndarray, *, seed: int = 0) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and deviations of a Bayesian Gaussian mixture, of the modes that weigh above .005.

    Args:
        latent: `(n,)` numbers.
        seed: Seed of the sample that is looked at, and of the mixture.
    """
    from sklearn.mixture import BayesianGaussianMixture

    rng = np.random.default_rng(seed)
    sample = latent if len(latent) <= _SAMPLE else rng.choice(latent, _SAMPLE, replace=False)
    centre, spread = float(sample.mean()), float(sample.std())
    if spread == 0 or len(np.unique(sample)) < 3:
        return (centre,), (max(spread, 1e-3),)
    mixture = BayesianGaussianMixture(
        n_components=min(MODES, len(np.unique(sample))),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        max_iter=50,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mixture that has not converged is a mixture
        mixture.fit(((sample - centre) / spread)[:, None])
    kept = mixture.weights_ > LEAST_WEIGHT
    order = np.argsort(mixture.means_[kept, 0])
    means = centre + spread * mixture.means_[kept, 0][order]
    deviations = spread * np.sqrt(mixture.covariances_[kept, 0, 0][order])
    floor = 1e-3 * spread  # an atom's mode has no width of its own
    return tuple(means.tolist()), tuple(np.maximum(deviations, floor).tolist())
