"""Pools to choose from, and what became of their rows."""

import json

import polars as pl

WORDS = ["amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "juniper", "kelp", "lagoon", "meadow"]


def talk(number, answer=None, **more):
    words = [WORDS[(number * step + step) % len(WORDS)] for step in range(1, 13)]
    answer = answer or f"{number} " + " ".join(words)
    turns = [{"from": "human", "value": f"Question {number}"}, {"from": "gpt", "value": answer}]
    return {"id": f"r{number}", "conversations": turns, "score": number, **more}


def verdicts(file):
    return {row["id"]: row for row in pl.read_parquet(file).to_dicts()}


def ten_rows(folder):
    """A file of ten: r3 is said again by r6 but for its case, r4 but for a word by r7; a line is broken; r2 has no score."""
    rows = [talk(number, lang="en" if number % 2 else "de") for number in range(10)]
    rows[6]["conversations"] = [{**turn, "value": turn["value"].upper()} for turn in rows[3]["conversations"]]
    question, answer = rows[4]["conversations"]
    rows[7]["conversations"] = [question, {**answer, "value": answer["value"] + " indeed"}]
    rows[2]["score"] = None
    lines = [json.dumps(row) for row in rows]
    path = folder / "pool.jsonl"
    path.write_text("\n".join([*lines[:5], "{broken", *lines[5:]]) + "\n")
    return path
