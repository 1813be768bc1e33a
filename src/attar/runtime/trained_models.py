"""The models that a run's steps train: an earlier training of the same rows is reused, and equal weights are one engine.

A trained model is identified by its step's fingerprint, which is part of the journal's keys. If a step is trained again
(its code has changed, for example) and its weights are byte-identical, it keeps the earlier model's identity, so that no reply
is requested again. If the same step is trained again on other rows, because failed rows were asked again, it gets another
identity, so that no reply of the earlier model is taken for its own.
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
"""The name of a file beside a trained model: the fingerprint of its settings and of its rows' content."""
TRAINED_BEFORE = ".trained_before"
"""The name of a file in a training step's folder, if an earlier training of the step, on other rows, was removed."""


def train_or_reuse(step: Step, home: Home, tables: list[Table], train: Callable[[Path], Table]) -> Table:
    """Train, or reuse an earlier training with the same rows and settings; returns the training's curve."""
    folder = home.folder(step)
    made_of = fingerprint(step.manner, [table_hash(table) for table in tables], *_renamed_base(step, home))
    curve = _reuse(step, home, made_of)
    if curve is None:
        curve = train(folder / MODEL)
    (folder / _MADE_OF).write_text(made_of)
    first = not (folder / TRAINED_BEFORE).exists()
    own_name = step.fingerprint if first else fingerprint(step.fingerprint, made_of)
    (folder / NAME_FILE).write_text(_name_of_equal_weights(step, home) or own_name)
    return curve


def _renamed_base(step: Step, home: Home) -> list[str]:
    """The identity of the base, if it is a trained model that is not known by its step's fingerprint."""
    base = step.spec(home.steps)
    if not isinstance(step.engine, Step) or base is None or base.identity in (None, step.engine.fingerprint):
        return []
    return [base.identity]


def _reuse(step: Step, home: Home, made_of: str) -> Table | None:
    for other in home.steps.glob(f"{step.folder.rpartition('-')[0]}-*/{_MADE_OF}"):
        if other.read_text() == made_of and read_card(other.parent):
            _log.debug("step %s reuses the model of %s", step.name, other.parent)
            shutil.copytree(other.parent / MODEL, home.folder(step) / MODEL, copy_function=os.link)
            return read(other.parent)
    return None


def _name_of_equal_weights(step: Step, home: Home) -> str | None:
    """The identity of the first model in this home with the same weights, if there is one."""
    own = home.folder(step)
    for other in sorted(home.steps.glob(f"*/{MODEL}"), key=lambda path: path.stat().st_mtime_ns):
        if other.parent != own and (card := read_card(other.parent)) and _same_files(own / MODEL, other):
            return journal_name(other.parent, card["fingerprint"])
    return None


def _same_files(one: Path, other: Path) -> bool:
    """True if two folders have byte-identical files; files of different sizes are not read."""
    names = [sorted(path.name for path in folder.iterdir() if path.is_file()) for folder in (one, other)]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])
