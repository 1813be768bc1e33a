"""The home that the first version made (tests/homes) is opened and run again where nobody answers: no call, the same rows."""

import json
import shutil
import tarfile
from pathlib import Path

from attack.small_run import HOMES, Outcome, attar, fault_of

from attar.core.table import Table, read
from attar.runtime.home import read_card


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Run both of its run files under a new name, then the commands on each run."""
    with tarfile.open(HOMES / "first.tar.gz") as archive:
        archive.extractall(place, filter="data")
    shutil.copy(HOMES / "baseline.jsonl", place)
    outcome = Outcome("a home of the first version: run again with no server, then read")
    for name in ("magpie", "alpaca"):
        shutil.copy(HOMES / f"{name}.yaml", place / f"{name}-again.yaml")
        done = attar("run", f"{name}-again.yaml", "--home", "home", "--json", cwd=place)
        outcome.check(fault_of(done) or (done.stderr if done.returncode else _compare(place / "home", name)))
        for words in (("status",), ("report",), ("dataset",) if name == "magpie" else ("journal",)):
            named = words if words == ("journal",) else (*words, f"{name}-again")
            done = attar(*named, "--home", "home", cwd=place)
            outcome.check(fault_of(done) or (f"{words[0]}: {done.stderr}" if done.returncode else None))
    return [outcome]


def _compare(home: Path, name: str) -> str | None:
    """Other rows than before, or requests that were sent."""
    old, new = (json.loads((home / "runs" / f"{run}.json").read_text()) for run in (name, f"{name}-again"))
    written = {step["folder"] for step in old["steps"]}  # their cards say what the first version sent
    fresh = [home / "steps" / step["folder"] for step in new["steps"] if step["folder"] not in written]
    sent = sum((read_card(folder) or {"asked": 1})["asked"] for folder in fresh)
    differ = [
        result for result, folder in old["results"].items()
        if _plain(read(home / "steps" / folder)) != _plain(read(home / "steps" / new["results"][result]))
    ]  # fmt: skip
    return (f"{sent} requests sent" if sent else None) or (f"other rows in {', '.join(differ)}" if differ else None)


def _plain(table: Table) -> list[dict]:
    """Rows without dates, and without the ends of intervals: their t quantile was a series once and is exact now."""
    return table.drop("date", "low", "high", strict=False).to_dicts()
