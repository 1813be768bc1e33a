"""What went wrong in earlier code for these methods, each shown absent."""

import json

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.annotate import tags
from attar.stages.synth import magpie, respond

LONG = "Two things:\n\n1. What does an assistant user do?\n2. Why? And how?\n\n```c\nif (x) { y(); }\n```\nassistant: go on"


def asked(text, finish="stop"):
    engine = Scripted(lambda _: text if finish == "stop" else f"{text} ...")
    return magpie.ask(magpie.draws(count=1), engine=engine), engine


def test_an_instruction_of_many_lines_with_questions_code_and_the_word_assistant_is_kept_whole():
    out, _ = asked(LONG)
    assert out["prompt"].to_list() == [LONG]


def test_neither_a_line_break_nor_the_word_assistant_is_a_stop():
    _, engine = asked("x")
    stops = engine.asked[0].sampling.stop
    assert "<|im_end|>" in stops
    assert all(stop.strip() and stop not in LONG for stop in stops)


def test_a_truncated_instruction_is_not_taken_for_a_whole_one():
    out, _ = asked("Write a story about", finish="length")
    assert out["prompt"].to_list() == [None]
    assert out["prompt_error"].to_list() == ["cut off"]


def test_a_truncated_answer_is_not_taken_for_a_whole_one():
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([[{"role": "user", "content": "Q"}]], dtype=COLUMNS["messages"])})
    out = respond.sample(rows, engine=Scripted(lambda _: "It begins ..."))
    assert out["response"].to_list() == [None]


def test_five_answers_are_five_draws():
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([[{"role": "user", "content": "Q"}]], dtype=COLUMNS["messages"])})
    engine = Scripted(lambda request: f"drawn by {request.seed}")
    out = respond.sample(rows, engine=engine, n=5, temperature=0.8)
    assert out["response"].n_unique() == 5
    assert out["parent"].to_list() == ["a"] * 5


def test_a_tag_reply_is_not_cut_at_its_first_brace():
    told = {
        "intent": "To read {name} in a template: {x: {y}}.",
        "knowledge": "jinja",
        "difficulty": "easy",
        "remarks": "fine",
        "quality": "good",
        "category": "coding and debugging",
        "other_categories": [],
        "language": "en",
    }
    rows = pl.DataFrame({"id": ["a"], "prompt": ["What is {name}?"]})
    out = tags.assess(rows, engine=Scripted(lambda _: json.dumps(told)))
    assert out["intent"].to_list() == [told["intent"]]
    assert out["tags_error"].to_list() == [None]


@pytest.mark.parametrize("text", ["<s>[INST] ", "[INST] "])
def test_a_prefix_is_tokenised_with_exactly_one_bos_whether_its_template_writes_it_or_not(text):
    from tokenizers import AddedToken

    engine = Local(Spec("local", "pocket:teacher"))
    engine.tokenizer.add_special_tokens({"bos_token": AddedToken("<s>", special=True)})
    bos = engine.tokenizer.bos_token_id
    plain = engine.tokenizer.encode
    engine.tokenizer.encode = lambda text, add_special_tokens=True: (  # as tokenizers do that write one
        [bos] * add_special_tokens + plain(text, add_special_tokens=False)
    )
    assert engine.tokens(text).count(bos) == 1
    assert engine.tokens(text)[0] == bos
