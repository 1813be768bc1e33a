"""The estimates of `attar plan` compared with what the run then used: calls and tokens of each step that calls a model.

    python bench/plan_accuracy.py RUN.yaml     (as long as the run: five minutes for examples/pocket.yaml)

Prints each step and the largest error. Plan and run have a home each: in one home the run would not repeat the plan's calls.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from attar.runtime.home import Home, read_card, run_record

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
    worst = 0.0
    for step in run_record(home, file.stem)["steps"]:
        actual, estimate = read_card(home.steps / step["folder"]), planned[step["name"]]
        if not actual or not step["engine"] or not actual["asked"] + actual["recalled"]:
            continue
        spent = actual["spent"]
        used = {"calls": actual["asked"] + actual["recalled"]} | {name: spent[name] for name in ("tokens_in", "tokens_out")}
        errors = {}
        for name, amount in used.items():
            if amount:
                errors[name] = float("nan") if estimate[name] is None else estimate[name] / amount - 1
        worst = max([worst, *map(abs, errors.values())])
        line = "  ".join(f"{name} {estimate[name]} for {used[name]} ({error:+.1%})" for name, error in errors.items())
        print(f"{step['name']:16} {line}")
    print(f"largest error: {worst:.1%}")


if __name__ == "__main__":
    main()
