"""Our checks of numbers and constraints compared with published verdicts: GSM8K's example solutions, IFEval's scored responses.

    python bench/evaluation/published_verdicts.py numbers TEST.jsonl EXAMPLE_MODEL_SOLUTIONS.jsonl
    python bench/evaluation/published_verdicts.py constraints INPUT.jsonl RESULTS_STRICT.jsonl RESULTS_LOOSE.jsonl

The files are the published ones of openai/grade-school-math and of google-research's instruction_following_eval. It prints each
constraint that is judged differently.
"""

import json
import sys
from pathlib import Path

import polars as pl

from attar.stages.evaluate import questions
from attar.stages.evaluate.benchmarks import constraints, numbers


def read_lines(path: str) -> list[dict]:
    """The rows of a file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def compare_numbers(test: str, solutions: str) -> None:
    """Compare each solution's `is_correct` with ours."""
    table, same, total = questions.questions(source=test), 0, 0
    rows = read_lines(solutions)
    for model in (name for name, value in rows[0].items() if isinstance(value, dict)):
        responses = pl.Series("response", [row[model]["solution"] for row in rows])
        ours = numbers.check(table.with_columns(responses))["correct"].to_list()
        theirs = [row[model]["is_correct"] for row in rows]
        same += sum(one == other for one, other in zip(ours, theirs, strict=True))
        total += len(ours)
    print(f"{same:,} of {total:,} solutions are judged alike")


def compare_constraints(questions_file: str, strict: str, loose: str) -> None:
    """Compare each constraint of each response."""
    table = constraints.questions(source=questions_file)
    for path, column in ((strict, "followed"), (loose, "followed_loose")):
        theirs = {row["prompt"]: row for row in read_lines(path)}
        responses = pl.Series("response", [theirs[prompt]["response"] for prompt in table["prompt"]])
        ours = constraints.check(table.with_columns(responses))
        same = total = 0
        for row in ours.to_dicts():
            pairs = zip(
                row[column], theirs[row["prompt"]]["follow_instruction_list"], json.loads(row["constraints"]), strict=True
            )
            for our, their, constraint in pairs:
                total += 1
                same += our == their
                if our != their:
                    print(f"  {constraint}: ours {our}, theirs {their}, {row['response'][:60]!r}")
        print(f"{column}: {same:,} of {total:,} constraints are judged alike")


if __name__ == "__main__":
    {"numbers": compare_numbers, "constraints": compare_constraints}[sys.argv[1]](*sys.argv[2:])
