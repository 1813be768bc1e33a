"""A run home: the steps, the journal and the records of runs that share a folder (`.attar` by default).

A step's folder is complete when it has a card: the card is written last. A lock keeps two processes from running one step at
the same time; it is released when its process ends, even if the process is killed.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.core.atomic import replace_file
from attar.core.checksum import add_checksum, remove_checksum
from attar.core.errors import DataError, did_you_mean
from attar.core.table import part_span, parts
from attar.runtime.flow import Step

_STAMP = "home.json"
FORMAT = 2
"""The version of a home's layout. 1: the first. 2: a run's record has the marks of its steps' stages."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a home, and the paths in it."""

    root: Path

    def __post_init__(self) -> None:
        version = _format_of(self.root)
        if version is not None and version > FORMAT:
            raise DataError(
                f"{self.root} was written by a newer Attar (home format {version}, this one reads up to {FORMAT}): "
                "upgrade Attar, or name another home"
            )

    def stamp(self) -> None:
        """Record the current format in the home; earlier formats can still be read."""
        if _format_of(self.root) != FORMAT:
            write_json(self.root / _STAMP, {"format": FORMAT})

    @property
    def steps(self) -> Path:
        """The folder of step folders."""
        return self.root / "steps"

    @property
    def runs(self) -> Path:
        """The folder of run records."""
        return self.root / "runs"

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.root / "journal.sqlite"

    def folder(self, step: Step) -> Path:
        """The folder of a step's output, whether it exists or not."""
        return self.steps / step.folder


def read_card(folder: Path) -> dict[str, Any] | None:
    """The card of a complete step; None while it is not complete, or no longer, because a part was removed."""
    file = folder / "card.json"
    card = read_json(file) if file.exists() else None
    if card and "parts" in card and card["parts"] != len(parts(folder)):
        return None
    return card


def write_card(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Write a step's card, with the number of its parts; this makes the step complete."""
    card = card | {"parts": len(parts(folder))}
    write_json(folder / "card.json", card)
    return card


def read_json(file: Path) -> dict[str, Any]:
    """A card or a record; DataError if the file is damaged."""
    try:
        return json.loads(remove_checksum(file.read_bytes()))
    except ValueError as error:
        raise DataError(f"{file} is damaged ({error}): remove it and run again") from error


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file atomically, with a checksum."""
    with replace_file(file) as partial:
        partial.write_bytes(add_checksum((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()))


@contextmanager
def lock_step(folder: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold a step's lock; call `waiting` with a message if another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            waiting(f"another run (process {lock.read().strip() or 'unknown'}) is on this step; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _format_of(root: Path) -> int | None:
    """The format of a home; None if the home is new, or older than the stamp."""
    file = root / _STAMP
    version = read_json(file).get("format") if file.exists() else None
    if version is not None and not isinstance(version, int):
        raise DataError(f"{file} is damaged (its format is {version!r}): remove it and run again")
    return version


def record_with_marks(home: Home, name: str) -> dict[str, Any]:
    """A run's record, whose steps must have marks; DataError for a record of an earlier version."""
    record = run_record(home, name)
    if any("marks" not in step for step in record["steps"]):
        raise DataError(
            f"run {name!r} was recorded by an earlier Attar: bring it up to date with  attar resume {name}  "
            "(no reply that the journal has is requested again)"
        )
    return record


def run_record(home: Home, name: str) -> dict[str, Any]:
    """A run's record: its recipe, engines, knobs, steps."""
    file = home.runs / f"{name}.json"
    if not file.exists():
        known = [path.stem for path in home.runs.glob("*.json")]
        raise DataError(f"no run {name!r} in {home.root}; {did_you_mean(name, known)}")
    return read_json(file)


def count_done_rows(folder: Path) -> int:
    """How many input rows of a step are done."""
    return sum(stop - start for start, stop in map(part_span, parts(folder)))


def collect_garbage(home: Home, *, really: bool, grace: float = 60.0) -> list[tuple[str, int]]:
    """Step folders that no run refers to, with their sizes in bytes; removed if `really`. Locked and recent folders stay.

    A folder is renamed before it is removed, so that a step is whole or absent even if this is killed.
    """
    wanted = {step["folder"] for file in home.runs.glob("*.json") for step in read_json(file)["steps"]}
    unused = []
    for folder in sorted(home.steps.iterdir()) if home.steps.exists() else []:
        try:
            if folder.is_dir() and folder.name not in wanted and time.time() - folder.stat().st_mtime >= grace:
                unused += _collect_step(home, folder, really)
        except FileNotFoundError:  # another process has collected it meanwhile
            continue
    if really:  # also what a killed process left there
        shutil.rmtree(_trash(home), ignore_errors=True)
    return unused


def _trash(home: Home) -> Path:
    return home.root / "trash"


def _collect_step(home: Home, folder: Path, really: bool) -> list[tuple[str, int]]:
    """A step's name and size, its folder put into the trash if `really`; nothing if another process has it locked."""
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if really:
            _trash(home).mkdir(exist_ok=True)
            folder.replace(_trash(home) / f"{folder.name}.{os.getpid()}")
        return [(folder.name, size)]
