"""How models are taken from an index: here a folder of wheels stands for it, and nothing is downloaded."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from real import models

PARTS = (b"GGUF, the first half, ", b"and the second.")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The cache, and an index that has two wheels with a part of a model each."""
    monkeypatch.setenv("ATTAR_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    wheels = [wheel(tmp_path / "index", number, part) for number, part in enumerate(PARTS)]
    model = {
        "model": "Two halves",
        "licence": "none",
        "file": "halves.gguf",
        "sha256": sha256(b"".join(PARTS)),
        "wheels": wheels,
    }
    monkeypatch.setitem(models.MODELS, "halves", model)
    return tmp_path / "cache"


def wheel(index, number, part):
    file = index / f"half_{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"half_{number}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"half_{number}/data.bin", part)
        archive.writestr(f"half_{number}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: half-{number}\nVersion: 1.0\n")
        archive.writestr(f"half_{number}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"half_{number}-1.0.dist-info/RECORD", "")
    return {"package": f"half-{number}==1.0", "wheel": sha256(file.read_bytes()), "member": f"half_{number}/data.bin"}


def left_in(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_the_parts_are_joined_in_the_cache_and_nothing_else_is_left(cached):
    assert models.fetch("halves").read_bytes() == b"GGUF, the first half, and the second."
    assert left_in(cached) == ["halves.gguf"]


def test_what_is_there_is_not_taken_again(cached, monkeypatch):
    first = models.fetch("halves")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert models.fetch("halves") == first


def test_a_wheel_that_is_not_the_pinned_one_is_an_error_and_leaves_nothing(cached):
    models.MODELS["halves"]["wheels"][1]["wheel"] = sha256(b"another")
    with pytest.raises(models.DamagedError, match="DO NOT MATCH THE HASHES"):
        models.fetch("halves")
    assert left_in(cached) == []


def test_a_joined_file_that_is_not_the_pinned_one_is_an_error_and_leaves_nothing(cached):
    models.MODELS["halves"]["wheels"].reverse()
    with pytest.raises(
        models.DamagedError, match=f"its sha256 is {sha256(PARTS[1] + PARTS[0])}, not {sha256(PARTS[0] + PARTS[1])}"
    ):
        models.fetch("halves")
    assert left_in(cached) == []


def test_a_model_that_the_index_has_not_is_missing(cached, tmp_path):
    next((tmp_path / "index").iterdir()).unlink()
    with pytest.raises(models.MissingError, match=r"No matching distribution found for half-\d==1.0"):
        models.fetch("halves")


def test_what_a_killed_process_left_is_cleared_away(cached):
    (cached / ".halves.gguf.part" / "wheels").mkdir(parents=True)
    models.fetch("halves")
    assert left_in(cached) == ["halves.gguf"]


def test_of_two_that_make_the_same_at_once_one_does_and_both_have_it(tmp_path):
    code = """
import sys, time
from pathlib import Path
from real.models import make_once
def make(target):
    print("made", flush=True)
    time.sleep(1)
    target.mkdir()
    (target / "weights").write_text("whole")
print((make_once(Path(sys.argv[1]) / "model", make) / "weights").read_text())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    tests = str(Path(__file__).parents[1])
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tests) for _ in range(2)]
    assert sorted(word for process in both for word in process.communicate(timeout=30)[0].split()) == ["made", "whole", "whole"]


def test_every_model_is_pinned_whole():
    for model in models.MODELS.values():
        hashes = [model["sha256"], *(part["wheel"] for part in model["wheels"])]
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", part["package"]) for part in model["wheels"])
        assert len({part["wheel"] for part in model["wheels"]}) == len(model["wheels"])
