"""Films of two catalogues that are the same film: matched by normalised title and year."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_YEAR = re.compile(r"\(\s*(\d{4})(?:\s*[-\u2013]\s*\d{0,4})?\s*\)\s*(?:\([A-Z]{1,2}\))?\s*$")
_OTHER = re.compile(r"\(([^()]*)\)")
_ARTICLES = (
    *("the", "a", "an", "le", "la", "les", "l", "un", "une", "der", "die", "das", "ein", "eine"),
    *("el", "los", "las", "una", "il", "lo", "gli", "i", "uno", "o", "os", "as", "den", "det"),
)
_LAST = re.compile(rf"^(.*),\s*({'|'.join(_ARTICLES)})'?$")
_FIRST = re.compile(rf"^(?:{'|'.join(_ARTICLES)})\s+(?=\S)")


def title_year(titles: Sequence[str] | np.ndarray) -> tuple[list[str], np.ndarray]:
    """Splits titles like `Toy Story (1995)` into name and year.

    Args:
        titles: Texts of shape `(n,)`.

    Returns:
        The names, and the years as float32 of shape `(n,)`; NaN where a title has none.

    Example:
        >>> title_year(["Toy Story (1995)", "unknown"])
        (['Toy Story', 'unknown'], array([1995.,   nan], dtype=float32))
    """
    names, years = [], []
    for title in map(str, titles):
        found = _YEAR.search(title.strip())
        names.append(title.strip()[: found.start()].strip() if found else title.strip())
        years.append(float(found.group(1)) if found else np.nan)
    return names, np.array(years, np.float32)


def title_keys(name: str) -> list[str]:
    """Returns the normalised forms of a title without its year, the best first.

    Case, accents, punctuation and the article go (before the title or after it); a title in
    parentheses is another form of its own.

    Example:
        >>> title_keys("City of Lost Children, The (Cité des enfants perdus, La)")
        ['city of lost children', 'cite des enfants perdus']
    """
    forms = [_OTHER.sub(" ", name), *_OTHER.findall(name)]
    keys = []
    for form in forms:
        for prefix in ("a.k.a.", "aka "):
            form = form.strip().removeprefix(prefix)
        key = _normal(form)
        if key and key not in keys:
            keys.append(key)
    return keys


def match_titles(
    source: Mapping[Any, str],
    target: Mapping[Any, str],
    *,
    years: int = 0,
) -> dict[Any, Any]:
    """Maps the ids of one catalogue to those of another where title and year agree.

    Equal ids of two catalogues prove nothing; equal titles of one year nearly always mean one
    film. A title that is ambiguous on either side is left out, and so is a title without year.

    Args:
        source: Id -> title (`Usual Suspects, The (1995)`), for example of a preset's items.
        target: Id -> title of the catalogue to be mapped.
        years: How far two years may differ.

    Returns:
        Target id -> source id, as `Recommender.from_preset(id_map=...)` takes it; each source id
        is used once.

    Example:
        >>> match_titles({1: "Usual Suspects, The (1995)"}, {"x": "The usual suspects (1995)"})
        {'x': 1}
    """
    known = _index(source)
    found: dict[Any, tuple[int, Any]] = {}
    for place in range(2):
        taken = {other for _, other in found.values()}
        offers: dict[Any, list[Any]] = {}
        for key, targets in _index(target, None if place else 1).items():
            sources = [
                other
                for shift in _shifts(years)
                for other in known.get((key[0], key[1] + shift), [])
                if other not in taken
            ]
            if len(targets) == 1 and len(set(sources)) == 1 and targets[0] not in found:
                offers.setdefault(sources[0], []).append(targets[0])
        for other, targets in offers.items():
            if len(set(targets)) == 1:
                found[targets[0]] = (place, other)
    return {key: found[key][1] for key in target if key in found}


def titles_of(ids: np.ndarray, titles: np.ndarray) -> dict[Any, str]:
    """Returns id -> title of a vocabulary, as `match_titles` takes it."""
    return dict(zip(ids.tolist(), np.asarray(titles).tolist(), strict=True))


def _index(titles: Mapping[Any, str], most: int | None = None) -> dict[tuple[str, int], list[Any]]:
    index: dict[tuple[str, int], list[Any]] = {}
    for key, title in titles.items():
        (name,), (year,) = title_year([title])
        if np.isfinite(year):
            for form in title_keys(name)[:most]:
                index.setdefault((form, int(year)), []).append(key)
    return index


def _shifts(years: int) -> list[int]:
    return sorted(range(-years, years + 1), key=abs)


def _normal(form: str) -> str:
    for letter, plain in (("ß", "ss"), ("æ", "ae"), ("ø", "o"), ("²", " 2"), ("³", " 3")):
        form = form.replace(letter, plain)
    form = unicodedata.normalize("NFKD", form)
    form = "".join(c for c in form if not unicodedata.combining(c)).lower().strip()
    form = _LAST.sub(r"\1", form).replace("&", " and ")
    form = re.sub("['\u2019`\u00b4]", "", form)
    form = re.sub(r"[^\w]+", " ", form).strip()
    return _FIRST.sub("", form)
