"""What is drawn by lot, pinned: the same seed draws the same rows in every version, wherever the code is."""

import ast
from pathlib import Path

import polars as pl

from attar.stages.select import best_of_n, budget, cluster, length_matched, rank
from attar.stages.synth import fewshot

SRC = Path(__file__).parents[2] / "src" / "attar"
KEYS = """
    arena_hard.ask budget.chance cluster.centres cluster.group cluster.pick compare.examples constraint_tasks
    controls controls.another dataset.root dataset.split distil.labels duel.ask evolve.*s expert.ask
    expert.facets few.of_each fewshot.ask fewshot.draws grade.ask incontext.answer magpie.ask matched.draw
    pair.choose personas personas.relation personas.sample rank.chance ranking.score respond.sample
    synth.first tags.assess turns.extend
"""
IDS = [f"r{i}" for i in range(12)]


def kept(verdicts):
    return verdicts.filter("kept")["id"].to_list()


def key_of(node):
    """The string that a call draws by; a part that is filled in is a star."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
    return node.value if isinstance(node, ast.Constant) else None


def test_the_keys_of_randomness_are_those_of_the_first_version():
    calls = [
        node
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("seed_of", "lots")
    ]
    keys = {key_of(call.args[0 if call.func.id == "seed_of" else 1]) for call in calls}
    assert keys - {None} == set(KEYS.split())


def test_rows_drawn_by_lot_are_those_of_the_first_version():
    table = pl.DataFrame({"id": IDS, "response": ["x" * (i + 1) for i in range(12)], "n": [1.0] * 12})
    assert kept(rank.chance(table, keep=3, seed=7)) == ["r0", "r6", "r7"]
    assert kept(budget.chance(table, tokens=20, cost="length(response)", seed=7)) == ["r1", "r7", "r9"]
    assert kept(cluster.pick(table.with_columns(cluster=pl.int_range(12) % 4), keep=3, seed=7)) == ["r2", "r3", "r5"]
    assert kept(length_matched.draw(table, table.head(2), by="n", seed=7)) == ["r1", "r8"]


def test_the_answers_beside_the_best_are_those_of_the_first_version():
    table = pl.DataFrame({"id": IDS, "parent": ["p0", "p1"] * 6, "score": [float(i * 7 % 12) for i in range(12)]})
    assert best_of_n.of_each([table], by="score", others=2, seed=7)["id"].to_list() == ["r10", "r2", "r8", "r1", "r11", "r5"]


def test_the_seeds_that_a_prompt_shows_are_those_of_the_first_version():
    seeds = pl.DataFrame({"id": IDS, "prompt": [f"Say {i}." for i in range(12)]})
    assert fewshot.draws(seeds, count=2, shots=(2, 3), seed=7)["shots"].to_list() == [["r8", "r6"], ["r7", "r4", "r2"]]
