"""A run home: the steps, the journal and the records of runs that share a folder (`.attar` by default).

A step's folder with a card is complete: the card is written last. A lock keeps two processes off one step; it goes with the
process that held it, however that ends.
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
"""Of what is in a home. 1: the first. 2: a run's record says what its steps are by their stages' marks."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything is kept."""

    root: Path

    def __post_init__(self) -> None:
        found = _format_of(self.root)
        if found is not None and found > FORMAT:
            raise DataError(
                f"{self.root} was written by a newer Attar (home format {found}, this one reads up to {FORMAT}): "
                "upgrade Attar, or name another home"
            )

    def stamp(self) -> None:
        """Say by which format the home is written from now on; older ones can be read."""
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
        """Where a step's output lies, or will."""
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
    """A card or a record; one that is damaged is named."""
    try:
        return json.loads(remove_checksum(file.read_bytes()))
    except ValueError as error:
        raise DataError(f"{file} is damaged ({error}): remove it and run again") from error


def write_json(file: Path, value: Any) -> None:
    """Write a file whole or not at all, with a checksum."""
    with replace_file(file) as partial:
        partial.write_bytes(add_checksum((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()))


@contextmanager
def lock_step(folder: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold a step's lock; tell once when another process holds it."""
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
    """The format of a home; None of one that is new, or from before formats were written down."""
    file = root / _STAMP
    found = read_json(file).get("format") if file.exists() else None
    if found is not None and not isinstance(found, int):
        raise DataError(f"{file} is damaged (its format is {found!r}): remove it and run again")
    return found


def record_with_marks(home: Home, name: str) -> dict[str, Any]:
    """A run's record, if it says what its steps are; one of an earlier version does not."""
    record = run_record(home, name)
    if any("marks" not in step for step in record["steps"]):
        raise DataError(
            f"run {name!r} was recorded by an earlier Attar: bring it up to date with  attar resume {name}  "
            "(no reply that the journal has is asked for again)"
        )
    return record


def run_record(home: Home, name: str) -> dict[str, Any]:
    """What a run was: its recipe, engines, knobs, steps."""
    file = home.runs / f"{name}.json"
    if not file.exists():
        known = [path.stem for path in home.runs.glob("*.json")]
        raise DataError(f"no run {name!r} in {home.root}; {did_you_mean(name, known)}")
    return read_json(file)


def count_done_rows(folder: Path) -> int:
    """How many input rows of a step are done."""
    return sum(stop - start for start, stop in map(part_span, parts(folder)))


def collect_garbage(home: Home, *, really: bool, grace: float = 60.0) -> list[tuple[str, int]]:
    """Step folders that no run refers to, with their sizes; removed if `really`. One that a process works on stays."""
    wanted = {step["folder"] for file in home.runs.glob("*.json") for step in read_json(file)["steps"]}
    gone = []
    for folder in sorted(home.steps.iterdir()) if home.steps.exists() else []:
        if not folder.is_dir() or folder.name in wanted or time.time() - folder.stat().st_mtime < grace:
            continue
        with (folder / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            gone.append((folder.name, sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())))
            if really:
                shutil.rmtree(folder)
    return gone
