"""`kill -9` at random moments of a pocket run, resumed each time: are the tables the same, was any reply asked twice?

    python bench/kill_and_resume.py [KILLS] [SEED] [RUN.yaml] [KNOB=VALUE ...]

Defaults: 20 kills, seed 0, examples/pocket.yaml. Eight kills take six minutes. Epochs are reduced to 1, so that kills hit every
step and not the training alone. A reply may be asked twice only if it arrived in the last second before a kill.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yaml

EXAMPLE = Path(__file__).parent.parent / "examples" / "pocket.yaml"
CHILD = """
import os, sys, time
from pathlib import Path
from attar.engines import journal
log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
keep = journal.Journal.keep
def logged(self, key, reply):
    os.write(log, f"{key.hex()} {time.time()}\\n".encode())
    keep(self, key, reply)
journal.Journal.keep = logged
from attar.runtime.home import Home
from attar.runtime.run_file import read_run_file
from attar.api.run import start
from attar.runtime.progress import Quiet
start(read_run_file(Path(sys.argv[1])), Home(Path(sys.argv[2])), Quiet())
"""


def start(file: Path, home: Path) -> subprocess.Popen:
    """Start a run in a process of its own that logs each reply as it arrives."""
    command = [sys.executable, "-c", CHILD, str(file), str(home), str(home) + ".log"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read_tables(home: Path, name: str) -> dict[str, list[bytes]]:
    """Of each step the bytes of its parts, and of its weights if it trains."""
    record = json.loads((home / "runs" / f"{name}.json").read_text())
    folders = {step["name"]: home / "steps" / step["folder"] for step in record["steps"]}
    files = {name: [*sorted(folder.glob("*.parquet")), *folder.glob("model/*.safetensors")] for name, folder in folders.items()}
    return {name: [file.read_bytes() for file in paths] for name, paths in files.items()}


def kill_at_random(file: Path, home: Path, kills: int, longest: float, dice: random.Random) -> list[float]:
    """Start a run again and again and kill it each time, until it ends or `kills` are done; the times of the kills."""
    kill_times = []
    while len(kill_times) < kills:
        child = start(file, home)
        try:
            child.wait(dice.uniform(min(1.5, longest / 2), longest))
            break
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kill_times.append(time.time())
    return kill_times


def compare(file: Path, place: Path, kills: int, dice: random.Random) -> tuple[list[float], list[str], dict[str, list[float]]]:
    """Run whole, run killed: the times of the kills, the steps that differ, the times at which each reply arrived."""
    started = time.time()
    if start(file, place / "whole").wait():
        sys.exit("the uninterrupted run failed")
    length = time.time() - started
    print(f"uninterrupted: {length:.0f} s", flush=True)
    kill_times = kill_at_random(file, place / "killed", kills, max(3.0, 2.0 * length / kills), dice)
    if start(file, place / "killed").wait():
        sys.exit("the killed run did not finish")
    whole, killed = read_tables(place / "whole", file.stem), read_tables(place / "killed", file.stem)
    arrivals = defaultdict(list)
    for line in Path(str(place / "killed") + ".log").read_text().splitlines():
        key, at = line.split()
        arrivals[key].append(float(at))
    return kill_times, [name for name in whole if whole[name] != killed[name]], arrivals


def print_report(kill_times: list[float], differ: list[str], arrivals: dict[str, list[float]]) -> None:
    """Print what the kills did."""
    twice = [times for times in arrivals.values() if len(times) > 1]
    late = [times for times in twice if not any(0 <= killed - times[0] <= 1.0 for killed in kill_times)]
    print(f"{len(kill_times)} kills; steps that differ: {differ or 'none'}")
    print(
        f"{len(arrivals):,} replies; {len(twice)} asked twice, of those not within the last second before a kill: {len(late)}"
    )


def main() -> None:
    """Run, kill, compare."""
    kills, dice = int(sys.argv[1]) if len(sys.argv) > 1 else 20, random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    place = Path(tempfile.mkdtemp(prefix="attar-kill-"))
    content = yaml.safe_load((Path(sys.argv[3]) if len(sys.argv) > 3 else EXAMPLE).read_text())
    content["knobs"]["train"]["epochs"] = 1
    content["knobs"] |= {knob: yaml.safe_load(value) for knob, _, value in (given.partition("=") for given in sys.argv[4:])}
    file = place / "pocket.yaml"
    file.write_text(yaml.safe_dump(content))
    print_report(*compare(file, place, kills, dice))


if __name__ == "__main__":
    main()
