"""Rules that a folder of a model server's configuration files must keep."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.operations import config_texts as texts
from tfadvrec.serving.operations.server_protos import parse
from tfadvrec.serving.publishing import versions

FLAG = re.compile(r"--([a-z_]+)=\"?([^\"\s]+)")
REQUEST = re.compile(
    r"^POST \S+/v1/models/(?P<model>[^/:]+):predict\n.*\n\n(?P<body>.*)$", re.MULTILINE
)


def check(folder: str | Path) -> list[str]:
    """Checks the files that `config_files.write` wrote, also after they were edited.

    The protos are parsed as the server does. Of the rules some are the server's (batch sizes must
    increase up to the largest batch), some keep it from harm (no padding; settings that the server
    would overwrite).

    Args:
        folder: The folder `serving` beside the base paths.

    Returns:
        One sentence a problem; empty where there is none.
    """
    folder = Path(folder)
    problems = []
    for name, rule in RULES.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: it is missing. Write the folder again.")
            continue
        try:
            problems += [f"{name}: {one}" for one in rule(path.read_text("utf-8"), path)]
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return problems


def models_config(text: str, path: Path) -> Iterator[str]:
    """Every model has a name of its own and a folder with versions."""
    configs = parse("ModelServerConfig", text).model_config_list.config
    names = [one.name for one in configs]
    if not names or len(set(names)) < len(names):
        yield f"it must name at least one model and none twice, it names {names}."
    for one in configs:
        if one.model_platform != "tensorflow":
            yield f"model_platform of {one.name} must be 'tensorflow', not {one.model_platform!r}."
        base = Path(one.base_path)
        if not base.is_absolute():
            yield f"base_path of {one.name} must be absolute, it is {one.base_path!r}."
        elif base.parent == Path(texts.ROOT) and not versions(path.parent.parent / base.name):
            yield f"base_path of {one.name}: {path.parent.parent / base.name} has no versions."


def batching(text: str, path: Path) -> Iterator[str]:
    """Batch sizes increase up to the largest batch, and nothing is padded."""
    found = parse("BatchingParameters", text)
    sizes, largest = list(found.allowed_batch_sizes), found.max_batch_size.value
    if sizes != sorted(set(sizes)) or not sizes or sizes[0] < 1:
        yield f"allowed_batch_sizes must increase from 1 or more, they are {sizes}."
    elif sizes[-1] != largest:
        yield (
            f"the last of allowed_batch_sizes, {sizes[-1]}, must equal max_batch_size, {largest}."
        )
    if found.pad_variable_length_inputs:
        yield (
            "pad_variable_length_inputs must be false: it fills rows up with the first element of "
            "their request, which excludes an item that nobody named."
        )
    for name, least in (("num_batch_threads", 1), ("max_enqueued_batches", 1)):
        if found.HasField(name) and getattr(found, name).value < least:
            yield f"{name} must be at least {least}, it is {getattr(found, name).value}."


def monitoring(text: str, path: Path) -> Iterator[str]:
    """Metrics have a path."""
    found = parse("MonitoringConfig", text).prometheus_config
    if found.enable and not found.path.startswith("/"):
        yield f"the path of prometheus_config must begin with '/', it is {found.path!r}."


def runtime(text: str, path: Path) -> Iterator[str]:
    """Nothing is set that the server overwrites."""
    found = parse("ConfigProto", text)
    lost = [
        name
        for name, value in (
            ("gpu_options.per_process_gpu_memory_fraction",
             found.gpu_options.per_process_gpu_memory_fraction),
            ("intra_op_parallelism_threads", found.intra_op_parallelism_threads),
            ("inter_op_parallelism_threads", found.inter_op_parallelism_threads),
        )
        if value
    ]  # fmt: skip
    if lost:
        yield f"the server overwrites {lost}: set them by flags in the script."


def script(text: str, path: Path) -> Iterator[str]:
    """A start script is valid, names files that exist, and uses flags that agree."""
    flags = dict(FLAG.findall(text))
    bash = shutil.which("bash")
    if bash:
        said = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, check=False)
        if said.returncode:
            yield f"bash refuses it: {said.stderr.strip()}"
    if not os.access(path, os.X_OK):
        yield "it must be executable."
    for name, value in flags.items():
        file = path.parent / value.rpartition("/")[2]
        # $config is models.config, which has a rule of its own
        if name.endswith("_file") and value != "$config" and not file.is_file():
            yield f"--{name} names {value}, which is not in the folder."
    if "--platform_config_file" in text:
        yield "--platform_config_file switches batching off and sets aside the other files."
    fraction = flags.get("per_process_gpu_memory_fraction")
    if fraction is not None and not 0 < float(fraction) <= 1:
        yield f"--per_process_gpu_memory_fraction must be above 0 and at most 1, not {fraction}."
    if ("enable_batching" in flags) != ("batching_parameters_file" in flags):
        yield "--enable_batching and --batching_parameters_file must come together."
    if flags.get("enable_batching") == "true":
        for model in listed(path.parent):
            found = versions(path.parent.parent / Path(model.base_path).name)
            why = found and no_batching(read_contract(found[max(found)])["signatures"])
            if why:
                yield f"--enable_batching cannot be used for {model.name}: {why}"


def requests(text: str, path: Path) -> Iterator[str]:
    """Every request is strict JSON to a model that is served."""
    models = {one.name for one in listed(path.parent)}
    found = list(REQUEST.finditer(text))
    if not found:
        yield "it has no requests."
    for one in found:
        if models and one["model"] not in models:
            yield f"it asks for {one['model']!r}, models.config has {sorted(models)}."
        try:
            json.loads(one["body"], parse_constant=refuse_constant)
        except ValueError as error:
            yield f"the body of a request to {one['model']} is not JSON: {error}"


def client(text: str, path: Path) -> Iterator[str]:
    """The client is Python, and knows a model."""
    try:
        compile(text, str(path), "exec")
    except SyntaxError as error:
        yield f"it is not Python: {error}"
    if "\nMODELS: dict = {}\n" in text:
        yield "it knows no models. Write the folder again."


def listed(folder: Path) -> list[Any]:
    """Lists the models of `models.config`; none where it cannot be read, which its rule tells."""
    path = folder / texts.MODELS_CONFIG
    try:
        return list(parse("ModelServerConfig", path.read_text("utf-8")).model_config_list.config)
    except (FileNotFoundError, ValueError):
        return []


def no_batching(signatures: dict[str, Any]) -> str | None:
    """Says why the requests of a servable cannot be merged; None where they can."""
    for name, sides in signatures.items():
        for key, one in sides["inputs"].items():
            if -1 in one["shape"][1:] or one["shape"][:1] != [-1]:
                return (
                    f"the input {key} of {name} has no fixed width, and one request of another "
                    "width would fail everybody's in its batch."
                )
    return None


def refuse_constant(name: str) -> None:
    """Refuses NaN and the infinities, which strict JSON has not."""
    raise ValueError(f"{name} is no JSON")


RULES: dict[str, Callable[[str, Path], Iterator[str]]] = {
    texts.MODELS_CONFIG: models_config,
    texts.BATCHING: batching,
    texts.MONITORING: monitoring,
    texts.RUNTIME: runtime,
    **dict.fromkeys(texts.SCRIPTS, script),
    texts.REQUESTS: requests,
    texts.CLIENT: client,
}
