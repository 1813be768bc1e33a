"""Attack Attar where docs/reliability.md makes promises, and print one table: attack, tried, survived, what was seen.

    .venv/bin/python bench/attack/run.py [--quick] [--seed 0] [--only NAME ...]     (or: make attack)

The full run takes about half an hour on two idle cores, --quick five minutes of processor time. The exit status is 1 if
anything did harm.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT / name) for name in ("src", "bench", "tests")]
sys.path[:0] = PATHS
os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)

from attack import flips, hostile_server, kills, model_folders, old_home, outputs, processes  # noqa: E402 (found by PATHS)
from attack.small_run import Outcome  # noqa: E402 (found by PATHS)

Attack = Callable[[Path, bool, int], list[Outcome]]
ATTACKS: dict[str, Attack] = {
    module.__name__.rpartition(".")[2]: module.attack
    for module in (hostile_server, kills, flips, model_folders, processes, outputs, old_home)
}
_SHOWN = 3
"""Lines of harm that are shown for one attack."""


def print_row(outcome: Outcome) -> None:
    """Print one row of the table, as Markdown."""
    seen = "; ".join(outcome.harm[:_SHOWN]) + (f"; {len(outcome.harm) - _SHOWN} more" if len(outcome.harm) > _SHOWN else "")
    survived = max(0, outcome.tried - len(outcome.harm))
    line = " ".join((seen or outcome.note).replace("|", "/").split())
    print(f"| {outcome.attack} | {outcome.tried:,} | {survived:,} | {line} |", flush=True)


def main() -> None:
    """Attack, print, and exit with 1 if anything did harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    given = parser.parse_args()
    sound = True
    print("| attack | tried | survived | seen |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="attar-attack-") as place:
        for name in given.only:
            started = time.time()
            (folder := Path(place) / name).mkdir()
            for outcome in ATTACKS[name](folder, given.quick, given.seed):
                print_row(outcome)
                sound &= outcome.tried > 0 and not outcome.harm
            print(f"{name}: {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    sys.exit(not sound)


if __name__ == "__main__":
    main()
