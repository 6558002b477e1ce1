"""What a servable offers, told from its folder alone: nothing is loaded or run."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfadvrec.serving.contract import read_contract
from tfadvrec.serving.operations.example_requests import (
    GRPC,
    HEADER,
    example_calls,
    grpc_line,
    rest_command,
)
from tfadvrec.serving.publishing import find_version, versions, withdrawn

SHOWN = 2000  # characters of one example in text; JSON has all


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `describe` found; `str()` of it is for people, `to_dict()` for programs.

    Args:
        path: The version folder.
        name: Name of the model in a server: that of the base path.
        version: The version's number; None where the folder's name is none.
        versions: The numbers beside it that a server sees; the highest is served by default.
        withdrawn: The numbers that were withdrawn.
        bytes: Size of the folder.
        model: The model's class, kind and dimension.
        options: What the export was asked for.
        index: How the catalogue is searched.
        vocabularies: Side -> its file, rows and checksum.
        signatures: Signature -> inputs and outputs, with dtypes, shapes and defaults.
        metrics: Offline metrics that were known at the export.
        warmup: How many warm-up records there are, and why there are none.
        made_with: Package -> version.
        examples: Signature -> `grpc`, a Python script, and `rest`, a command.
    """

    path: str
    name: str
    version: int | None
    versions: tuple[int, ...]
    withdrawn: tuple[int, ...]
    bytes: int
    model: Mapping[str, Any]
    options: Mapping[str, Any]
    index: Mapping[str, Any]
    vocabularies: Mapping[str, Any]
    signatures: Mapping[str, Any]
    metrics: Mapping[str, Any]
    warmup: Mapping[str, Any]
    made_with: Mapping[str, str]
    examples: Mapping[str, Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values that `json.dumps` takes."""
        plain = asdict(self)
        return plain | {name: list(plain[name]) for name in ("versions", "withdrawn")}

    def __str__(self) -> str:
        return "\n".join([*self._facts(), "", *self._offers(), "", *self._requests()])

    def _facts(self) -> Iterator[str]:
        number = "" if self.version is None else f" {self.version}"
        yield f"{self.name}{number}: {in_words(self.model)}"
        yield f"  path        {self.path} ({self.bytes:,} bytes)"
        away = f"; withdrawn: {in_words(self.withdrawn)}" if self.withdrawn else ""
        yield f"  versions    {in_words(self.versions)}{away}"
        for side, one in self.vocabularies.items():
            yield f"  {side:<11} {one['rows']:,} ids, {one['file']}, SHA-256 {one['sha256']}"
        yield f"  options     {in_words(self.options)}"
        yield f"  index       {in_words(self.index)}"
        records = self.warmup.get("records", 0)
        yield f"  warm-up     {records or 'no'} records{': ' * (not records)}" + (
            "" if records else self.warmup.get("why", "none were written")
        )
        yield f"  metrics     {in_words(flat(self.metrics)) or 'none were given'}"
        yield f"  made with   {in_words(self.made_with)}"

    def _offers(self) -> Iterator[str]:
        yield "Signatures (B is the batch)"
        shown: list[tuple[str, Any]] = []
        for name, sides in self.signatures.items():
            alike = [other for other, one in shown if one == sides]
            if alike:
                yield f"  {name}: as {alike[0]}"
                continue
            shown.append((name, sides))
            yield f"  {name}"
            for side, word in (("inputs", "in "), ("outputs", "out")):
                for key, one in sides[side].items():
                    yield f"    {word} {key:<12} {one['dtype']:<8} {shape(one)}{default(one)}"

    def _requests(self) -> Iterator[str]:
        yield f"Requests over gRPC (pip install tfadvrec[serving]; a server at {GRPC})"
        yield ""
        yield from indented(HEADER)
        for one in self.examples.values():
            yield from indented(shortened(one["grpc"].removeprefix(HEADER)))
        yield ""
        yield "Requests over REST"
        yield ""
        for one in self.examples.values():
            yield from indented(shortened(one["rest"]))


def describe(path: str | Path) -> Description:
    """Tells what a servable offers.

    Args:
        path: A version folder, or a base path, which means its newest version.

    Returns:
        A `Description`.

    Raises:
        FileNotFoundError: If there is no servable at `path`.
        ValueError: If it has no contract file, or one that cannot be read.
    """
    folder = find_version(Path(path))
    contract = read_contract(folder)
    base = folder.resolve().parent
    return Description(
        path=str(folder),
        name=base.name,
        version=int(folder.name) if folder.name.isdecimal() else None,
        versions=tuple(sorted(versions(base))),
        withdrawn=tuple(sorted(withdrawn(base))),
        bytes=sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()),
        model=contract["model"],
        options=contract["options"],
        index=contract["index"],
        vocabularies=contract["vocabularies"],
        signatures=contract["signatures"],
        metrics=contract.get("metrics", {}),
        warmup=contract.get("warmup") or {"records": 0},
        made_with=contract["made_with"],
        examples=examples(contract, base.name),
    )


def examples(contract: dict[str, Any], model: str) -> dict[str, dict[str, str]]:
    """Writes one request of each kind for each signature."""
    return {
        call["signature"]: {
            "grpc": HEADER + grpc_line(call, model),
            "rest": rest_command(call, model),
        }
        for call in example_calls(contract)
    }


def in_words(values: Any) -> str:
    """Writes names with values, or values alone, in one line."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {in_words(one)}" for name, one in values.items())
    if isinstance(values, list | tuple):
        return f"[{', '.join(in_words(one) for one in values)}]"
    if isinstance(values, bool) or values is None:
        return {True: "yes", False: "no", None: "none"}[values]
    return f"{values:.4g}" if isinstance(values, float) else str(values)


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Takes nested names apart: `{"test": {"ndcg@10": 0.1}}` gives `{"test ndcg@10": 0.1}`."""
    found: dict[str, Any] = {}
    for name, one in values.items():
        path = f"{above} {name}".strip()
        found |= flat(one, path) if isinstance(one, Mapping) else {path: one}
    return found


def shape(tensor: Mapping[str, Any]) -> str:
    """Writes a shape with B for the batch and `any` for other open sizes."""
    sizes = ["any" if size == -1 else str(size) for size in tensor["shape"][1:]]
    return f"[{', '.join(['B', *sizes])}]"


def default(tensor: Mapping[str, Any]) -> str:
    """Writes an input's default, which a server knows for gRPC only."""
    if "default" not in tensor:
        return ""
    return f" (gRPC: {json.dumps(tensor['default']['values'], ensure_ascii=False)} by default)"


def shortened(text: str) -> str:
    """Leaves out an example that is too long to read."""
    if len(text) <= SHOWN:
        return text
    return f"# {len(text):,} characters: --json has them all, and the requests.http of a config"


def indented(text: str) -> Iterator[str]:
    """Gives a text's lines, indented."""
    yield from (f"  {line}".rstrip() for line in text.splitlines())
