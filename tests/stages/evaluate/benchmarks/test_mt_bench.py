import json

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError
from attar.stages.evaluate.benchmarks import mt_bench
from attar.stages.evaluate.judging import pointwise

ROWS = [
    {"question_id": 1, "category": "math", "turns": ["1+1?", "Twice?"], "reference": ["3", "6"]},
    {"question_id": 2, "category": "stem", "turns": ["Why?", "And?"], "reference": ["x", ""]},
    {"question_id": 3, "category": "writing", "turns": ["A poem.", "Shorter."]},
]


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "question.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    return str(file)


def answered(table, *responses):
    """As answering leaves it: the response beside the conversation and at its end."""
    talks = [
        [*talk, {"role": "assistant", "content": said}] if said is not None else talk
        for talk, said in zip(table["messages"].to_list(), responses, strict=True)
    ]
    return table.with_columns(
        pl.Series("response", responses, dtype=pl.String), pl.Series("messages", talks, dtype=table.schema["messages"])
    )


def test_right_answers_are_shown_only_where_they_are_asked_for_and_can_be_put_right(source, tmp_path):
    out = mt_bench.questions(source=source)
    assert out["reference"].to_list() == ["3", None, None]
    assert mt_bench.questions(source=source, shown=["stem"])["references"].to_list() == [None, ["x", None], None]
    file = tmp_path / "better.jsonl"
    for row in ({"question_id": 1, "reference": ["2", "4"]}, {"question_id": 1, "choices": [{"turns": ["2", "4"]}]}):
        file.write_text(json.dumps(row))
        better = mt_bench.questions(source=source, references=str(file))
        assert better["references"].to_list() == [["2", "4"], None, None]
        assert better["reference"].to_list() == ["2", None, None]
    file.write_text(json.dumps({"question_id": 9, "reference": ["2", "4"]}))
    with pytest.raises(DataError, match="reference answers to '9', which is not one of the questions"):
        mt_bench.questions(source=source, references=str(file))
    file.write_text(json.dumps({"question_id": 1, "reference": "2"}))
    with pytest.raises(DataError, match="row 1: no reference answers"):
        mt_bench.questions(source=source, references=str(file))


def test_the_second_turn_goes_on_from_the_first_answers_and_a_failed_one_asks_nothing(source):
    first = answered(mt_bench.questions(source=source), "2", None, "Roses.")
    out = mt_bench.second(first)
    assert out["id"].to_list() == ["1/2", "2/2", "3/2"]
    assert out["question"].to_list() == ["1", "2", "3"]
    assert out["prompt"].to_list() == ["Twice?", None, "Shorter."]
    assert out["prompt_error"].to_list() == [None, "no answer before it", None]
    assert out["reference"].to_list() == ["6", None, None]
    assert [turn["content"] for turn in out["messages"][0]] == ["1+1?", "2", "Twice?"]
    assert "response" not in out.columns
    judged = pointwise.ask(answered(out, "4", None, "R."), engine=(engine := Scripted(lambda _: "[[5]]")))
    assert judged["score"].to_list() == [5.0, None, 5.0]
    assert "1+1?" in engine.asked[0].messages[1]["content"]


def test_the_figures_of_five_graded_answers_are_those_worked_out_by_hand():
    # question, turn, score: math 8 and 6, writing 4 and none, stem 3 in the first turn alone
    rows = [
        ("m", 1, 8.0, "math"),
        ("m", 2, 6.0, "math"),
        ("w", 1, 4.0, "writing"),
        ("w", 2, None, "writing"),
        ("s", 1, 3.0, "stem"),
    ]
    table = pl.DataFrame(rows, schema=["question", "turn", "score", "category"], orient="row")
    table = table.with_row_index("id").with_columns(pl.col("id").cast(pl.String), model=pl.lit("mine"), judge=pl.lit("j"))
    out = mt_bench.figures(table)
    told = {row["id"]: (row["value"], row["count"]) for row in out.to_dicts()}
    assert told == {
        "mine/score": (21 / 4, 4),
        "mine/turn_1": (5.0, 3),
        "mine/turn_2": (6.0, 1),
        "mine/math/score": (7.0, 2),
        "mine/stem/score": (3.0, 1),
        "mine/writing/score": (4.0, 1),
        "mine/unscored": (pytest.approx(0.2), 5),
    }
    assert out["judge"].unique().to_list() == ["j"]
    whole = out.row(0, named=True)
    assert whole["low"] < whole["value"] < whole["high"]
    alone = out.row(by_predicate=pl.col("id") == "mine/turn_2", named=True)
    assert (alone["low"], alone["high"]) == (None, None)  # one question has no interval over questions


def test_intervals_draw_whole_questions_so_that_two_like_turns_make_none_narrower():
    def graded(turns):
        rows = [(f"q{i}", turn, float(i % 7 + 1)) for i in range(40) for turn in turns]
        table = pl.DataFrame(rows, schema=["question", "turn", "score"], orient="row").with_row_index("id")
        return mt_bench.figures(table.with_columns(pl.col("id").cast(pl.String))).row(0, named=True)

    once, twice = graded([1]), graded([1, 2])
    assert (once["low"], once["high"]) == (twice["low"], twice["high"])
