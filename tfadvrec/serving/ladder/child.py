"""Entry of an isolated process that answers a servable's calls; run as a script, by path.

`python -I child.py RUNTIME PATHS` blocks the packages that a server does not have, loads the
runtime (`python_runtime` or `c_runtime`, beside this file), reads the name of a job file from its
input, answers the job's calls and writes the answer where the job says. PATHS is the caller's
`sys.path` as JSON. Standard library only; it must not import the package that it lies in.
"""

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path

BLOCKED = ("keras", "tf_keras", "keras_rs", "keras_hub", "tfadvrec")
BLOCKED_IN_C = (*BLOCKED, "tensorflow", "numpy")


class Blocked:
    """Finds the blocked packages, and refuses when one is loaded.

    TensorFlow asks for Keras's spec when it is imported, so finding must work.
    """

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        """Claims the blocked packages."""
        if name.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        """Refuses."""
        raise ImportError(f"{spec.name} is blocked here: a model server does not have it")

    def exec_module(self, module):
        """Refuses."""
        raise ImportError(f"{module.__name__} is blocked here: a model server does not have it")


def refused(name):
    """Tells whether an import of `name` fails."""
    try:
        importlib.import_module(name)
    except ImportError:
        return True
    return False


def main(runtime, paths):
    """Loads the runtime, waits for the name of a job and answers its calls."""
    names = BLOCKED_IN_C if runtime == "c_runtime" else BLOCKED
    sys.meta_path.insert(0, Blocked(names))
    place = Path(__file__).with_name(f"{runtime}.py")
    spec = importlib.util.spec_from_file_location(runtime, place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.prepare(json.loads(paths))
    job = sys.stdin.readline().strip()
    if not job:
        return  # whoever asked has given up
    task = json.loads(Path(job).read_text(encoding="utf-8"))
    result = {
        "outputs": module.answer(task),
        "importable": [name for name in names if not refused(name)],
        "loaded": sorted({name.split(".")[0] for name in sys.modules} & set(names)),
    }
    Path(task["answer"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
