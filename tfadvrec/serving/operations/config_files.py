"""The files that start a model server for the servables of a folder, and that try it."""

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from tfadvrec.serving.contract import FILE as CONTRACT
from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.operations import config_texts as texts
from tfadvrec.serving.operations.config_checks import check, no_batching
from tfadvrec.serving.operations.trial_files import trial_files
from tfadvrec.serving.publishing import versions

__all__ = ["batching_parameters", "check", "write"]

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]*")
Contracts = dict[str, dict[str, Any]]


def write(
    base: str | Path,
    *,
    batching: bool = False,
    gpu_memory: float | None = None,
    port: int = 8500,
    rest_port: int = 8501,
) -> Path:
    """Writes the folder `serving` beside a base path: all that a model server is started with.

    It is for every servable beside `base` and for `base` itself, so that one server serves them
    all. The files: `models.config`, `batching_parameters.txt`, `monitoring.config`,
    `tf_runtime.pbtxt`, the scripts `run_cpu.sh` and `run_gpu.sh`, and to try the server
    `requests.http` and `client.py`. They are parsed and checked before they replace older ones;
    other files in the folder stay.

    Args:
        base: The base path of one servable.
        batching: Whether the server shall merge requests.
        gpu_memory: Share of the GPU's memory that the server may take, above 0 and at most 1; it
            must hold two versions while one replaces the other. None sets no limit.
        port: Port of gRPC.
        rest_port: Port of REST.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If there is no servable at `base`.
        ValueError: If an option cannot be meant, a servable's name cannot be one in a server, or
            `batching` is asked for where a servable cannot be batched.
    """
    base = Path(base).resolve()
    check_options(gpu_memory, port, rest_port)
    contracts = servables(base)
    if batching:
        refuse_batching(contracts)
    target = base.parent / texts.FOLDER
    staged = base.parent / f".tmp-{texts.FOLDER}-{secrets.token_hex(4)}"
    staged.mkdir()
    try:
        files = server_files(base.parent, contracts, batching, gpu_memory, (port, rest_port))
        files |= trial_files(contracts, port, rest_port)
        for name, text in files.items():
            (staged / name).write_text(text, "utf-8")
            (staged / name).chmod(0o755 if name in texts.SCRIPTS else 0o644)
        problems = check(staged)
        if problems:
            raise ValueError("\n".join(["The files would not be right:", *problems]))
        target.mkdir(exist_ok=True)
        for name in files:
            os.replace(staged / name, target / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target


def batching_parameters(batch_sizes: list[int]) -> str:
    """Writes batching parameters, as a text of the proto `BatchingParameters`.

    Args:
        batch_sizes: The sizes to which batches are filled up, increasing.
    """
    return texts.BATCHING_TEXT.format(
        note=texts.NOTE,
        largest=batch_sizes[-1],
        allowed="\n".join(f"allowed_batch_sizes: {size}" for size in batch_sizes),
    )


def check_options(gpu_memory: float | None, port: int, rest_port: int) -> None:
    """Refuses what a server would refuse, or silently take for something else."""
    if gpu_memory is not None and not 0 < gpu_memory <= 1:
        raise ValueError(
            f"gpu_memory must be a share above 0 and at most 1, or None, got {gpu_memory!r}."
        )
    if port == rest_port or not all(1 <= one <= 65535 for one in (port, rest_port)):
        raise ValueError(
            f"port and rest_port must be two numbers from 1 to 65535, got {port} and {rest_port}."
        )


def servables(base: Path) -> Contracts:
    """Reads the newest contract of the servable at `base` and of those beside it."""
    if not versions(base):
        raise FileNotFoundError(
            f"{base} has no numbered versions; give a servable's base path, as to the export."
        )
    if base.name == texts.FOLDER:
        raise ValueError(
            f"{base} cannot be a servable's base path here: the files for the server are written "
            f"to a folder of that name beside it. Rename it, for example to {base.parent / 'rec'}."
        )
    contracts = {base.name: read_contract(newest(base))}
    for child in sorted(base.parent.iterdir()):
        if child != base and versions(child) and (newest(child) / CONTRACT).is_file():
            contracts[child.name] = read_contract(newest(child))
    odd = [name for name in contracts if not NAME.fullmatch(name)]
    if odd:
        raise ValueError(
            f"The names {odd} of base paths below {base.parent} cannot be names of models in a "
            "server: they may have letters, digits, '_', '-' and '.'. Rename the folders."
        )
    return contracts


def newest(base: Path) -> Path:
    """Finds the version that a server serves."""
    found = versions(base)
    return found[max(found)]


def refuse_batching(contracts: Contracts) -> None:
    """Refuses to merge requests where a signature's rows could have different widths."""
    for name, contract in contracts.items():
        why = no_batching(contract["signatures"])
        if why:
            raise ValueError(
                f"{name} cannot be served with batching: {why} Export it with server_batching=True."
            )


def server_files(
    root: Path,
    contracts: Contracts,
    batching: bool,
    gpu_memory: float | None,
    ports: tuple[int, int],
) -> dict[str, str]:
    """Writes what the server reads, and the scripts that start it."""
    sizes = sorted({one for each in contracts.values() for one in each["options"]["batch_sizes"]})
    models = "".join(texts.MODEL_TEXT.format(name=name, root=texts.ROOT) for name in contracts)
    flags = [f'--monitoring_config_file="$place/{texts.MONITORING}"']
    if batching:
        flags += ["--enable_batching=true", f'--batching_parameters_file="$place/{texts.BATCHING}"']
        if all((newest(root / name) / texts.PER_MODEL).is_file() for name in contracts):
            flags.append("--enable_per_model_batching_parameters=true")
    on_gpu = [f'--tensorflow_session_config_file="$place/{texts.RUNTIME}"']
    if gpu_memory is not None:
        on_gpu.append(f"--per_process_gpu_memory_fraction={gpu_memory}")
    wrote = [each["made_with"]["tensorflow"] for each in contracts.values()]
    common = {"ports": ports, "tensorflow": max(wrote, key=version_order)}
    return {
        texts.MODELS_CONFIG: f"# {texts.NOTE}\nmodel_config_list {{\n{models}}}\n",
        texts.BATCHING: batching_parameters(sizes),
        texts.MONITORING: texts.MONITORING_TEXT,
        texts.RUNTIME: texts.RUNTIME_TEXT,
        "run_cpu.sh": script(flags, device="the CPU", **common),
        "run_gpu.sh": script(
            flags + on_gpu,
            device="a GPU",
            docker=" --gpus all --env NVIDIA_TF32_OVERRIDE",
            environment=texts.EXACT_PRODUCTS,
            image="tensorflow/serving:latest-gpu",
            memory=texts.MEMORY_TEXT.format(
                fraction="there is no limit now" if gpu_memory is None else f"now {gpu_memory}"
            ),
            **common,
        ),
    }


def version_order(version: str) -> list[int]:
    """Orders version numbers as numbers."""
    return [int(part) for part in re.findall("[0-9]+", version)]


def script(
    flags: list[str],
    *,
    device: str,
    ports: tuple[int, int],
    tensorflow: str,
    docker: str = "",
    image: str = "tensorflow/serving:latest",
    memory: str = "",
    environment: str = "",
) -> str:
    """Writes a start script."""
    return texts.SCRIPT_TEXT.format(
        note=texts.NOTE,
        root=texts.ROOT,
        folder=texts.FOLDER,
        device=device,
        port=ports[0],
        rest_port=ports[1],
        tensorflow=tensorflow,
        docker=docker,
        image=image,
        memory=memory,
        environment=environment,
        flags="\n".join(f"  {flag} \\" for flag in flags),
    )
