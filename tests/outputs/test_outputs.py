"""Plan, report, dataset and export know a stage by its marks: one of a user's own is treated like ours."""

from pathlib import Path

import pytest

from attar.api.run import start
from attar.outputs.dataset.lineage import finished_record
from attar.outputs.dataset.write import has_data
from attar.outputs.export.trainings import find_trainings
from attar.outputs.report import lineage
from attar.outputs.report.examples import examples
from attar.outputs.report.losses import losses
from attar.outputs.report.round_costs import costs_by_round
from attar.runtime.home import Home, read_card
from attar.runtime.plan import plan
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file

MINE = """
from pathlib import Path

import polars as pl

from attar.core.stage import as_many_as, role, rowwise, trains
from attar.core.table import verdicts
from attar.engines.base import Request, Spec, in_order
from attar.runtime.flow import recipe


def words(*, count):
    ids = [f"w{i}" for i in range(count)]
    talks = [[{"role": "user", "content": f"say {i}"}] for i in range(count)]
    return pl.DataFrame({"id": ids, "messages": talks, "prompt": [f"say {i}" for i in range(count)]})


@role("answers")
@rowwise
def speak(table, *, engine):
    replies = in_order(engine.generate(Request(i, text=text) for i, text in enumerate(table["prompt"])), len(table))
    talks = [[*talk, {"role": "assistant", "content": reply.text}] for talk, reply in zip(table["messages"], replies)]
    return table.with_columns(messages=pl.Series(talks), response=pl.Series([reply.text for reply in replies]))


@role("scores")
def weigh(table):
    return table.with_columns(weight=pl.col("response").str.len_chars().cast(pl.Float64))


@role("ranking")
def heaviest(table, *, by, keep):
    order = table.sort(by, descending=True)["id"].to_list()[:keep]
    kept = [name in order for name in table["id"]]
    return verdicts(table["id"].to_list(), kept, ["too light"] * len(table), [None] * len(table))


@role("kept")
def those(table, said):
    return table.filter(said["kept"])


@as_many_as(1)
def as_many(table, other):
    kept = [i < len(other) for i in range(len(table))]
    return verdicts(table["id"].to_list(), kept, ["not drawn"] * len(table), [None] * len(table))


@trains(on="answers")
def teach(table, *, engine, into: Path, epochs=2):
    into.mkdir(parents=True)
    (into / "config.json").write_text("{}")
    return pl.DataFrame({"id": ["1", "2"], "step": [1, 2], "loss": [2.0, 1.0]})


@role("exam")
def judged(table):
    return table.with_columns(correct=True)


@recipe()
def mine(flow, *, teacher: Spec, base: Spec, count: int = 12):
    said = flow(speak, flow(words, count=count), engine=teacher, name="round-1-speak")
    scored = flow(weigh, said, name="round-1-weigh")
    best = flow(those, scored, flow(heaviest, scored, by="weight", keep=5))
    some = flow(those, scored, flow(as_many, scored, best), name="some")
    taught = flow(teach, best, engine=base, name="round-1-teach")
    return {"chosen": best, "some": some, "model": taught, "exam": flow(judged, said)}
"""
RUN = """
recipe: mine.py
engines: {teacher: {kind: fake, model: t}, base: {kind: local, model: "pocket:base"}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("marks")
    (place / "mine.py").write_text(MINE)
    (place / "try.yaml").write_text(RUN)
    home = Home(place / "home")
    return place, home, start(read_run_file(place / "try.yaml"), home, Quiet())


def test_its_exam_is_no_data_and_its_answers_are(run):
    _, home, record = run
    assert has_data(home, finished_record(home, "try"))
    assert {path.name for path in (Path(record["dataset"]) / "data").iterdir()} == {"chosen", "some"}


def test_a_round_counts_its_answers_its_scores_and_its_training(run):
    _, home, _ = run
    record = finished_record(home, "try")
    cards = {step["name"]: read_card(home.steps / step["folder"]) for step in record["steps"]}
    (first,) = costs_by_round(record["steps"], cards)
    assert (first.answers, first.tokens) == (12, cards["round-1-speak"]["spent"]["tokens_out"])
    assert first.training == cards["round-1-teach"]["seconds"]


def test_its_verdicts_and_its_order_are_found_and_its_training_has_a_curve(run):
    _, home, record = run
    steps = lineage.finished_steps(home, finished_record(home, "try"))
    line = lineage.build_lineage(steps, Path(record["results"]["chosen"]).name)
    (dropped,) = [step for judged in line.verdicts.values() for step in judged]
    assert dropped.name == "heaviest"
    assert {each.by for each in examples(line)} == {"weight"}
    assert [found.title for found in losses(steps.values())] == ["Students, trained on answers"]


def test_its_training_is_handed_to_other_trainers(run):
    _, home, _ = run
    (found,) = find_trainings(home, "try", None)
    assert found.rows.name.startswith("attar_recipe_mine.those") or found.rows.is_dir()
    assert found.settings.epochs == 2


def test_a_plan_expects_as_many_rows_as_the_input_that_is_named(run):
    place, _, _ = run
    estimates = {each.step.name: each for each in plan(read_run_file(place / "try.yaml").trace(), Home(place / "other"))}
    assert estimates["those"].rows == estimates["some"].rows == 5
