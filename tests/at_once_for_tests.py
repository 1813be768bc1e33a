"""Calls in other processes: two at once, one that is killed half way, one whose disk is full."""

import os
import pkgutil
import resource
import signal
import sys
from multiprocessing import get_context

from attar.core.errors import AttarError

_SPAWN = get_context("spawn")


def _try(call):
    """What became of a call: "done", or the line that the command would print."""
    try:
        call()
    except (AttarError, OSError) as error:
        return str(error)
    return "done"


def _take_turns(pipe, call):
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(_try(call))


def run_together(*calls, rounds=5):
    """Run the calls at once, each in its process, `rounds` times; yields what became of them after each round."""
    pipes = []
    for call in calls:
        here, there = _SPAWN.Pipe()
        _SPAWN.Process(target=_take_turns, args=(there, call), daemon=True).start()
        there.close()  # so that the end of the process is the end of the pipe
        pipes.append(here)
    assert [pipe.recv() for pipe in pipes] == ["ready"] * len(calls)
    for _ in range(rounds):
        for pipe in pipes:
            pipe.send("go")
        yield [pipe.recv() for pipe in pipes]
    for pipe in pipes:
        pipe.send("end")


def only_locked_out(results):
    """True if a call was done, and each other was done too or refused in one clear line."""
    lines = [result for result in results if result != "done"]
    clear = all(line.startswith("another attar is writing ") and "\n" not in line for line in lines)
    return len(lines) < len(results) and clear


def _die(name, count, call):
    module, _, function = name.rpartition(".")
    owner, calls = pkgutil.resolve_name(module), iter(range(1, count + 1))
    original = getattr(owner, function)

    def die_in_time(*args, **knobs):
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **knobs)

    setattr(owner, function, die_in_time)
    call()


def kill_in(name, call, count=1):
    """Run a call in another process, which is killed when it calls the function `name` for the `count`th time."""
    process = _SPAWN.Process(target=_die, args=(name, count, call))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _limit(pipe, size, call):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    pipe.send(_try(call))


def run_on_full_disk(call, size):
    """Run a call in another process whose files cannot be longer than `size`; what became of it."""
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_limit, args=(there, size, call))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def start_run(file, home):
    """Run a run file in a home, as `attar run` does."""
    from attar.api.run import start  # here, because each process that needs none of it would load it too
    from attar.runtime.home import Home
    from attar.runtime.progress import Quiet
    from attar.runtime.run_file import read_run_file

    start(read_run_file(file), Home(home), Quiet())


def snapshot(folder):
    """Every path below a folder, with the bytes of the files."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def put_foreign(target):
    """Files and folders of somebody else, under the names that earlier versions used; with what is in them."""
    made = {}
    for end in (".partial", ".before", ".rejected.jsonl", ".1234.partial", ".1234-word.partial", ".repaired"):
        beside = target.with_name(target.name + end)
        beside.parent.mkdir(parents=True, exist_ok=True)
        if end in (".partial", ".before"):
            beside.mkdir()
            beside = beside / "thesis.txt"
        beside.write_text(f"years of work {end}")
        made[beside] = beside.read_bytes()
    lock = target.with_name(f".{target.name}.attar-lock")
    lock.write_text("mine")
    return made | {lock: b"mine"}


def unchanged(made):
    """True if the files are as they were put."""
    return {path: path.read_bytes() for path in made} == made
