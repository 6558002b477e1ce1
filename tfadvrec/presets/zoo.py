"""Where presets lie: the folder is the registry."""

import difflib
import os
from pathlib import Path

from tfadvrec.presets import files
from tfadvrec.presets.files import PresetError


def root() -> Path:
    """The zoo's folder: beside the package in a checkout, inside it where a wheel was installed.

    Raises:
        PresetError: When the installation carries no zoo.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "zoo", package.parent / "zoo"):
        if any(place.glob(f"*/*/{files.RECIPE}")):
            return place
    raise PresetError(
        f"this installation has no zoo: neither {package / 'zoo'} nor beside the package."
    )


def folders() -> dict[str, Path]:
    """Every zoo preset's folder by name, families in order.

    Returns:
        Preset name -> folder `zoo/<family>/<preset>`.

    Raises:
        PresetError: When two families hold a preset of the same name.
    """
    found: dict[str, Path] = {}
    for recipe in sorted(root().glob(f"*/*/{files.RECIPE}")):
        folder = recipe.parent
        if folder.name in found:
            raise PresetError(
                f"two presets are called {folder.name}: {found[folder.name]}, {folder}."
            )
        found[folder.name] = folder
    return found


def find(name_or_path: str | os.PathLike) -> Path:
    """The folder of a zoo preset's name, or of a path.

    A bare name is the zoo's first and a folder's second; anything with a separator is a path.

    Args:
        name_or_path: `"mf_apr_ml_100k"`, or a folder that holds a preset.

    Raises:
        PresetError: When there is none; lists the names there are.
    """
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and not {os.sep, "/"} & set(text):
        known = folders()
        if text in known:
            return known[text]
    folder = Path(text).expanduser()
    if (folder / files.MANIFEST).is_file() or (folder / files.RECIPE).is_file():
        return folder
    if folder.is_dir():
        raise PresetError(f"{folder} is a folder, but no preset: it has no {files.MANIFEST}.")
    known = folders()
    near = difflib.get_close_matches(text, known, 1)
    raise PresetError(
        f"no preset is called {text!r}, and there is no such folder."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" The zoo has {', '.join(known)}."
    )
