"""`kill -9` at random moments of every command that writes: the same command again must bring what an undisturbed one does."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import yaml
from attack.small_run import (
    ATTAR,
    NAME,
    ROOT,
    Outcome,
    attar,
    copy_home,
    difference,
    fault_of,
    read_files,
    run_whole,
    small_run,
)
from kill_and_resume import compare, kill_at_random, read_tables  # bench/kill_and_resume.py

from attar.engines.base import Reply
from attar.engines.journal import Journal

_KILLS_OF_ONE_RUN = 8
_TRAINING = {
    **{"count": 300, "size": 60, "exam_size": 15, "pairs": {"count": 30, "answers": 3, "temperature": 1.4, "margin": 2.0}},
    "train": {"epochs": 1, "lr": 0.004, "batch": 16, "max_length": 256},
}


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Kill runs, then the commands on a finished home."""
    dice = random.Random(seed)
    runs, trainings, others = (4, 0, 2) if quick else (40, 12, 12)
    with small_run(place, count=120) as file:
        run_whole(file, place / "whole")
        outcomes = [_kill_runs(file, place, runs, dice)]
        if trainings:
            outcomes.append(_kill_training(place, trainings, dice))
        return [*outcomes, *_kill_commands(place, others, dice)]


def _kill_runs(file: Path, place: Path, kills: int, dice: random.Random) -> Outcome:
    outcome = Outcome("kill -9 of `attar run` (calls over HTTP)")
    whole = read_tables(place / "whole", NAME)
    while outcome.tried < kills:
        home = place / f"killed-{outcome.tried}"
        done = kill_at_random(file, home, min(_KILLS_OF_ONE_RUN, kills - outcome.tried), 2.5, dice)
        outcome.tried += len(done)
        run_whole(file, home)
        tables = read_tables(home, NAME)
        outcome.harm += [f"step {name} differs" for name in whole if whole[name] != tables[name]]
        shutil.rmtree(home)
    return outcome


def _kill_training(place: Path, kills: int, dice: random.Random) -> Outcome:
    content = yaml.safe_load((ROOT / "examples" / "pocket.yaml").read_text())
    content["knobs"] |= _TRAINING
    folder = place / "training"
    folder.mkdir()
    (file := folder / "pocket.yaml").write_text(yaml.safe_dump(content))
    kill_times, differ, arrivals = compare(file, folder, kills, dice)
    twice = [times for times in arrivals.values() if len(times) > 1]
    late = [times for times in twice if not any(0 <= killed - times[0] <= 1.0 for killed in kill_times)]
    harm = [f"step {name} differs" for name in differ] + [f"{len(late)} replies paid for twice"] * bool(late)
    return Outcome("kill -9 of `attar run` (generation and training)", len(kill_times), harm)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, the home that it works on (in place, as `home`), and how to read what it leaves there."""

    words: str
    home: Path
    read: Callable[[Path], dict[str, bytes]]


def _kill_commands(place: Path, kills: int, dice: random.Random) -> list[Outcome]:
    whole, crowded, full = place / "whole", _add_unused_steps(place), _add_replies(place)
    commands = (
        Command("gc --really", crowded, lambda home: read_files(home / "steps")),
        Command("journal --vacuum", full, _read_replies),
        Command(f"dataset {NAME} -o home/out", whole, lambda home: read_files(home / "out")),
        Command(f"report {NAME} -o home/r.html", whole, lambda home: read_files(home / "r.html")),
    )
    return [_kill_command(place / "command", command, kills, dice) for command in commands]


def _kill_command(cwd: Path, command: Command, kills: int, dice: random.Random) -> Outcome:
    words = [*command.words.split(), "--home", "home"]
    outcome = Outcome(f"kill -9 of `attar {words[0]}`")
    copy_home(command.home, cwd / "home")
    started = time.time()
    if fault := fault_of(attar(*words, cwd=cwd)):
        return Outcome(outcome.attack, 1, [f"undisturbed: {fault}"])
    seconds, expected = time.time() - started, command.read(cwd / "home")
    while outcome.tried < kills:
        copy_home(command.home, cwd / "home")
        child = subprocess.Popen([str(ATTAR), *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(dice.uniform(0.3, 1.0) * seconds)
            continue  # it had ended: no kill
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        done = attar(*words, cwd=cwd)
        outcome.check(fault_of(done) or done.stderr if done.returncode else difference(expected, command.read(cwd / "home")))
    return outcome


def _add_unused_steps(place: Path) -> Path:
    """A copy of the home with 600 step folders that no run refers to, old enough to be removed."""
    home = copy_home(place / "whole", place / "crowded")
    wanted = sorted(path for path in (home / "steps").iterdir())
    for number in range(600):
        folder = home / "steps" / f"unused-{number:016x}"
        shutil.copytree(wanted[number % len(wanted)], folder)
        os.utime(folder, (0, 0))
    return home


def _add_replies(place: Path) -> Path:
    """A copy of the home whose journal holds 20,000 further replies and as many failures."""
    home = copy_home(place / "whole", place / "full")
    journal = Journal(home / "journal.sqlite")
    for number in range(20_000):
        journal.keep(number.to_bytes(16), Reply(0, f"text {number} " * 8, "stop"))
        journal.keep(number.to_bytes(16), Reply(0, error=f"failure {number} " * 8))
    journal.close()
    return home


def _read_replies(home: Path) -> dict[str, bytes]:
    with closing(sqlite3.connect(home / "journal.sqlite")) as base:
        rows = base.execute("SELECT key, reply FROM replies").fetchall()
        failures = base.execute("SELECT count(*) FROM failures").fetchone()[0]
    return {key.hex(): str(reply).encode() for key, reply in rows} | {"failures": str(failures).encode()}
