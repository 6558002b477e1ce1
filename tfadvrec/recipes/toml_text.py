"""Plain values as TOML, which the standard library only reads."""

from typing import Any


def written(table: dict[str, Any]) -> str:
    """Writes a table of plain values as TOML: values first, then sections."""
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and k != "stages"}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        for section in [value] if isinstance(value, dict) else value if key == "stages" else []:
            lines += ["", f"[[{key}]]" if key == "stages" else f"[{key}]"]
            lines += [f"{name} = {_value(entry)}" for name, entry in section.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"


def _text(value: str) -> str:
    """A TOML basic string."""
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c
        for c in value.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
