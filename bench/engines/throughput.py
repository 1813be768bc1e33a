"""Requests a second of Attar's driver, of a bare aiohttp loop (the limit here) and of the peers, in turn, on one machine.

    sh bench/engines/peers.sh && python bench/engines/throughput.py [ROUNDS] [NAME ...]     (five rounds: twelve minutes)

All call the same stub server, which answers after 50 ms. Each round runs every one of them; the medians are compared. The last
lines are the driver's memory after 10,000 requests and after 200,000, no answer kept.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measure import run_script  # noqa: E402 (bench/measure.py)

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
RUNNERS = {
    "bare aiohttp": (PEERS / "bare/bin/python", "peer_bare_aiohttp.py", 60_000, ["512"]),
    "attar, journal off": (sys.executable, "peer_attar.py", 60_000, []),
    "attar, journal on": (sys.executable, "peer_attar.py", 60_000, ["--journal"]),
    "openai, aiohttp transport": (PEERS / "openai/bin/python", "peer_openai.py", 4_000, ["128", "--aiohttp"]),
    "openai": (PEERS / "openai/bin/python", "peer_openai.py", 2_000, ["32"]),
    "curator": (PEERS / "curator/bin/python", "peer_curator.py", 4_000, []),
    "distilabel": (PEERS / "distilabel/bin/python", "peer_distilabel.py", 4_000, []),
}


def run_peer(url: str, python: object, script: str, count: int, options: list[str]) -> dict:
    """The JSON line of one run."""
    return run_script(python, HERE / script, url, count, *options, timeout=300)


def main() -> None:
    """Rounds, medians, memory."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chosen = {name: RUNNERS[name] for name in sys.argv[2:]} or RUNNERS
    stub = subprocess.Popen([sys.executable, str(HERE / "stub_server.py")], stdout=subprocess.PIPE, text=True)
    assert stub.stdout
    url = f"http://127.0.0.1:{int(stub.stdout.readline())}"
    try:
        compare(url, rounds, chosen)
        compare_memory(url)
    finally:
        stub.kill()


def compare(url: str, rounds: int, chosen: dict[str, tuple]) -> None:
    """Print a line for each of the chosen."""
    lines: dict[str, list[dict]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, runner in chosen.items():
            lines[name].append(run_peer(url, *runner))
    limit = median(line["per_second"] for line in lines.get("bare aiohttp", [{"per_second": 0}]))
    print(f"{'':<26} {'requests/s':>10} {'of bare':>8} {'least':>8} {'most':>8} {'CPU us each':>12} {'peak MB':>8}")
    for name, measured in lines.items():
        rates = [line["per_second"] for line in measured]
        cpu, memory = median(line["cpu_us_per_request"] for line in measured), max(line["peak_rss_mb"] for line in measured)
        share = median(rates) / limit if limit else 0
        ends = f"{min(rates):>8,.0f} {max(rates):>8,.0f}"
        print(f"{name:<26} {median(rates):>10,.0f} {share:>8.2f} {ends} {cpu:>12,.0f} {memory:>8,.0f}")


def compare_memory(url: str) -> None:
    """Print the memory of Attar's driver after few requests and after many."""
    for journal in ([], ["--journal"]):
        flat = ["--flat", *journal]
        small, large = (run_peer(url, sys.executable, "peer_attar.py", n, flat)["peak_rss_mb"] for n in (10_000, 200_000))
        what = "memory with the journal" if journal else "memory"
        print(f"{what}: {small:.0f} MB after 10,000 requests, {large:.0f} MB after 200,000")


if __name__ == "__main__":
    main()
