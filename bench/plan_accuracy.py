"""What `attar plan` said before a run against what the run then used: calls and tokens of each step that asks a model.

.venv/bin/python bench/plan.py examples/pocket.yaml      (prints each step, and the furthest off)

Plan and run have a home each: in one, the run would be spared what the probe has asked.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from attar.runtime.home import Home, card, run_record

ATTAR = Path(sys.executable).with_name("attar")


def attar(*words: object) -> str:
    return subprocess.run([ATTAR, *map(str, words)], check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Plan, run, compare."""
    file = Path(sys.argv[1])
    place = Path(tempfile.mkdtemp())
    home = Home(place / "run")
    planned = {line["step"]: line for line in json.loads(attar("plan", file, "--home", place / "plan", "--json"))}
    attar("run", file, "--home", home.root, "--quiet")
    furthest = 0.0
    for step in run_record(home, file.stem)["steps"]:
        found, said = card(home.steps / step["folder"]), planned[step["name"]]
        if not found or not step["engine"] or not found["asked"] + found["recalled"]:
            continue
        spent = found["spent"]
        used = {"calls": found["asked"] + found["recalled"], "tokens_in": spent["tokens_in"], "tokens_out": spent["tokens_out"]}
        off = {}
        for name, amount in used.items():
            if amount:
                off[name] = float("nan") if said[name] is None else said[name] / amount - 1
        furthest = max([furthest, *map(abs, off.values())])
        told = "  ".join(f"{name} {said[name]} for {used[name]} ({gap:+.1%})" for name, gap in off.items())
        print(f"{step['name']:16} {told}")
    print(f"furthest off: {furthest:.1%}")


if __name__ == "__main__":
    main()
