import json

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.data import sources
from attar.stages import pool


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def ask(text, answer="Yes.", **more):
    return {"prompt": text, "response": answer, **more}


def test_every_row_becomes_a_row_in_its_place_the_unreadable_ones_under_their_file_and_line(tmp_path):
    lines(tmp_path / "in" / "b.jsonl", ask("one"), "{broken", ask("two"))
    lines(tmp_path / "in" / "a" / "z.jsonl", {"nothing": "known"}, ask("nought", id="mine"))
    table = pool.read(**sources.pin_source(str(tmp_path / "in")))
    assert table["id"].to_list() == ["a/z:1", "mine", "b:1", "b:2", "b:3"]
    assert table["prompt"].to_list() == [None, "nought", "one", None, "two"]
    assert [error is None for error in table["messages_error"]] == [False, True, True, False, True]
    assert table["messages_error"][0] == "no known chat format in the keys nothing"


def test_an_empty_answer_is_no_answer_and_a_prompt_without_one_is_no_fault(tmp_path):
    turns = [{"role": "user", "content": "x"}]
    rows = [ask("1", ""), ask("2", " \n"), ask("3"), {"messages": turns}]
    table = pool.read(**sources.pin_source(str(lines(tmp_path / "a.jsonl", *rows))))
    assert table["messages_error"].to_list() == ["empty answer", "empty answer", None, None]
    assert table["prompt"].to_list()[:2] == ["1", "2"]


def test_reasons_that_differ_only_by_a_place_are_one_reason(tmp_path):
    table = pool.read(**sources.pin_source(str(lines(tmp_path / "a.jsonl", "{broken", '{"x": }', ask("fine")))))
    assert table["messages_error"][0].startswith("not JSON: ")
    assert not any(mark.isdigit() for error in table["messages_error"].drop_nulls() for mark in error)


def test_an_id_that_comes_again_stays_with_the_first_row(tmp_path):
    file = lines(tmp_path / "a.jsonl", ask("1", id="x"), ask("2", id="x"), ask("3", id="a:2"), ask("4", id=7), ask("5", id=""))
    assert pool.read(**sources.pin_source(str(file)))["id"].to_list() == ["x", "a:2", "a:3", "7", "a:5"]


def test_what_else_a_row_has_rides_along_whatever_it_is_called(tmp_path):
    rows = [
        ask("1", origin="web", reasoning="because", solution="gold", score=3, tags=["a"], messages_error="theirs"),
        {"instruction": "2", "input": "", "output": "Two.", "model": "m"},
    ]
    table = pool.read(**sources.pin_source(str(lines(tmp_path / "a.jsonl", *rows))))
    own = table.select("origin", "reasoning", "solution", "score", "tags", "model").to_dicts()
    assert own[0] == {"origin": "web", "reasoning": "because", "solution": "gold", "score": 3.0, "tags": '["a"]', "model": None}
    assert own[1]["model"] == "m"
    assert table["response"].to_list() == ["Yes.", "Two."]
    assert table["messages_error"].to_list() == [None, None]


def test_a_pool_that_changed_after_it_was_pinned_is_not_read_as_the_old_one(tmp_path):
    pinned = sources.pin_source(str(lines(tmp_path / "a.jsonl", ask("1"))))
    lines(tmp_path / "a.jsonl", ask("2"))
    with pytest.raises(DataError, match="has changed since the run started"):
        pool.read(**pinned)


def test_a_dataset_on_the_hub_is_read_as_it_stood_at_its_commit(monkeypatch):
    asked = {}

    def load_dataset(place, config, *, split, streaming, revision):
        asked.update(place=place, config=config, split=split, streaming=streaming, revision=revision)
        yield from [ask("1"), {"nothing": 1}, ask("2", id="mine")]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    commit = "0123456789abcdef" * 2 + "01234567"
    pinned = sources.pin_source(f"me/talks:small@{commit}")
    assert pinned["content"] == commit
    assert pool.read(**pinned)["id"].to_list() == ["talks:1", "talks:2", "mine"]
    assert asked == {"place": "me/talks", "config": "small", "split": "train", "streaming": True, "revision": commit}


@pytest.mark.parametrize(
    ("on", "texts"), [("conversation", ["Be brief.\nHi\nHo", None]), ("prompt", ["Hi", None]), ("response", ["Ho", None])]
)
def test_rows_are_compared_by_all_that_was_said_or_by_a_part_and_are_as_long_as_all(on, texts):
    talk = [{"role": role, "content": text} for role, text in (("system", "Be brief."), ("user", "Hi"), ("assistant", "Ho"))]
    table = pl.DataFrame({"id": ["a", "b"], "messages": [talk, None], "prompt": ["Hi", None], "response": ["Ho", None]})
    shown = pool.texts(table, on=on)
    assert shown[on].to_list() == texts
    assert shown[pool.CHARS].to_list() == [len("Be brief.") + 1 + len("Hi") + 1 + len("Ho"), None]


def vectors(**column):
    return pl.DataFrame({"id": ["a", "b", "c", "d"], **column})


def test_a_row_without_a_vector_is_dropped_and_the_others_are_comparable():
    judged = pool.keep_with_vectors(vectors(v=[None, [1.0, 2.0], [3.0, 4.0], None]), column="v")
    assert judged.rows() == [
        ("a", False, "no v", None),
        ("b", True, None, None),
        ("c", True, None, None),
        ("d", False, "no v", None),
    ]


def test_a_vector_of_another_length_is_an_error_that_names_its_row():
    with pytest.raises(DataError, match="row 'b' has 2 numbers, row 'd' has 3"):
        pool.keep_with_vectors(vectors(v=[None, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0]]), column="v")


@pytest.mark.parametrize(
    ("column", "told"),
    [("score", "column 'score' holds Float64, not vectors"), ("vv", "the pool has no column 'vv'; did you mean 'v'?")],
)
def test_what_is_no_column_of_vectors_is_one_clear_error(column, told):
    with pytest.raises(DataError, match=told.replace("?", r"\?")):
        pool.vectors(vectors(v=[[1.0]] * 4, score=[1.0] * 4), column=column)
