"""What the attacks share: a row of the table, the run that is attacked with its server, the command line, and comparisons.

The run is Magpie as `tests/homes` has it: 23 steps, every kind of call, a server whose reply depends on the request alone.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from homes.stub import app  # tests/homes/stub.py
from kill_and_resume import start  # bench/kill_and_resume.py
from servers.threaded import serving  # tests/servers/threaded.py

ROOT = Path(__file__).parents[2]
HOMES = ROOT / "tests" / "homes"
ATTAR = Path(sys.executable).with_name("attar")
NAME = "small"
_SIZES = {"count": 60, "size": 12}


@dataclass(slots=True)
class Outcome:
    """One attack: how often it was tried, and a line for each time that it did harm."""

    attack: str
    tried: int = 0
    harm: list[str] = field(default_factory=list)
    note: str = ""
    """What is worth knowing though it did no harm."""

    def check(self, harm: str | None) -> None:
        """Count one try; None or an empty line if it did no harm."""
        self.tried += 1
        if harm:
            self.harm.append(harm)


@contextmanager
def small_run(place: Path, **knobs: Any) -> Iterator[Path]:
    """A run file whose server runs until the end of the block."""
    content = yaml.safe_load((HOMES / "magpie.yaml").read_text())
    content["knobs"] |= _SIZES | knobs
    content["run"] = {"shard": 20}  # some steps in several parts
    with serving(app()) as url:
        for engine in content["engines"].values():
            engine["url"] = url
        file = place / f"{NAME}.yaml"
        file.write_text(yaml.safe_dump(content))
        yield file


def run_whole(file: Path, home: Path) -> None:
    """Run a run file to its end, undisturbed."""
    if start(file, home).wait():
        sys.exit(f"the undisturbed run of {file} failed")


def attar(*words: object, cwd: Path, timeout: float = 1200, **variables: str) -> subprocess.CompletedProcess[str]:
    """An `attar` command; its exit status (124: it did not end in time) and what it printed."""
    command = [str(ATTAR), *map(str, words)]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"attar: no end after {timeout:.0f} s")


def fault_of(done: subprocess.CompletedProcess[str], named: Path | None = None) -> str | None:
    """What is wrong with how a command ended: anything but success, or one line that names a file (or its folder)."""
    line = done.stderr.strip()
    if done.returncode == 0:
        return f"traceback after success: {line[-200:]}" if "Traceback" in line else None
    if done.returncode != 2 or "Traceback" in line or line.count("\n") or not line.startswith("attar: "):
        return f"exit {done.returncode}: {line[-300:]}"
    if named is not None and named.name not in line and named.parent.name not in line:
        return f"{named.name} is not named: {line[-300:]}"
    return None


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder or the file itself, without locks."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != ".lock"}


def difference(before: dict[str, bytes], after: dict[str, bytes]) -> str | None:
    """The first few files that differ; None if all are equal."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return f"files differ: {', '.join(names[:3])}" if names else None


def copy_home(home: Path, target: Path) -> Path:
    """A fresh copy of a home in place of whatever is there."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(home, target))
