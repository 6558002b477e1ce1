"""The wheel has every package and the zoo; the zoo is found wherever the package is installed."""

import configparser
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASK = "from tfadvrec.presets import zoo; print(zoo.root()); print(len(zoo.folders()))"


def asked(site, cwd):
    """What a fresh process says that finds the package in `site` only."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = [sys.executable, "-c", ASK]
    said = subprocess.run(run, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    place, count = said.stdout.split("\n")[:2]
    return Path(place), int(count)


def test_setup_names_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = config["options"]["packages"].split()
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "tfadvrec").rglob("__init__.py")
    }
    assert set(named) == found | {"tfadvrec.zoo"}
    assert "tfadvrec.zoo = zoo" in config["options"]["package_dir"]


def test_a_checkout_has_its_zoo_beside_the_package(tmp_path):
    place, count = asked(ROOT, tmp_path)
    assert place == ROOT / "zoo"
    assert count >= 6


def test_an_installed_package_has_its_zoo_inside(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tfadvrec", tmp_path / "site/tfadvrec", ignore=ignore)
    shutil.copytree(ROOT / "zoo", tmp_path / "site/tfadvrec/zoo")
    place, count = asked(tmp_path / "site", tmp_path)
    assert place == tmp_path / "site/tfadvrec/zoo"
    assert count >= 6


def test_an_installation_without_zoo_says_so(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tfadvrec", tmp_path / "site/tfadvrec", ignore=ignore)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        asked(tmp_path / "site", tmp_path)
    assert "this installation has no zoo" in failed.value.stderr


def test_a_built_wheel_carries_the_zoo(tmp_path):
    try:
        version = int(importlib.metadata.version("setuptools").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        version = 0
    if version < 77:
        pytest.skip("NOT TESTED: building a wheel needs setuptools 77 or newer in this environment")
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns("__pycache__", ".git", "build", "*.egg-info", "runs")
    shutil.copytree(ROOT, source, ignore=ignore)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(source)], check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for path in (ROOT / "zoo").glob("*/*/*"):
        assert f"tfadvrec/zoo/{path.relative_to(ROOT / 'zoo').as_posix()}" in names
    assert "tfadvrec/py.typed" in names
