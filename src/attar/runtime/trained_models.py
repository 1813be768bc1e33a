"""The models that a run's steps train: a training that was done before is taken over, and equal weights are one engine.

A trained model is known by its step's fingerprint, which the journal's keys have. Where a step is made again (its code has
changed, say) and its weights come out the same to the last byte, it stays known by what the earlier one is known by, so that
no reply is asked for again.
"""

import filecmp
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from attar.core.fingerprint import fingerprint
from attar.core.table import Table, read, table_hash
from attar.runtime.flow import MODEL, NAME_FILE, Step, journal_name
from attar.runtime.home import Home, read_card

_log = logging.getLogger(__name__)

_MADE_OF = "made_of"
"""A file beside a trained model: the fingerprint of all that made it, its rows by content."""


def train_or_reuse(step: Step, home: Home, tables: list[Table], train: Callable[[Path], Table]) -> Table:
    """The curve of a training; of one that was done before, on the same rows in the same way, the earlier one's."""
    folder = home.folder(step)
    made_of = fingerprint(step.manner, [table_hash(table) for table in tables])
    curve = _reuse(step, home, made_of)
    if curve is None:
        curve = train(folder / MODEL)
    (folder / _MADE_OF).write_text(made_of)
    (folder / NAME_FILE).write_text(_name_of_equal_weights(step, home))
    return curve


def _reuse(step: Step, home: Home, made_of: str) -> Table | None:
    for other in home.steps.glob(f"{step.folder.rpartition('-')[0]}-*/{_MADE_OF}"):
        if other.read_text() == made_of and read_card(other.parent):
            _log.debug("step %s takes over the model of %s", step.name, other.parent)
            shutil.copytree(other.parent / MODEL, home.folder(step) / MODEL, copy_function=os.link)
            return read(other.parent)
    return None


def _name_of_equal_weights(step: Step, home: Home) -> str:
    """What the same weights were first known by in this home."""
    own = home.folder(step)
    for other in sorted(home.steps.glob(f"*/{MODEL}"), key=lambda path: path.stat().st_mtime_ns):
        if other.parent != own and (told := read_card(other.parent)) and _same_files(own / MODEL, other):
            return journal_name(other.parent, told["fingerprint"])
    return step.fingerprint


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files, to the last byte; a difference in size is seen without reading."""
    names = [sorted(path.name for path in folder.iterdir() if path.is_file()) for folder in (one, other)]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])
