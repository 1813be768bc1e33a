import json

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.stages.evaluate import questions as exam
from attar.stages.evaluate import responses


def file(folder, *rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


MT = {"question_id": 111, "category": "math", "turns": ["1+1?", "And twice that?"], "reference": ["2", ""]}


def asked(*rows):
    return pl.DataFrame(
        [{"id": name, "question": name, "prompt": text, "messages": [user(text)]} for name, text in rows],
        schema={
            "id": pl.String,
            "question": pl.String,
            "prompt": pl.String,
            "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        },
    )


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Why?", "output": "So.", "generator": "m"},
        {"question_id": "q", "model_id": "m", "choices": [{"index": 0, "turns": ["So."]}]},
        {"question_id": "q", "model_id": "m", "choices": [{"index": 0, "turns": [{"content": "So.", "token_len": 2}]}]},
        {"uid": "q", "model": "m", "messages": [user("Why?"), {"role": "assistant", "content": {"answer": "So."}}]},
        {"session_id": "q", "generator": "m", "output": ["So."]},
        {"prompt": "Why?", "response": "So.", "model": "m"},
    ],
)
def test_each_published_shape_of_an_answer_finds_its_question_by_name_or_text(tmp_path, row):
    out = responses.read(asked(("q", "Why?"), ("z", "Who?")), source=file(tmp_path, row))
    assert out["response"].to_list() == ["So.", None]
    assert out["response_error"].to_list() == [None, "rows.jsonl has no answer to it"]
    assert out["model"].to_list() == ["m", "m"]


def test_answers_of_several_models_are_picked_from_and_never_mixed(tmp_path):
    source = file(tmp_path, {"uid": "q", "output": "A", "model": "one"}, {"uid": "q", "output": "B", "model": "two"})
    questions = asked(("q", "Why?"))
    assert responses.read(questions, source=source, model="two")["response"].to_list() == ["B"]
    with pytest.raises(DataError, match="answers of one, two: choose one"):
        responses.read(questions, source=source)
    with pytest.raises(DataError, match="no answers of 'three', but of one, two"):
        responses.read(questions, source=source, model="three")
    with pytest.raises(DataError, match="row 2: a second answer to 'q'"):
        responses.read(questions, source=file(tmp_path, *[{"uid": "q", "output": "A"}] * 2))
    with pytest.raises(DataError, match="answers none of the 1 questions"):
        responses.read(questions, source=file(tmp_path, {"uid": "other", "output": "A"}))


def test_answers_in_two_turns_are_two_rows_each_with_what_came_before_it(tmp_path):
    questions = exam.questions(source=file(tmp_path, MT, name="q.jsonl"))
    source = file(tmp_path, {"question_id": 111, "model_id": "m", "choices": [{"turns": ["Two.", "Four."]}]})
    one, two = responses.read(questions, source=source).to_dicts()
    assert (one["id"], one["turn"], one["response"], one["reference"]) == ("111", 1, "Two.", "2")
    assert (two["id"], two["turn"], two["response"], two["reference"]) == ("111/2", 2, "Four.", None)
    assert two["messages"] == [user("1+1?"), said("Two."), user("And twice that?")]
    assert two["question"] == "111"


def test_a_battle_has_both_answers_and_an_unanswered_side_is_an_error():
    one = asked(("q", "Why?")).with_columns(response=pl.lit("A"), model=pl.lit("m"))
    other = asked(("q", "Why?")).with_columns(response=pl.lit("B"))
    (battle,) = responses.battles(one, other, opponent="base").to_dicts()
    assert (battle["response"], battle["against"], battle["model"], battle["opponent"]) == ("A", "B", "m", "base")
    with pytest.raises(DataError, match="'q' has no answer in `against`"):
        responses.battles(one, other.clear())
    with pytest.raises(DataError, match="'q' has two answers"):
        responses.battles(one, pl.concat([other, other]))
    both = responses.concat_models(one, other, models=["x", "y"])
    assert both.select("id", "model").rows() == [("x/q", "x"), ("y/q", "y")]
