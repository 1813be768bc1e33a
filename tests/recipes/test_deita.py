from pathlib import Path

import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.core.table import read
from attar.pocket.speech import parse
from attar.pocket.tasks import held_out
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run

POCKET = """
recipe: deita
engines:
  base: {kind: local, model: "pocket:base", dtype: float64, threads: 1}
  rewarder: {kind: local, model: "pocket:rewarder", dtype: float64, threads: 1}
knobs:
  {pool: "pocket:200", labels: {complexity: "pocket:96", quality: "pocket:96"}, size: 40, rule: reward > 0,
   fit_scorer: {epochs: 6, lr: 0.004, batch: 16, max_length: 256}, preferences: "pocket:24",
   train: {epochs: 1, lr: 0.004, batch: 16, max_length: 256}, prefer: {lr: 0.0001, batch: 8, max_length: 256},
   arms: [random, longest, top], exam: pocket, exam_size: 45, answer_tokens: 60, against: []}
"""
MADE = """
recipe: deita
engines: {teacher: {kind: fake, model: t}, scorer_base: {kind: fake, model: b}}
knobs: {pool: POOL, evolution: {seeds: POOL, count: 10}}
"""


def traced(text: str, place: Path):
    (place / "deita.yaml").write_text(text)
    return read_run_file(place / "deita.yaml").trace()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("deita")
    home = Home(place / "home")
    return home, run(traced(POCKET, place), home, Quiet())


def table(home: Home, stage: str) -> pl.DataFrame:
    (folder,) = home.steps.glob(f"{stage}-*")
    return read(folder)


def test_the_rows_with_the_highest_product_are_chosen_but_for_those_that_another_crowds_out(whole):
    home, results = whole
    vectors, chosen = table(home, "embed.letters"), set(read(results["sft"])["id"])
    able = vectors.filter(pl.col("evol").is_not_null()).sort(["evol", "id"], descending=[True, False])
    kept: list[tuple[str, list[float]]] = []
    for name, vector in able.select("id", "embedding").iter_rows():
        if len(kept) < 40 and all(sum(a * b for a, b in zip(vector, other, strict=True)) <= 0.9 for _, other in kept):
            kept.append((name, vector))
    assert chosen == {name for name, _ in kept}


def test_no_row_is_chosen_for_which_the_rule_does_not_hold(whole):
    assert (read(whole[1]["sft"])["reward"] > 0).all()
    assert (table(whole[0], "reward.score")["reward"] <= 0).any()


def test_the_score_is_complexity_times_quality_of_scorers_that_were_trained(whole):
    told = table(whole[0], "scorer.evol").drop_nulls("evol")
    assert len(told) > 100
    assert (told["evol"] - told["complexity"] * told["quality"]).abs().max() < 1e-9
    assert told["complexity"].is_between(1, 6).all()
    assert told["complexity"].n_unique() > 50  # a mean of numbers, not one of them


def test_no_conversation_is_scored_twice_and_none_states_a_task_of_the_exam(whole):
    scored, pool = table(whole[0], "scorer.evol"), table(whole[0], "pocket_data.pool")
    assert 100 < len(scored) < len(pool) == 200  # a fifth of the pool is there twice
    assert scored["conversation"].n_unique() == len(scored)
    tasks = [parse(prompt) for prompt in scored["prompt"]]
    assert None not in tasks
    assert not any(held_out(task) for task in tasks)


def test_every_arm_has_as_many_rows_and_a_student_that_sat_the_exam(whole):
    home, results = whole
    arms = {"selected", "preferred", "random", "longest", "top", "none"}
    assert set(read(results["scores"])["arm"]) == arms
    kept = [read(folder) for folder in home.steps.glob("keep.rows-*")]
    arms = [rows for rows in kept if len(rows) == 40]
    assert len(arms) == 4
    longest = table(home, "lengths.measure").sort(["response_chars", "id"], descending=[True, False])["id"][:40]
    assert set(longest) in [set(rows["id"]) for rows in arms]


def test_labels_are_made_of_seeds_where_none_are_given(tmp_path):
    (tmp_path / "pool.jsonl").write_text('{"prompt": "Why?", "response": "So."}\n')
    names = [step.name for step in traced(MADE.replace("POOL", str(tmp_path / "pool.jsonl")), tmp_path).steps]
    for what in ("complexity", "quality"):
        assert [
            name for name in names if name in (f"evolve-{what}", f"rank-{what}", f"labels-{what}", f"scorer-{what}", what)
        ] == [
            f"evolve-{what}",
            f"rank-{what}",
            f"labels-{what}",
            f"scorer-{what}",
            what,
        ]


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ("knobs: {pool: 'pocket:9'}", "no scorer of complexity: name an engine for 'complexity', or labels"),
        ("knobs: {pool: 'pocket:9', labels: {complexity: 'pocket:some'}}", "'pocket:some': say how many rows"),
        (
            "knobs: {pool: 'pocket:9', labels: {complexity: 'pocket:9', quality: 'pocket:9'}}",
            "name an engine for 'scorer_base'",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(knobs, told, tmp_path):
    with pytest.raises(RecipeError, match=told):
        traced(f"recipe: deita\nengines: {{}}\n{knobs}\n", tmp_path)
