"""A card says whose texts the rows are, by the lineage: people's, a model's, or both."""

import json

import pytest
import yaml

from attar.api.run import start
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file

RECIPE = """
from attar.data import sources
from attar.engines.base import Request, Spec, in_order
from attar.runtime.flow import recipe
from attar.stages import pool
from attar.stages.annotate import lengths
from attar.stages.select import keep, rank
from attar.stages.synth import respond, turns
import polars as pl


@recipe()
def people(flow, *, source: str):
    rows = flow(lengths.measure, flow(pool.read, **sources.pin_source(source)))
    return {"sft": flow(keep.rows, rows, flow(rank.top, rows, by="response_chars", keep=2))}


@recipe()
def both(flow, *, source: str, teacher: Spec):
    asked = flow(turns.reopen, flow(pool.read, **sources.pin_source(source)))
    return {"sft": flow(respond.sample, asked, engine=teacher)}


def echoed(table, *, engine):
    replies = in_order(engine.generate(Request(i, text=text) for i, text in enumerate(table["prompt"])), len(table))
    talks = [[{"role": "user", "content": "say"}, {"role": "assistant", "content": reply.text}] for reply in replies]
    return pl.DataFrame({"id": table["id"], "messages": talks, "response": [reply.text for reply in replies]})


def words(*, count):
    return pl.DataFrame({"id": [f"w{i}" for i in range(count)], "prompt": [f"say {i}" for i in range(count)]})


@recipe()
def own_stage(flow, *, teacher: Spec):
    return {"sft": flow(echoed, flow(words, count=4), engine=teacher)}
"""
TALKS = [
    [{"role": "user", "content": f"Say {word}."}, {"role": "assistant", "content": word * 3}]
    for word in ("amber", "basil", "cedar", "delta")
]
TEACHER = "engines: {teacher: {kind: fake, model: t}}\n"


@pytest.fixture
def card(tmp_path):
    """The header and the text of the card that a recipe's run gets."""

    def make(recipe, text):
        (tmp_path / "mine.py").write_text(RECIPE)
        (tmp_path / "talks.jsonl").write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in TALKS))
        (tmp_path / "try.yaml").write_text(f"recipe: mine.py:{recipe}\n{text}")
        home = Home(tmp_path / "home")
        start(read_run_file(tmp_path / "try.yaml"), home, Quiet())
        _, header, body = (write_dataset(home, "try", tmp_path / "out") / "README.md").read_text().split("---\n", 2)
        return yaml.safe_load(header), " ".join(body.split())

    return make


def test_a_set_chosen_from_peoples_data_is_not_called_synthetic(card, tmp_path):
    header, text = card("people", f"knobs: {{source: {tmp_path / 'talks.jsonl'}}}\n")
    assert header["tags"] == ["attar"]
    assert "2 rows, read from a pool (step `read`), as they were there, and chosen with Attar" in text
    assert "No model of this run wrote any of the texts" in text
    assert "The texts keep the licence of their source" in text
    assert "ynthetic" not in text
    assert "written by models" not in text


def test_peoples_prompts_with_a_models_answers_are_distinguished_by_their_steps(card, tmp_path):
    header, text = card("both", f"{TEACHER}knobs: {{source: {tmp_path / 'talks.jsonl'}}}\n")
    assert header["tags"] == ["synthetic", "attar"]
    assert "4 rows, read from a pool (step `read`), with texts written by models (step `sample`), chosen with Attar" in text
    assert "Some texts were written by models, the others come from the pool." in text
    assert "Models of this set: `t`" in text


def test_texts_that_an_unmarked_stage_of_ones_own_had_a_model_write_are_a_models(card):
    header, text = card("own_stage", TEACHER)
    assert header["tags"] == ["synthetic", "attar"]
    assert "4 rows, written and chosen by models with Attar" in text
    assert "All texts were written by models." in text
