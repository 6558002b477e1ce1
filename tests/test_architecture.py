"""The shape of the package: who may import whom, what loads when, what is exported."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "tfadvrec"

# docs/architecture.md draws this; a package imports from lower floors, and along the arrows
FLOORS = {
    "_face": 0,
    "_replicas": 0,
    "_row_sums": 0,
    "data": 0,
    "losses": 0,
    "optimizers": 0,
    "pages": 0,
    "presets": 0,
    "training": 0,
    "adversary": 1,
    "models": 1,
    "evaluation": 2,
    "games": 2,
    "serving": 2,
    "tuning": 2,
    "synthesis": 3,
    "tfrs": 3,
    "audit": 4,
    "programs": 5,
    "recipes": 5,
    "cli": 6,
    "__init__": 6,
    "__main__": 6,
}
SHARED = ("_face", "_replicas", "_row_sums")
ARROWS = {("training", "data"), ("training", "optimizers")}
HEAVY = ("tensorflow", "keras", "matplotlib", "pyarrow", "sklearn", "scipy", "numpy", "pandas")


def part(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfadvrec"):
            yield from (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "tfadvrec"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("tfadvrec."))


def test_imports_lead_downwards():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        here = part(path)
        if here in ("__init__", "__main__"):
            continue
        for name in imports(path):
            there = name.split(".")[1]
            if there == "__version__":
                continue
            fine = here == there or FLOORS[there] < FLOORS[here] or there in SHARED
            if not fine and (here, there) not in ARROWS:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, tfadvrec; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_speaks_the_old_keras_or_pickle():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.keras":
                wrong.append(f"{path.name}:{node.lineno} tf.keras")
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                if {"pickle", "joblib", "cloudpickle", "dill"} & {n.split(".")[0] for n in names}:
                    wrong.append(f"{path.name}:{node.lineno} pickle")
    assert wrong == []


def faces():
    for path in sorted(PACKAGE.rglob("__init__.py")):
        if path.parent.name == "tfrs":  # Keras 2: tests/tfrs/inner looks at it
            continue
        if "face(" in path.read_text(encoding="utf-8"):
            yield ".".join(["tfadvrec", *path.parent.relative_to(PACKAGE).parts])


@pytest.mark.parametrize("name", sorted(faces()))
def test_every_public_name_loads_and_stays_what_it_is(name):
    package = importlib.import_module(name)
    assert package.__all__ == sorted(package.__all__)
    first = {public: getattr(package, public) for public in package.__all__}
    for module in sorted(pathlib.Path(package.__file__).parent.glob("*.py")):
        if module.stem not in ("__init__", "__main__", "child", "tfds_child"):
            importlib.import_module(f"{name}.{module.stem}")
    # a submodule of the same name would have taken the place of a function by now
    assert {public: getattr(package, public) for public in package.__all__} == first
    with pytest.raises(AttributeError, match="has no attribute 'nothing_of_that_name'"):
        getattr(package, "nothing_of_that_name")  # noqa: B009
