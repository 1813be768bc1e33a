"""Two commands that write one output at once: afterwards it is one of the two, whole, and neither left anything else."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from attack.small_run import ATTAR, NAME, Outcome, attar, difference, fault_of, read_files, run_whole, small_run

_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two commands and the output that both write."""

    title: str
    first: str
    second: str
    output: str


_DATASET, _TO_FILE, _TO_FOLDER = f"dataset {NAME} --home whole -o out/data", "out/rows.jsonl", "out/rows"
_PAGE = "--home whole -o out/page.html"
_PAIRS = (
    Pair("`attar dataset` into one folder", _DATASET, f"{_DATASET} --seed 9 --test 0.3", "data"),
    Pair("`attar report` to one file", f"report {NAME} {_PAGE}", f"report other {_PAGE}", "page.html"),
    Pair("`attar convert` to one file", f"convert a.jsonl {_TO_FILE}", f"convert b.jsonl {_TO_FILE}", "rows.jsonl"),
    Pair("`attar convert` to one folder", f"convert a.jsonl {_TO_FOLDER}", f"convert b.jsonl {_TO_FOLDER}", "rows"),
)


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Each pair of commands, some rounds each."""
    with small_run(place) as file:
        run_whole(file, place / "whole")
        other = file.with_name("other.yaml")
        other.write_text(file.read_text().replace("size: 12", "size: 8"))
        run_whole(other, place / "whole")
    for name in "ab":
        talk = [{"role": "user", "content": f"{name} asks"}, {"role": "assistant", "content": f"{name} answers"}]
        (place / f"{name}.jsonl").write_text(
            "".join(json.dumps({"id": f"{name}{i}", "messages": talk}) + "\n" for i in range(_ROWS))
        )
    return [_write_together(place, pair, 1 if quick else 20) for pair in _PAIRS]


def _write_together(place: Path, pair: Pair, rounds: int) -> Outcome:
    outcome, out = Outcome(f"two {pair.title}"), place / "out"
    alone = []
    for words in (pair.first, pair.second):
        _clear(out)
        if fault := attar(*words.split(), cwd=place).returncode:
            return Outcome(outcome.attack, 1, [f"alone it ends with {fault}"])
        alone.append(read_files(out))
    refused = 0
    for _ in range(rounds):
        _clear(out)
        children = [
            subprocess.Popen([str(ATTAR), *words.split()], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for words in (pair.first, pair.second)
        ]
        ends = [subprocess.CompletedProcess(child.args, child.wait(), *child.communicate()) for child in children]
        faults = [fault for end in ends if (fault := fault_of(end, out / pair.output))]
        refused += sum(end.returncode == 2 for end in ends)
        written = read_files(out)
        mixed = None if written in alone else f"neither of the two: {difference(alone[0], written)}"
        outcome.check("; ".join(faults) or mixed)
    outcome.note = f"{refused} of {2 * rounds} were refused in one line" if refused else ""
    return outcome


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
