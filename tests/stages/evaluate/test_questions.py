import json
import sys
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.data.sources import pin_source
from attar.stages.evaluate import questions as exam
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
    talk, turns = exam.parse_conversation(texts)
    assert (talk, turns) == exam.parse_conversation([{"content": text} for text in texts])
    assert talk == [user(texts[0])]
    assert turns == texts


def test_a_name_that_stands_twice_a_row_that_asks_nothing_and_a_file_that_changed_are_named(tmp_path):
    with pytest.raises(DataError, match="question 'x' is there twice"):
        exam.questions(source=file(tmp_path, {"uid": "x", "prompt": "a"}, {"uid": "x", "prompt": "b"}))
    with pytest.raises(DataError, match="row 2: what is asked is neither"):
        exam.questions(source=file(tmp_path, {"prompt": "a"}, {"text": "b"}))
    source = file(tmp_path, {"prompt": "a"})
    content = pin_source(source)["content"]
    assert len(exam.questions(source=source, content=content)) == 1
    file(tmp_path, {"prompt": "b"})
    with pytest.raises(DataError, match="has changed"):
        exam.questions(source=source, content=content)


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
    with pytest.raises(DataError, match=r"owner/nome is not a local file .*offline"):
        exam.questions(source="owner/nome")
