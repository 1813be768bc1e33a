"""ALMA in the pocket world over several seeds: accuracy by round, ablations, how good the judge is, and the cost.

    python bench/training/alma_rounds.py [SEEDS] [HOME]     (half an hour a seed on one core)

Every seed is a run of examples/alma-pocket.yaml; its ablations are a second run in the same home, of fewer rounds, which reuses
the steps that both share. Both reports are written to the home. Intervals over seeds are Student's t.
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
from attar.runtime.home import Home, read_card, run_record
from attar.statistics.intervals import mean_over_runs

EXAMPLE = Path(__file__).parents[2] / "examples" / "alma-pocket.yaml"
ARMS = ["random-prompts", "latest-only", "one-student", "judge", "integer", "undistilled", "other-alignment", "oracle"]
ARM_ROUNDS = 4
ATTAR = str(Path(sys.executable).parent / "attar")


def run_alma(home: Path, name: str, seed: int, **knobs: object) -> tuple[str, float]:
    """Run one seed; return its name and its peak memory in megabytes."""
    content = yaml.safe_load(EXAMPLE.read_text())
    content["knobs"] |= {"seed": seed, **knobs}
    file = home / f"{name}-{seed}.yaml"
    file.write_text(yaml.safe_dump(content))
    process = Popen([ATTAR, "run", str(file), "--home", str(home), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{file} failed")
    return file.stem, usage.ru_maxrss / 1024


def read_result(home: Path, name: str, what: str) -> pl.DataFrame:
    """Read a result of a run."""
    return read(Home(home).steps / run_record(Home(home), name)["results"][what])


def print_over_seeds(home: Path, names: list[str], what: str, key: tuple[str, ...], value: str) -> None:
    """Print a line for each key: every run's value, the mean, and its interval."""
    tables = [read_result(home, name, what) for name in names]
    if what == "scores":
        tables = [table.filter(pl.col("level") == "all") for table in tables]
    for row in tables[0].select(key).rows():
        values = [table.filter(pl.struct(key) == dict(zip(key, row, strict=True)))[value][0] for table in tables]
        known = [number for number in values if number is not None]
        each = "  ".join("    -" if number is None else f"{number:6.3f}" for number in values)
        if len(known) < 2:
            print(f"{' '.join(row):<32} {each}")
            continue
        mean, low, high = mean_over_runs(known)
        print(f"{' '.join(row):<32} {each}   {mean:6.3f} ({low:.3f} to {high:.3f})")


def print_cost(home: Path, name: str) -> None:
    """Print what each round of one run cost."""
    steps = [
        (step["name"], read_card(Home(home).steps / step["folder"]) or {}) for step in run_record(Home(home), name)["steps"]
    ]
    rounds = sorted({int(step.split("-")[1]) for step, _ in steps if step.startswith("round-")})
    for number in rounds:
        cards = [one for step, one in steps if step.startswith(f"round-{number}-")]
        sampled = [one for one in cards if one["stage"] == "synth.respond.sample"]
        answers, tokens = sum(one["rows"] for one in sampled), sum(one["spent"]["tokens_out"] for one in sampled)
        print(f"round {number}: {answers:,} answers, {tokens:,} tokens, {sum(one['seconds'] for one in cards):.0f} s")


def main() -> None:
    """All seeds, two at once; then the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    home = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="attar-alma-"))
    home.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        rounds = list(pool.map(lambda seed: run_alma(home, "alma", seed, arms=["oracle"]), range(count)))
        arms = list(pool.map(lambda seed: run_alma(home, "arms", seed, rounds=ARM_ROUNDS, arms=ARMS, gold=None), range(count)))
    for title, runs, what, key, value in (
        ("accuracy by round", rounds, "scores", ("arm",), "accuracy"),
        (f"the same seeds' ablations after round {ARM_ROUNDS}", arms, "scores", ("arm",), "accuracy"),
        ("the judge compared with the truth", rounds, "agreement", ("name", "figure"), "value"),
    ):
        print(f"\n{title}")
        print_over_seeds(home, [name for name, _ in runs], what, key, value)
    print(f"\ncost of the rounds ({rounds[0][0]})")
    print_cost(home, rounds[0][0])
    print(f"largest peak memory of a run: {max(peak for _, peak in rounds + arms):,.0f} MB")
    for names in (rounds, arms):
        run([ATTAR, "report", *(name for name, _ in names), "--home", str(home)], check=True)


if __name__ == "__main__":
    main()
