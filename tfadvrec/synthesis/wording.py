"""Numbers of the report as text."""

from typing import Any

NOTHING = "-"


def spread(value: dict[str, Any]) -> str:
    """A mean with its standard deviation."""
    if value["mean"] is None:
        return NOTHING
    text = short(value["mean"])
    return text if value["sd"] is None else f"{text} ± {short(value['sd'])}"


def short(value: float) -> str:
    """A number with three digits after the point, or none where it is large."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def times(rows: dict[str, Any]) -> str:
    """The synthetic row over the noise floor."""
    floor, own = rows["real halves"]["mean"], rows["synthetic"]["mean"]
    return f"{own / floor:.2f}" if floor and own is not None else NOTHING


def interval(value: dict[str, Any] | None) -> str:
    """A value with its interval."""
    if value is None or value["value"] is None:
        return NOTHING
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"


def rate(value: dict[str, Any]) -> str:
    """A share with its counts and its exact interval."""
    if value["value"] is None:
        return NOTHING
    share = f"{value['value']:.2%} ({value['hits']:,} of {value['of']:,})"
    return f"{share} [{value['low']:.2%}, {value['high']:.2%}]"


def counted(counts: dict[str, Any]) -> str:
    """Counts that are not zero, in words."""
    flat = {k: v for k, v in counts.items() if not isinstance(v, dict)}
    flat |= {f"excluded, {k}": v for k, v in counts.get("excluded", {}).items()}
    return ", ".join(f"{name}: {_number(v)}" for name, v in flat.items() if v)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
