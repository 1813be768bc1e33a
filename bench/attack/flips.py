"""Single flipped bits in the files of a finished home: the same values, or one line that names the file; never another value.

Most flips are read back in this process by every reader that commands use; a sample goes through the command line, and then the
line's advice is followed. The journal may miss replies (they are asked for again); it never gives another reply.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attack.small_run import NAME, Outcome, attar, copy_home, difference, fault_of, read_files, run_whole, small_run
from kill_and_resume import read_tables  # bench/kill_and_resume.py

from attar.core.errors import AttarError
from attar.core.table import index_parts, read, read_part, read_rows, scan, table_schema
from attar.engines.journal import Journal
from attar.runtime.home import Home, read_card, run_record

_SHARES = {"journal": 0.4, "part": 0.3, "card": 0.18, "record": 0.1, "stamp": 0.02}
_WRITE_AND_DIE = """
import os, signal, sys; from pathlib import Path
from attar.engines.base import Reply
from attar.engines.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(400):
    journal.keep(number.to_bytes(16), Reply(0, f"text {number}", "stop"))
    if number % 100 == 99:
        journal.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Flip bits and read; then flip bits and run commands."""
    dice = random.Random(seed)
    with small_run(place) as file:
        run_whole(file, place / "whole")
        return [
            _read_flipped(copy_home(place / "whole", place / "flipped"), 150 if quick else 2000, dice),
            _read_flipped_log(place, 30 if quick else 300, dice),
            _run_flipped(place, 4 if quick else 60, dice),
        ]


def _targets(home: Path) -> dict[str, list[Path]]:
    return {
        "journal": [home / "journal.sqlite"],
        "part": sorted(home.glob("steps/*/*.parquet")),
        "card": sorted(home.glob("steps/*/card.json")),
        "record": sorted(home.glob("runs/*.json")),
        "stamp": [home / "home.json"],
    }


def _choose(home: Path, dice: random.Random) -> tuple[str, Path]:
    kind = dice.choices(list(_SHARES), list(_SHARES.values()))[0]
    return kind, dice.choice(_targets(home)[kind])


def _flip(file: Path, dice: random.Random) -> str:
    """Flip one bit of a file, and say which."""
    data = bytearray(file.read_bytes())
    byte, bit = dice.randrange(len(data)), dice.randrange(8)
    data[byte] ^= 1 << bit
    file.write_bytes(data)
    return f"{file.parent.name}/{file.name} byte {byte} bit {bit}"


def _readers(kind: str, file: Path, home: Path) -> list[Callable[[], Any]]:
    """What commands read from a file of this kind."""
    folder = file.parent
    if kind == "part":
        rows = index_parts(folder)
        return [
            lambda: read(folder).to_dicts(),
            lambda: read_part(file).to_dicts(),
            lambda: read_rows(rows, 0, rows.count).to_dicts(),
            lambda: scan(folder).collect().to_dicts(),
            lambda: table_schema(folder),
        ]
    return [
        {"card": lambda: read_card(folder), "record": lambda: run_record(Home(home), NAME), "stamp": lambda: Home(home)}[kind]
    ]


def _compare(reader: Callable[[], Any], expected: Any, file: Path) -> str | None:
    """None if a reader returns the expected value or names the file in one line."""
    try:
        return None if reader() == expected else "another value"
    except AttarError as error:
        named = file.name in str(error) or file.parent.name in str(error)
        return None if named and "\n" not in str(error) else f"unclear: {error}"
    except Exception as error:  # noqa: BLE001 (an attack reports any error)
        return f"{type(error).__name__}: {error}"


def _read_flipped(home: Path, count: int, dice: random.Random) -> Outcome:
    outcome = Outcome("one flipped bit in a part, card, record, stamp or journal, read back")
    journal = home / "journal.sqlite"
    replies = _read_replies(journal, None)
    assert isinstance(replies, dict)
    expected: dict[Path, list[Any]] = {}
    missing = 0
    for _ in range(count):
        kind, file = _choose(home, dice)
        if kind != "journal" and file not in expected:
            expected[file] = [reader() for reader in _readers(kind, file, home)]
        whole = file.read_bytes()
        flip = _flip(file, dice)
        if kind == "journal":
            harm, lost = _compare_replies(file, replies)
            missing += lost
            for end in ("-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
        else:
            results = (_compare(*pair, file) for pair in zip(_readers(kind, file, home), expected[file], strict=True))
            harm = next((result for result in results if result), None)
        file.write_bytes(whole)
        outcome.check(harm and f"{flip}: {harm}")
    outcome.note = f"{missing} flips hid replies, which are asked for again" if missing else ""
    return outcome


def _read_replies(path: Path, keys: list[bytes] | None) -> dict[bytes | str, Any] | str:
    """Each key's reply, the usage and what `attar journal` shows; or a line that names the journal."""
    try:
        journal = Journal(path)
        try:
            keys = [key for (key,) in journal._read("SELECT key FROM replies")] if keys is None else keys
            replies: dict[bytes | str, Any] = {key: journal.find([key]).get(key) for key in keys}
            return replies | {"spent": journal.spent(NAME), "asked": journal.stats()["asked"]}
        finally:
            journal.close()
    except AttarError as error:
        return f"unclear: {error}" if "\n" in str(error) or path.name not in str(error) else ""
    except Exception as error:  # noqa: BLE001 (an attack reports any error)
        return f"{type(error).__name__}: {error}"


def _compare_replies(path: Path, expected: dict[bytes | str, Any]) -> tuple[str | None, bool]:
    """The harm, and whether replies are missing."""
    found = _read_replies(path, [key for key in expected if isinstance(key, bytes)])
    if isinstance(found, str):
        return found or None, False
    wrong = [key for key, value in expected.items() if found[key] != value and (found[key] is not None or key == "spent")]
    what = ", ".join(key.hex() if isinstance(key, bytes) else f"{key} {found[key]}" for key in wrong)
    return f"another value: {what}" if wrong else None, any(found[key] is None for key in expected)


def _read_flipped_log(place: Path, count: int, dice: random.Random) -> Outcome:
    """SQLite ends a log at a damaged frame: later replies may be missing."""
    outcome = Outcome("one flipped bit in the write-ahead log of a killed process")
    source = place / "log"
    source.mkdir()
    child = subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(source / "journal.sqlite")])
    if child.returncode != -signal.SIGKILL or not (source / "journal.sqlite-wal").stat().st_size:
        return Outcome(outcome.attack, 1, ["no log to attack"])
    keys = [number.to_bytes(16) for number in range(400)]
    missing = 0
    for _ in range(count):
        copy = copy_home(source, place / "log-flipped")
        flip = _flip(copy / "journal.sqlite-wal", dice)
        found = _read_replies(copy / "journal.sqlite", keys)
        if isinstance(found, str):
            outcome.check(found and f"{flip}: {found}")
            continue
        texts = {key: found[key] for key in keys if found[key] is not None}
        missing += len(texts) < len(keys)
        wrong = [key for key, text in texts.items() if f'"text {int.from_bytes(key)}"' not in text]
        outcome.check(f"{flip}: {len(wrong)} other texts" if wrong else None)
    outcome.note = f"{missing} flips hid replies, which are asked for again"
    return outcome


def _run_flipped(place: Path, count: int, dice: random.Random) -> Outcome:
    """Through the command line; for the journal the steps are removed, so that all replies are read."""
    outcome = Outcome("the same through the command line, then what its line advises")
    tables, exports = read_tables(place / "whole", NAME), _export(place, copy_home(place / "whole", place / "home"))
    for _ in range(count):
        home = copy_home(place / "whole", place / "home")
        kind, file = _choose(home, dice)
        if kind == "journal":
            shutil.rmtree(home / "steps")
        flip = _flip(file, dice)
        harm = _try_commands(place, home, kind, file, exports) or _follow_advice(place, home, kind, file)
        harm = harm or next(
            (f"step {name} differs" for name, made in read_tables(home, NAME).items() if made != tables[name]), None
        )
        outcome.check(harm and f"{flip}: {harm}")
    return outcome


def _export(place: Path, home: Path) -> dict[str, bytes] | str:
    """What `dataset` and `report` write; or what is wrong with how they ended; "" if one named a file."""
    for words in (
        ("dataset", NAME, "-o", "out/dataset"),
        ("report", NAME, "-o", "out/report.html"),
        ("status", NAME),
        ("journal",),
    ):
        done = attar(*words, "--home", home, cwd=place)
        if done.returncode:
            return fault_of(done) or ""
    return read_files(place / "out")


def _try_commands(place: Path, home: Path, kind: str, file: Path, exports: dict[str, bytes] | str) -> str | None:
    shutil.rmtree(place / "out", ignore_errors=True)
    if kind != "journal":
        found = _export(place, home)
        assert isinstance(exports, dict)
        if harm := found if isinstance(found, str) else difference(exports, found):
            return harm
    return fault_of(attar("run", f"{NAME}.yaml", "--home", home, "-q", cwd=place), file)


def _follow_advice(place: Path, home: Path, kind: str, file: Path) -> str | None:
    """Remove or repair what is damaged; then the run must come to its end."""
    if kind != "journal":
        os.unlink(file)
    elif fault := fault_of(attar("journal", "--repair", "--home", home, cwd=place), file):
        return f"repair: {fault}"
    return _fault_unless_newer(attar("run", f"{NAME}.yaml", "--home", home, "-q", cwd=place))


def _fault_unless_newer(done: subprocess.CompletedProcess[str]) -> str | None:
    """A flip in the format's number is taken for a newer version, which is one line too."""
    return None if done.returncode == 0 or "newer Attar" in done.stderr else f"after the advice: {done.stderr[-300:]}"
