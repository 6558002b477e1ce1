"""Restores names that NumPy has dropped and RecBole 1.2 still uses; import it before RecBole."""

import warnings

import numpy as np

warnings.simplefilter("ignore")
KINDS = {"bool": bool, "int": int, "float": float, "object": object, "str": str, "long": int}
for name, kind in KINDS.items():
    if name not in np.__dict__:
        setattr(np, name, kind)
