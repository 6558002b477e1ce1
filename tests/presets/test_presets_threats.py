"""Every way in which a preset can be wrong or hostile has its error, before harm is done."""

import io
import json
import os
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfadvrec import presets
from tfadvrec.presets import files, probe


@pytest.fixture(scope="module")
def good_folder(make_toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "toy"
    health = {files.HEALTH: b'{"schema": 1}\n', files.CURVES: b"\x89PNG a picture"}
    record = {"recipe": 'name = "toy"\n', "metrics": {"users": 3}, "health": health}
    return presets.save(make_toy(), folder, **record)


@pytest.fixture
def folder(good_folder, tmp_path):
    return Path(shutil.copytree(good_folder, tmp_path / "toy"))


def rewrite(folder, name, data):
    """Puts a file in a preset and makes the manifest agree, as an attacker would."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = {"sha256": files.HASH(data).hexdigest(), "bytes": len(data)}
    manifest["files"][name] = entry
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_config(folder, change):
    record = json.loads((folder / "config.json").read_text())
    change(record)
    rewrite(folder, "config.json", json.dumps(record).encode())


def change_manifest(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def safetensors_bytes(header, body=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def refused(folder, words):
    with pytest.raises(presets.PresetError, match=words):
        presets.load(folder)


# -- tampering ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(files.LIMITS) - {files.MANIFEST, files.OPTIMIZER}))
def test_one_changed_byte_in_any_file_is_noticed(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    refused(folder, f"{name} does not have the sha-256")


@pytest.mark.parametrize("name", sorted(set(files.LIMITS) - {files.MANIFEST, files.OPTIMIZER}))
def test_a_truncated_file_is_noticed(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    refused(folder, f"{name} has .* bytes and the manifest says")


def test_a_missing_file_is_named(folder):
    (folder / files.WEIGHTS).unlink()
    refused(folder, r"no weights\.safetensors")


def test_a_truncated_manifest_is_no_manifest(folder):
    data = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(data[: len(data) // 2])
    refused(folder, "not valid JSON")


def test_a_pinned_manifest_cannot_be_replaced(folder):
    good = files.HASH((folder / "manifest.json").read_bytes()).hexdigest()
    presets.load(folder, sha256=good)
    change_manifest(folder, lambda m: m["data"].update(licence="free"))
    with pytest.raises(presets.PresetError, match="pinned"):
        presets.load(folder, sha256=good)


def test_the_bytes_that_were_hashed_are_the_bytes_that_are_parsed(folder, monkeypatch):
    read = files.read_file

    def swaps_after_reading(where, name, **options):
        data = read(where, name, **options)
        (where / name).write_bytes(b"changed since")
        return data

    monkeypatch.setattr(files, "read_file", swaps_after_reading)
    assert presets.load(folder).n_items == 4


# -- what is not a plain file in the folder ------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "/etc/passwd",
        "sub/config.json",
        "CONFIG.JSON",
        "model.keras",
        "weights.pkl",
        "..",
        "manifest.json",
        "README.md",
        "config.json\t",
    ],
)
def test_a_manifest_lists_only_known_flat_names(folder, name):
    change_manifest(folder, lambda m: m["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    refused(folder, "a preset holds only")


def test_a_link_is_not_followed(folder, tmp_path):
    secret = tmp_path / "secret.json"
    os.rename(folder / "config.json", secret)
    (folder / "config.json").symlink_to(secret)
    refused(folder, "not a regular file")


def test_a_folder_that_is_a_link_may_be_the_users_own(folder, tmp_path):
    (tmp_path / "latest").symlink_to(folder)
    assert presets.load(tmp_path / "latest").n_users == 3


def test_a_pipe_is_refused_without_waiting(folder):
    (folder / "metrics.json").unlink()
    os.mkfifo(folder / "metrics.json")
    refused(folder, "not a regular file")


def test_a_folder_in_place_of_a_file_is_refused(folder):
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").mkdir()
    refused(folder, "not a regular file")


# -- sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [-1, 10**15, 1.5, True, "7", None])
def test_a_manifest_cannot_claim_a_strange_size(folder, size):
    change_manifest(folder, lambda m: m["files"]["config.json"].update(bytes=size))
    refused(folder, r"gives config\.json a size of")


def test_a_file_past_its_limit_is_not_read(folder, monkeypatch):
    monkeypatch.setitem(files.LIMITS, files.ITEM_IDS, 4)
    refused(folder, r"item_ids\.txt")
    with pytest.raises(presets.PresetError, match="at most 4 are read"):
        files.read_file(folder, files.ITEM_IDS)


def test_an_architecture_larger_than_its_weights_is_refused_before_it_is_allocated(folder):
    def grow(record):
        record["config"]["dimension"] = 2_000_000_000

    change_config(folder, grow)
    refused(folder, "needs at least .* bytes of weights")


def test_a_vocabulary_of_another_length_is_refused(folder):
    change_config(folder, lambda r: r["config"].update(n_items=2_000_000_000))
    refused(folder, "item_ids.txt names 4 rows")


def test_a_header_that_claims_more_than_the_file_has_is_refused(folder):
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    rewrite(folder, files.WEIGHTS, struct.pack("<Q", 2**60) + json.dumps(header).encode())
    refused(folder, "needs at least|no safetensors file")


# -- configuration ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimensoin": 4}, "did you mean 'dimension'"),
        ({"n_items": "4"}, r"n_items must be int"),
        ({"n_items": True}, r"n_items must be int"),
        ({"n_items": 4.0}, r"n_items must be int"),
        ({"n_items": 10**12}, "past any sensible bound"),
        ({"scale": "1"}, "scale must be"),
        ({"hidden": "64"}, "hidden must be"),
        ({"hidden": [64, "a"]}, "hidden must be"),
        ({"hidden": [[[[[[[[[[1]]]]]]]]]]}, "nested deeper"),
        ({"kind": "/etc/passwd"}, "a path or an address"),
        ({"kind": "https://example.org/vocabulary.txt"}, "a path or an address"),
        ({"kind": "../../secrets"}, "a path or an address"),
        ({"kind": {"class_name": "Lambda", "config": {"function": "!!"}}}, "kind must be str"),
        ({"kind": None}, "kind must be str"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(folder, change, words):
    change_config(folder, lambda r: r["config"].update(change))
    refused(folder, words)


def test_a_missing_argument_is_named(folder):
    change_config(folder, lambda r: r["config"].pop("n_users"))
    refused(folder, "lacks n_users")


def test_an_unknown_key_beside_the_arguments_is_refused(folder):
    change_config(folder, lambda r: r.update(module="os"))
    refused(folder, "unknown keys.*module")


@pytest.mark.parametrize(
    "name", ["Lambda", "TFSMLayer", "TorchModuleWrapper", "os.system", "Model"]
)
def test_only_registered_classes_are_looked_up(folder, name):
    change_config(folder, lambda r: r.update(class_name=name))
    refused(folder, "no registered model class")


@pytest.mark.parametrize(
    "text",
    ['{"format": 1, "format": 2}', '{"format": NaN}', "[1]", "[" * 100_000, "\xff", ""],
)
def test_json_is_read_strictly(folder, text):
    rewrite(folder, "config.json", text.encode("latin-1"))
    refused(folder, r"config\.json")


def test_a_config_may_not_promise_ids_that_are_not_there(folder):
    change_config(folder, lambda r: r.pop("item_ids"))
    refused(folder, "both be there")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"10\n20\n20\n40\n", "repeats '20'"),
        (b"10\n20\n30\n40", "lines and config.json promises"),
        (b"10\n20\n30\n", "3 lines and config.json promises 4"),
        (b"10\n20\n\n40\n", "line 3"),
        (b"10\n20\n3_0\n40\n", "line 3: '3_0'"),
        (b"10\n20\n030\n40\n", "line 3: '030'"),
        (b"10\n20\n99999999999999999999\n40\n", "line 3"),
        (b"10\r\n20\r\n30\r\n40\r\n", "line 1"),
        (b"10\n20\n\xff\n40\n", "not UTF-8"),
    ],
)
def test_a_vocabulary_is_read_line_by_line_or_not_at_all(folder, text, words):
    rewrite(folder, "item_ids.txt", text)
    refused(folder, words)


# -- tensors ------------------------------------------------------------------------------


def tensors_of(folder):
    from safetensors.numpy import load

    return load((folder / files.WEIGHTS).read_bytes())


def put_tensors(folder, arrays):
    from safetensors.numpy import save

    rewrite(folder, files.WEIGHTS, save(arrays))


TABLE = "item_embedding/embeddings"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    arrays = tensors_of(folder)
    arrays[TABLE] = arrays[TABLE].copy()
    arrays[TABLE][1, 1] = value
    put_tensors(folder, arrays)
    refused(folder, "1 values that are NaN or infinite")


def test_a_tensor_of_another_shape_is_refused(folder):
    arrays = tensors_of(folder)
    put_tensors(folder, arrays | {TABLE: np.zeros((5, 4), np.float32)})
    refused(folder, r"must have shape \[4, 4\]")


def test_a_tensor_of_another_type_is_refused(folder):
    arrays = tensors_of(folder)
    put_tensors(folder, arrays | {TABLE: np.zeros((4, 4), np.int32)})
    refused(folder, "and type float32; the file has")


def test_a_tensor_too_many_or_too_few_is_refused(folder):
    arrays = tensors_of(folder)
    put_tensors(folder, arrays | {"backdoor": np.zeros(1, np.float32)})
    refused(folder, "backdoor")
    put_tensors(folder, {k: np.zeros((99, 4), np.float32) for k in arrays if k != TABLE})
    refused(folder, "lacks")


def test_a_file_that_is_no_safetensors_is_refused(folder):
    rewrite(folder, files.WEIGHTS, b"\x80\x04" + b"." * 1000)
    refused(folder, "no safetensors file")


def test_tensors_that_overlap_are_refused(folder):
    expected = {"a": ((2,), "float32"), "b": ((2,), "float32")}
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in ("a", "b")}
    from safetensors import SafetensorError

    from tfadvrec.presets.tensors import read_tensors

    with pytest.raises((presets.PresetError, SafetensorError), match="damaged"):
        read_tensors(safetensors_bytes(header, b"\0" * 16), expected, files.WEIGHTS)


# -- probe --------------------------------------------------------------------------------


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_weights_that_do_not_give_the_promised_scores_are_refused(folder):
    arrays = tensors_of(folder)
    put_tensors(folder, arrays | {TABLE: arrays[TABLE][::-1].copy()})
    refused(folder, "does not give the scores")


def test_pickled_objects_are_never_unpickled(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    file = io.BytesIO()
    np.savez(file, scores=np.array([Bomb()], object))
    rewrite(folder, files.PROBE, file.getvalue())
    refused(folder, "objects")
    assert not (tmp_path / "exploded").exists()


def test_a_zip_bomb_is_not_unpacked(folder):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", b"\0" * (probe._LARGEST_MEMBER + 1))
    assert len(file.getvalue()) < 100_000
    rewrite(folder, files.PROBE, file.getvalue())
    refused(folder, "unpacks 'scores.npy'")


def test_an_array_that_claims_more_than_it_has_is_not_allocated():
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scores.npy", file.getvalue() + b"\0" * 8)
    with pytest.raises(presets.PresetError, match="not all there"):
        probe.read_arrays(packed.getvalue())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 not really", "damaged"),
        (npz(scores=np.zeros((3, 4), np.float32), other=np.zeros(1)), "must hold"),
        (npz(**{"input.user_id": np.zeros(1, np.int32)}), "must hold"),
        (npz(**{f"input.{n}": np.zeros(1) for n in range(20)}), "20 members"),
    ],
)
def test_a_probe_of_another_form_is_refused(folder, data, words):
    rewrite(folder, files.PROBE, data)
    refused(folder, words)
