"""Whole runs with a teacher that thinks: no thought in a prompt, an answer, a tag or a score."""

import json

import polars as pl
import pytest
from aiohttp import web
from servers_for_tests import Served
from thinker_for_tests import OPENING, THOUGHT, thinker

from attar.chat.templates import prefix
from attar.core.table import read
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.local.engine import Local
from attar.engines.registry import open_engine
from attar.runtime.run_file import read_run_file
from attar.stages.synth import pocket_data

MAGPIE = """
recipe: magpie
engines:
  teacher: {{kind: local, model: "{model}", threads: 1{options}}}
  rewarder: {{kind: local, model: "pocket:rewarder", threads: 1}}
knobs: {{count: 60, size: 20, prompt_tokens: 80, answer_tokens: 60, form: pocket, rule: length(prompt) > 0, by: reward}}
run: {{max_failures: 0.9}}
"""
SPOKEN = ["messages", "prompt", "response"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("thinkers")
    return {"model": thinker(place / "own"), "prompt": thinker(place / "opening", OPENING)}


def spoken(table):
    """All that is trained on, as one text."""
    return json.dumps(table.select(name for name in SPOKEN if name in table.columns).to_dicts())


def answers(folder, tmp_path, **options):
    rows = pocket_data.questions(count=24, seed=99)
    journal = Journal(tmp_path / "journal.sqlite")
    engine = Journaled(open_engine(Spec("local", str(folder), {"threads": 1, **options})), journal)
    sampling = Sampling(max_tokens=60)
    asks = (
        Request(i, messages=({"role": "user", "content": text},), sampling=sampling) for i, text in enumerate(rows["prompt"])
    )
    replies = in_order(engine.generate(asks), len(rows))
    journal.close()
    return replies


@pytest.mark.parametrize("opened_by", ["model", "prompt"])
def test_in_process_each_answer_is_without_its_thought_whoever_opens_it(models, tmp_path, opened_by):
    for replies in (answers(models[opened_by], tmp_path) for _ in range(2)):  # from the model, then from the journal
        whole = [reply for reply in replies if reply.error is None]
        assert len(whole) >= 20
        assert sum(reply.reasoning == THOUGHT for reply in whole) >= 20  # a few answer at once
        assert not any("think" in reply.text or THOUGHT in reply.text for reply in whole)
        assert {reply.error for reply in replies} <= {None, "thought cut off", "thought not closed"}


@pytest.mark.parametrize("opened_by", ["model", "prompt"])
def test_in_process_with_thinking_off_there_is_none(models, tmp_path, opened_by):
    replies = answers(models[opened_by], tmp_path, thinking=False)
    assert not any(reply.error or "think" in reply.text or THOUGHT in reply.text for reply in replies)
    assert sum(reply.reasoning is None for reply in replies) >= 20


@pytest.mark.parametrize("opened_by", ["model", "prompt"])
def test_a_thought_longer_than_its_budget_is_a_failure_and_no_answer(models, tmp_path, opened_by):
    replies = answers(models[opened_by], tmp_path, thinking_tokens=3)
    begun = [reply for reply in replies if reply.error or reply.reasoning]
    assert len(begun) >= 20
    assert {(reply.text, reply.error) for reply in begun} == {(None, "thought cut off")}


@pytest.mark.parametrize("opened_by", ["model", "prompt"])
def test_labels_are_weighed_where_the_answer_starts(models, opened_by):
    """The mass of the words with which the pocket world's answers begin is most of it, and none after an open thought."""
    engine = Local(Spec("local", str(models[opened_by]), {"threads": 1}))
    talk = ({"role": "user", "content": "Give me the maximum of 32 15 63."},)
    [reply] = engine.weigh([Request(0, messages=talk, labels=("The", "zoo"))])
    the, zoo = reply.weights
    assert the > -0.7
    assert zoo < -1.2


def test_the_prefix_of_a_users_turn_has_no_thought_in_it(models):
    for folder in models.values():
        assert prefix(Local(Spec("local", str(folder))).template).text == "<|im_start|>user\n"


@pytest.mark.parametrize("options", ["", ", thinking: off"])
def test_magpie_by_a_model_that_thinks_keeps_no_thought(models, run_file, do_file, options):
    results = do_file(run_file(MAGPIE.format(model=models["prompt"], options=options)))
    table = read(results["sft"])
    assert len(table) == 20
    assert "think" not in spoken(table)
    assert THOUGHT not in spoken(table)
    assert set(table["reasoning"].drop_nulls()) == ({THOUGHT} if not options else set())


def test_magpie_over_a_server_keeps_no_thought_in_prompts_answers_or_tags(run_file, home, do_file):
    """The server thinks before every answer; with braces in the thought, which a reader of JSON must not take for the tags."""
    thought = '{"difficulty": "very hard"} is my first idea.'

    async def speak(asked):
        text = "What is the tallest tree number " + str(len(server.posted)) + "?"
        if "messages" in asked:
            answer = "It is a redwood."
            if "difficulty" in json.dumps(asked["messages"]):
                answer = json.dumps(TAGS)
            text = f"{thought}\n</think>\n\n{answer}"
        choice = {"index": 0, "finish_reason": "stop", "text": text, "message": {"content": text}}
        return web.json_response({"choices": [choice], "usage": {}})

    server = Served(speak)
    engine = f"{{kind: http, url: '{server.url}', model: m, tokenizer: 'pocket:teacher'}}"
    text = MAGPIE.replace("rule: length(prompt) > 0, by: reward", "rule: \"difficulty = 'easy'\"").replace("form: pocket, ", "")
    text = text.format(model="m", options="").splitlines()
    text[3] = f"  teacher: {engine}"
    file = run_file("\n".join(text))
    table = read(do_file(file)["sft"])
    tags = read(home.folder(next(step for step in read_run_file(file).trace().steps if step.name == "tags")))
    assert tags["difficulty"].drop_nulls().unique().to_list() == ["easy"]
    assert thought not in spoken(table)
    assert table["response"].unique().to_list() == ["It is a redwood."]
    assert table.filter(pl.col("prompt").str.contains("idea")).is_empty()
    server.stop()


TAGS = {
    "intent": "to know",
    "knowledge": "trees",
    "difficulty": "easy",
    "quality": "good",
    "remarks": "clear",
    "category": "information seeking",
    "other_categories": [],
    "language": "en",
}
