"""ALMA in the pocket world over several seeds: accuracy by round, the ablations, how good the judge is, and what it took.

    python bench/alma.py [SEEDS] [HOME]      (a quarter of an hour a seed on one core, and as much again for the ablations)

Every seed is a run of examples/alma-pocket.yaml; its ablations are a second run in the same home, of fewer rounds, which takes
over all that they share. Both reports are written to the home. Intervals over seeds are Student's t.
"""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen, run

import polars as pl
import yaml

from attar.core.table import read
from attar.runtime.home import Home, card, run_record
from attar.statistics.intervals import over_runs

EXAMPLE = Path(__file__).parent.parent / "examples" / "alma-pocket.yaml"
ARMS = ["random-prompts", "latest-only", "one-student", "judge", "integer", "undistilled", "other-alignment", "oracle"]
ARM_ROUNDS = 4
ATTAR = str(Path(sys.executable).parent / "attar")


def done(home: Path, name: str, seed: int, **knobs: object) -> tuple[str, float]:
    """One run; its name, and the most memory it took in megabytes."""
    content = yaml.safe_load(EXAMPLE.read_text())
    content["knobs"] |= {"seed": seed, **knobs}
    file = home / f"{name}-{seed}.yaml"
    file.write_text(yaml.safe_dump(content))
    process = Popen([ATTAR, "run", str(file), "--home", str(home), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{file} failed")
    return file.stem, usage.ru_maxrss / 1024


def result(home: Path, name: str, what: str) -> pl.DataFrame:
    """A result of a run."""
    return read(Home(home).steps / run_record(Home(home), name)["results"][what])


def told(home: Path, names: list[str], what: str, key: tuple[str, ...], value: str) -> None:
    """A line for each key: every run's value, the mean, and its interval."""
    tables = [result(home, name, what) for name in names]
    if what == "scores":
        tables = [table.filter(pl.col("level") == "all") for table in tables]
    for row in tables[0].select(key).rows():
        values = [table.filter(pl.struct(key) == dict(zip(key, row, strict=True)))[value][0] for table in tables]
        known = [number for number in values if number is not None]
        each = "  ".join("    -" if number is None else f"{number:6.3f}" for number in values)
        if len(known) < 2:
            print(f"{' '.join(row):<32} {each}")
            continue
        mean, low, high = over_runs(known)
        print(f"{' '.join(row):<32} {each}   {mean:6.3f} ({low:.3f} to {high:.3f})")


def took(home: Path, name: str) -> None:
    """What each round took, of one run."""
    steps = [(step["name"], card(Home(home).steps / step["folder"]) or {}) for step in run_record(Home(home), name)["steps"]]
    rounds = sorted({int(step.split("-")[1]) for step, _ in steps if step.startswith("round-")})
    for number in rounds:
        own = [found for step, found in steps if step.startswith(f"round-{number}-")]
        written = [found for found in own if found["stage"] == "synth.respond.sample"]
        answers, tokens = sum(found["rows"] for found in written), sum(found["spent"]["tokens_out"] for found in written)
        print(f"round {number}: {answers:,} answers, {tokens:,} tokens, {sum(found['seconds'] for found in own):.0f} s")


def main() -> None:
    """All seeds, two at once; then the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    home = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="attar-alma-"))
    home.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        rounds = list(pool.map(lambda seed: done(home, "alma", seed, arms=["oracle"]), range(count)))
        arms = list(pool.map(lambda seed: done(home, "arms", seed, rounds=ARM_ROUNDS, arms=ARMS, gold=None), range(count)))
    for title, found, what, key, value in (
        ("accuracy by round", rounds, "scores", ("arm",), "accuracy"),
        (f"the same seeds' ablations after round {ARM_ROUNDS}", arms, "scores", ("arm",), "accuracy"),
        ("the judge, against the truth", rounds, "agreement", ("name", "figure"), "value"),
    ):
        print(f"\n{title}")
        told(home, [name for name, _ in found], what, key, value)
    print(f"\nwhat the rounds took ({rounds[0][0]})")
    took(home, rounds[0][0])
    print(f"most memory of any run: {max(most for _, most in rounds + arms):,.0f} MB")
    for names in (rounds, arms):
        run([ATTAR, "report", *(name for name, _ in names), "--home", str(home)], check=True)


if __name__ == "__main__":
    main()
