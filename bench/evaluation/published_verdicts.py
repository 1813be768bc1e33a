"""Do our checks say what the published ones say? GSM8K's example solutions and IFEval's scored responses, flag by flag.

    python bench/checks.py numbers TEST.jsonl EXAMPLE_MODEL_SOLUTIONS.jsonl          (openai/grade-school-math)
    python bench/checks.py constraints INPUT.jsonl RESULTS_STRICT.jsonl RESULTS_LOOSE.jsonl   (instruction_following_eval)

The files are the published ones, wherever you have them; what differs is printed.
"""

import json
import sys
from pathlib import Path

import polars as pl

from attar.stages.evaluate import questions
from attar.stages.evaluate.benchmarks import constraints, numbers


def lines(path: str) -> list[dict]:
    """The rows of a file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def solved(test: str, solutions: str) -> None:
    """Every solution's `is_correct` against ours."""
    asked, same, total = questions.questions(source=test), 0, 0
    found = lines(solutions)
    for model in (name for name, value in found[0].items() if isinstance(value, dict)):
        responses = pl.Series("response", [row[model]["solution"] for row in found])
        ours = numbers.check(asked.with_columns(responses))["correct"].to_list()
        theirs = [row[model]["is_correct"] for row in found]
        same += sum(one == other for one, other in zip(ours, theirs, strict=True))
        total += len(ours)
    print(f"{same:,} of {total:,} solutions are judged alike")


def followed(asked: str, strict: str, loose: str) -> None:
    """Every constraint of every response."""
    table = constraints.questions(source=asked)
    for path, column in ((strict, "followed"), (loose, "followed_loose")):
        theirs = {row["prompt"]: row for row in lines(path)}
        responses = pl.Series("response", [theirs[prompt]["response"] for prompt in table["prompt"]])
        ours = constraints.check(table.with_columns(responses))
        same = total = 0
        for row in ours.to_dicts():
            pairs = zip(
                row[column], theirs[row["prompt"]]["follow_instruction_list"], json.loads(row["constraints"]), strict=True
            )
            for mine, yours, demand in pairs:
                total += 1
                same += mine == yours
                if mine != yours:
                    print(f"  {demand}: ours {mine}, theirs {yours}, {row['response'][:60]!r}")
        print(f"{column}: {same:,} of {total:,} constraints are judged alike")


if __name__ == "__main__":
    {"numbers": solved, "constraints": followed}[sys.argv[1]](*sys.argv[2:])
