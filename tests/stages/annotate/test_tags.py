import json

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.annotate import tags
from attar.stages.annotate.judge_prompts import CATEGORIES, DIFFICULTIES, FORMS, QUALITIES

GOOD = {
    "intent": "To know {why}.",
    "knowledge": "physics",
    "difficulty": "hard",
    "remarks": "Clear. {}",
    "quality": "good",
    "category": "reasoning",
    "other_categories": ["math", "coding & debugging", "coding and debugging"],
    "language": "en",
}
ROWS = pl.DataFrame({"id": ["a", "b"], "prompt": ["Why is the sky blue?", None]})


def assessed(*replies, rows=ROWS):
    said = iter(replies)
    engine = Scripted(lambda _: next(said))
    return tags.assess(rows, engine=engine), engine


def test_every_field_of_the_form_becomes_a_column():
    out, _ = assessed(json.dumps(GOOD))
    row = out.to_dicts()[0]
    assert {name: row[name] for name in ("difficulty", "quality", "category", "language")} == {
        "difficulty": "hard",
        "quality": "good",
        "category": "reasoning",
        "language": "en",
    }
    assert row["intent"] == "To know {why}."
    assert row["other_categories"] == ["math", "coding and debugging"]
    assert out["tags_error"].to_list() == [None, "no prompt"]


def test_a_reply_with_braces_in_its_texts_is_read_to_its_end():
    out, _ = assessed("Here you are:\n```json\n" + json.dumps(GOOD, indent=1) + "\n```")
    assert out["quality"][0] == "good"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"difficulty": "impossible"}, "difficulty: names no option"),
        ({"quality": None}, "quality: missing"),
        ({"other_categories": "math"}, "other_categories: no list"),
    ],
)
def test_a_value_that_may_not_be_is_asked_for_once_more_and_then_null_with_its_reason(change, told):
    bad = json.dumps({**GOOD, **change})
    out, engine = assessed(bad, bad)
    assert out["tags_error"][0] == told
    assert out["difficulty"][0] is None
    assert [request.sampling.temperature for request in engine.asked] == [0.0, 0.7]
    mended, _ = assessed(bad, json.dumps(GOOD))
    assert mended["tags_error"][0] is None
    assert mended["difficulty"][0] == "hard"


def test_the_words_that_are_asked_for_are_the_words_that_are_taken():
    form = FORMS["instruction"]
    for values in (DIFFICULTIES, QUALITIES, CATEGORIES):
        assert ", ".join(values) in form.system
    assert list(form.schema["properties"]) == list(form.fields)
    assert form.schema["properties"]["difficulty"]["enum"] == list(DIFFICULTIES)
    assert all(f'"{name}"' in form.system for name in form.fields)


def test_the_prompt_goes_into_the_question_whole_and_the_schema_with_it():
    rows = pl.DataFrame({"id": ["a"], "prompt": ["Use {prompt} and {x}"]})
    _, engine = assessed(json.dumps(GOOD), rows=rows)
    assert engine.asked[0].messages[1]["content"].count("Use {prompt} and {x}") == 1
    assert engine.asked[0].sampling.schema == FORMS["instruction"].schema


def test_a_misspelt_form_is_named():
    with pytest.raises(RecipeError, match=r"unknown form 'instructions'; did you mean 'instruction'"):
        tags.assess(ROWS, engine=Scripted(str), form="instructions")


def test_the_pocket_teacher_fills_in_its_own_form():
    from attar.stages.evaluate.benchmarks import pocket_exam

    exam = pocket_exam.tasks(count=90, seed=5)
    teacher = Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))
    out = tags.assess(exam, engine=teacher, form="pocket", max_tokens=60)
    assert out["tags_error"].null_count() >= 88  # 2% at most are not read
    assert (out["difficulty"] == out["level"]).mean() >= 0.85


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
