"""Requests a second of Attar's driver, of a bare aiohttp loop (the limit here) and of the peers, in turn, on one machine.

sh bench/engines/peers.sh && python bench/engines/throughput.py [ROUNDS] [NAME ...]     (five rounds: twelve minutes)

All ask the same stub, which answers after 50 ms; each round runs every one of them, and the medians are compared. Last, memory:
ten thousand requests against two hundred thousand, none of the answers kept.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
RUNNERS = {
    "bare aiohttp": (PEERS / "bare/bin/python", "peer_bare.py", 60_000, ["512"]),
    "attar, journal off": (sys.executable, "peer_attar.py", 60_000, []),
    "attar, journal on": (sys.executable, "peer_attar.py", 60_000, ["--journal"]),
    "openai, aiohttp transport": (PEERS / "openai/bin/python", "peer_openai.py", 4_000, ["128", "--aiohttp"]),
    "openai": (PEERS / "openai/bin/python", "peer_openai.py", 2_000, ["32"]),
    "curator": (PEERS / "curator/bin/python", "peer_curator.py", 4_000, []),
    "distilabel": (PEERS / "distilabel/bin/python", "peer_distilabel.py", 4_000, []),
}


def run(url: str, python: object, script: str, count: int, options: list[str]) -> dict:
    """One run's figures."""
    command = [str(python), str(HERE / script), url, str(count), *options]
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=300, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def main() -> None:
    """Rounds, medians, memory."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    wanted = {name: RUNNERS[name] for name in sys.argv[2:]} or RUNNERS
    stub = subprocess.Popen([sys.executable, str(HERE / "stub.py")], stdout=subprocess.PIPE, text=True)
    assert stub.stdout
    url = f"http://127.0.0.1:{int(stub.stdout.readline())}"
    found: dict[str, list[dict]] = {name: [] for name in wanted}
    for _ in range(rounds):
        for name, how in wanted.items():
            found[name].append(run(url, *how))
    limit = median(one["per_second"] for one in found.get("bare aiohttp", [{"per_second": 0}]))
    print(f"{'':<26} {'requests/s':>10} {'of bare':>8} {'least':>8} {'most':>8} {'CPU us each':>12} {'peak MB':>8}")
    for name, ones in found.items():
        rates = [one["per_second"] for one in ones]
        cpu, memory = median(one["cpu_us_per_request"] for one in ones), max(one["peak_rss_mb"] for one in ones)
        share = median(rates) / limit if limit else 0
        spread = f"{min(rates):>8,.0f} {max(rates):>8,.0f}"
        print(f"{name:<26} {median(rates):>10,.0f} {share:>8.2f} {spread} {cpu:>12,.0f} {memory:>8,.0f}")
    for journal in ([], ["--journal"]):
        flat = ["--flat", *journal]
        small, large = (run(url, sys.executable, "peer_attar.py", n, flat)["peak_rss_mb"] for n in (10_000, 200_000))
        what = "memory with the journal" if journal else "memory"
        print(f"{what}: {small:.0f} MB after 10,000 requests, {large:.0f} MB after 200,000")
    stub.kill()


if __name__ == "__main__":
    main()
