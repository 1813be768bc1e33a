"""Two and three processes on one home at once: whole and equal tables, no reply lost, each paid for at most once a process."""

from collections import Counter
from contextlib import closing
from pathlib import Path

from attack.small_run import NAME, Outcome, run_whole, small_run
from kill_and_resume import read_tables, start  # bench/kill_and_resume.py

from attar.engines.journal import Journal


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Rounds of two and of three processes, each on a new home."""
    with small_run(place) as file:
        run_whole(file, place / "whole")
        return [_run_together(file, place, number, 1 if quick else 10) for number in (2, 3)]


def _run_together(file: Path, place: Path, processes: int, rounds: int) -> Outcome:
    outcome = Outcome(f"{processes} processes that run one run file on one home")
    whole = read_tables(place / "whole", NAME)
    most = 0
    for number in range(rounds):
        home = place / f"{processes}-{number}"
        statuses = [child.wait() for child in [start(file, home) for _ in range(processes)]]
        arrivals = Counter(line.split()[0] for line in Path(f"{home}.log").read_text().splitlines())
        most = max(most, *arrivals.values())
        with closing(Journal(home / "journal.sqlite")) as journal:
            lost = sum(not journal.find([bytes.fromhex(key)]) for key in arrivals)
        tables = read_tables(home, NAME)
        differ = [name for name in whole if tables[name] != whole[name]]
        harms = {
            f"exit statuses {statuses}": any(statuses),
            f"steps differ: {', '.join(differ)}": bool(differ),
            f"{lost} replies lost": lost > 0,
            f"a reply was paid for {most} times": most > processes,
        }
        outcome.check("; ".join(harm for harm, happened in harms.items() if happened))
    outcome.note = f"a reply was paid for {most} times at most"
    return outcome
