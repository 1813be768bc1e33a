import json
import sys
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.data.sources import pinned
from attar.stages.evaluate import questions as exam
from attar.stages.evaluate import responses
from attar.stages.evaluate.benchmarks import mt_bench


def file(folder, *rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


MT = {"question_id": 111, "category": "math", "turns": ["1+1?", "And twice that?"], "reference": ["2", ""]}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (
            {"instruction": "Say hi.", "output": "Hi.", "generator": "base", "dataset": "helpful_base"},
            {"id": "1", "prompt": "Say hi.", "category": "helpful_base"},
        ),
        (
            {"uid": "a1", "category": "arena-hard-v0.1", "cluster": "Logic", "prompt": "Why?"},
            {"id": "a1", "prompt": "Why?", "category": "arena-hard-v0.1", "topic": "Logic"},
        ),
        (
            {"question_id": "q", "category": "hard", "turns": [{"content": "Why?"}]},
            {"id": "q", "prompt": "Why?", "category": "hard"},
        ),
        (
            MT,
            {
                "id": "111",
                "prompt": "1+1?",
                "category": "math",
                "reference": "2",
                "references": ["2", None],
                "turns": MT["turns"],
            },
        ),
        (
            {
                "id": 7,
                "session_id": "s",
                "conversation_input": [{**user("Hello"), "toxic": False}, said("Hi"), user("A poem")],
                "references": {"gpt-4": "Roses"},
                "checklist": ["Does it rhyme?"],
                "primary_tag": "Creative Writing",
                "secondary_tags": ["Editing", "Creative Writing"],
            },
            {
                "id": "s",
                "prompt": "A poem",
                "category": "Creative Writing",
                "checklist": ["Does it rhyme?"],
                "tags": ["Creative Writing", "Editing"],
                "messages": [user("Hello"), said("Hi"), user("A poem")],
            },
        ),
        ({"id": "m", "messages": [user("Why?"), said("So.")]}, {"id": "m", "prompt": "Why?"}),
        ({"prompt": ["One", "Two"], "prompt_id": 5}, {"id": "5", "prompt": "One", "turns": ["One", "Two"]}),
        (
            {"question": "2+2?", "answer": "4", "level": "easy"},
            {"id": "1", "prompt": "2+2?", "reference": "4", "level": "easy"},
        ),
    ],
)
def test_each_published_shape_is_read_as_a_question(tmp_path, row, wanted):
    out = exam.questions(source=file(tmp_path, row))
    wanted = {"question": wanted["id"], "messages": [user(wanted["prompt"])], **wanted}
    assert out.to_dicts() == [wanted]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_what_is_asked_first_is_the_same_as_texts_and_as_objects(texts):
    talk, turns = exam.conversation(texts)
    assert (talk, turns) == exam.conversation([{"content": text} for text in texts])
    assert talk == [user(texts[0])]
    assert turns == texts


def test_a_name_that_stands_twice_a_row_that_asks_nothing_and_a_file_that_changed_are_named(tmp_path):
    with pytest.raises(DataError, match="question 'x' is there twice"):
        exam.questions(source=file(tmp_path, {"uid": "x", "prompt": "a"}, {"uid": "x", "prompt": "b"}))
    with pytest.raises(DataError, match="row 2: what is asked is neither"):
        exam.questions(source=file(tmp_path, {"prompt": "a"}, {"text": "b"}))
    source = file(tmp_path, {"prompt": "a"})
    content = pinned(source)["content"]
    assert len(exam.questions(source=source, content=content)) == 1
    file(tmp_path, {"prompt": "b"})
    with pytest.raises(DataError, match="has changed"):
        exam.questions(source=source, content=content)


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
    with pytest.raises(DataError, match="answers of one, two: pick one"):
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
    with pytest.raises(DataError, match="'q' has nothing to be held against"):
        responses.battles(one, other.clear())
    with pytest.raises(DataError, match="'q' has two answers"):
        responses.battles(one, pl.concat([other, other]))
    both = responses.together(one, other, models=["x", "y"])
    assert both.select("id", "model").rows() == [("x/q", "x"), ("y/q", "y")]


def test_questions_of_a_parquet_file_are_those_of_the_same_rows_in_json(tmp_path):
    rows = [MT, {**MT, "question_id": 112}]
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    assert mt_bench.questions(source=str(tmp_path / "q.parquet")).equals(mt_bench.questions(source=file(tmp_path, *rows)))


def test_a_dataset_on_the_hub_is_read_at_its_commit_and_a_split_must_be_named_where_there_are_several(monkeypatch):
    asked = []

    def load_dataset(place, config, *, streaming, revision):
        asked.append((place, config, revision))
        return {"raw": [{"prompt": "A"}], "filtered": [{"prompt": "B"}]}

    errors = SimpleNamespace(DatasetsError=RuntimeError)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setitem(sys.modules, "datasets.exceptions", errors)
    out = exam.questions(source="owner/name:v2@main", content="c0ffee", split="filtered")
    assert out["prompt"].to_list() == ["B"]
    assert asked == [("owner/name", "v2", "c0ffee")]
    with pytest.raises(DataError, match="the splits raw, filtered: name one"):
        exam.questions(source="owner/name")
    with pytest.raises(DataError, match="no split 'test', but raw, filtered"):
        exam.questions(source="owner/name", split="test")
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *_, **__: (_ for _ in ()).throw(OSError("offline")))
    with pytest.raises(DataError, match=r"owner/nome is no file here, .*offline"):
        exam.questions(source="owner/nome")
