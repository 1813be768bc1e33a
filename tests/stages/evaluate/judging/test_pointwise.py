import json
from math import exp, inf, log

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError
from attar.core.table import COLUMNS
from attar.engines.base import Request, Spec
from attar.engines.local.engine import Local
from attar.stages.evaluate.judging import pointwise

ROWS = pl.DataFrame({"id": ["a", "b"], "prompt": ["Why {response}?", "Who?"], "response": ["So {prompt}.", None]})


def chances(**held):
    """Log-probabilities of 1 to 10."""
    return [log(held[f"p{i}"]) if f"p{i}" in held else -inf for i in range(1, 11)]


def talk(*texts):
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]


def test_a_grade_is_the_mean_of_one_to_ten_by_the_judges_chances():
    engine = Scripted(lambda _: chances(p7=0.2, p8=0.1, p10=0.1))
    out = pointwise.weigh(ROWS, engine=engine, date="2026-01-02")
    assert out["score"].to_list() == [pytest.approx((0.2 * 7 + 0.1 * 8 + 0.1 * 10) / 0.4), None]
    assert out["score_mass"].to_list() == [pytest.approx(0.4), None]
    assert out["score_error"].to_list() == [None, "no response"]
    assert out.row(0, named=True)["judge"] == "scripted"
    assert out["date"].to_list() == ["2026-01-02"] * 2
    (asked,) = engine.asked
    assert asked.labels == tuple(map(str, range(1, 11)))
    assert "\nWhy {response}?\n" in asked.messages[1]["content"]
    assert "\nSo {prompt}.\n" in asked.messages[1]["content"]


@pytest.mark.parametrize(
    ("text", "score", "error"),
    [
        ("Good, but short.\n[[7]]", 7.0, None),
        ("[[3]]? No: [[ 8.5 ]]", 8.5, None),
        ("Rating: [6]", 6.0, None),
        ("It lists [1] and [2]. [[9]]", 9.0, None),
        ('{"strengths": "short [[2]?", "score": "4"}', 4.0, None),
        ('{"score": 5}', 5.0, None),
        ("[[11]]", None, "number outside 1 to 10"),
        ("[[0]]", None, "number outside 1 to 10"),
        ("Seven of ten", None, "no rating"),
        ("[[5]]...", None, "cut off"),
    ],
)
def test_a_written_rating_is_the_last_one_and_none_is_made_up(text, score, error):
    out = pointwise.ask(ROWS.head(1), engine=Scripted(lambda _: text)).row(0, named=True)
    assert (out["score"], out["score_error"]) == (score, error)
    assert out["score_verdict"] == (None if error == "cut off" else text)


def test_a_reply_without_a_rating_is_asked_for_once_more():
    engine = Scripted(lambda request: "[[6]]" if request.sampling.temperature else "Well")
    out = pointwise.ask(ROWS, engine=engine)
    assert out["score"].to_list() == [6.0, None]
    assert out["score_error"].to_list() == [None, "no response"]
    assert len(engine.asked) == 2


def test_of_a_conversation_the_last_answer_is_graded_with_all_else_in_view():
    said = talk("One?", "First.", "Two?", "Second.")
    rows = pl.DataFrame(
        {
            "id": ["a"],
            "prompt": ["Two?"],
            "response": ["Second."],
            "messages": pl.Series([said], dtype=COLUMNS["messages"]),
            "reference": ["Right."],
            "checklist": [["Is it short?", "Is it right?"]],
        }
    )
    engine = Scripted(lambda _: chances(p5=0.9))
    pointwise.weigh(rows, engine=engine)
    text = engine.asked[0].messages[1]["content"]
    parts = ["One?", "First.", "Two?", "Right.", "- Is it short?\n- Is it right?", "Second."]
    assert [text.count(part) for part in parts] == [1] * 6
    assert sorted(parts, key=text.index) == parts


def test_fastchats_prompts_are_picked_by_turns_and_references(tmp_path):
    turns = "{question_1} {answer_1} {question_2} {answer_2}"
    prompts = {
        "single-v1": "plain {question} {answer}",
        "single-math-v1": "math {question} {ref_answer_1} {answer}",
        "single-v1-multi-turn": f"two {turns}",
        "single-math-v1-multi-turn": f"math two {{ref_answer_1}} {{ref_answer_2}} {turns}",
    }
    file = tmp_path / "judge_prompts.jsonl"
    file.write_text(
        "\n".join(json.dumps({"name": n, "system_prompt": "S", "prompt_template": text}) for n, text in prompts.items())
    )
    talks = pl.Series([talk("q1"), talk("q1"), talk("q1", "a1", "q2"), talk("q1", "a1", "q2")], dtype=COLUMNS["messages"])
    rows = pl.DataFrame(
        {
            "id": list("abcd"),
            "prompt": ["q1", "q1", "q2", "q2"],
            "response": ["a1", "a1", "a2", "a2"],
            "messages": talks,
            "reference": [None, "r1", None, None],
            "references": [None, ["r1", "r2"], None, ["r1", None]],
        }
    )
    engine = Scripted(lambda _: "[[5]]")
    pointwise.ask(rows, engine=engine, wording=str(file))
    assert [request.messages[1]["content"] for request in engine.asked] == [
        "plain q1 a1",
        "math q1 r1 a1",
        "two q1 a1 q2 a2",
        "math two r1  q1 a1 q2 a2",
    ]
    with pytest.raises(DataError, match=r"no placeholder \{response\}"):
        pointwise.ask(rows, engine=engine, wording="Grade {question}")


def test_the_published_form_of_a_checklist_prompt_is_filled():
    engine = Scripted(lambda _: '{"score": "8"}')
    row = ROWS.head(1).with_columns(checklist=pl.Series([["Rhymes?"]]))
    out = pointwise.ask(row, engine=engine, wording="H:{$history}|Q:{$user_query}|R:{$model_output}|C:{$checklist}|{json}")
    assert engine.asked[0].messages[0]["content"] == "H:|Q:Why {response}?|R:So {prompt}.|C:- Rhymes?|{json}"
    assert out["score"].to_list() == [8.0]


def test_a_real_model_grades_by_its_own_chances_of_all_ten_numbers():
    teacher = Local(Spec("local", "pocket:teacher", {"threads": 1}))
    rows = pl.DataFrame({"id": ["a"], "prompt": ["Repeat these words: cat dog."], "response": ["The answer is cat dog."]})
    out = pointwise.weigh(rows, engine=teacher, least_mass=0, wording="Rate this answer.\n{prompt}\nAnswer: {response}")
    asked = "Rate this answer.\nRepeat these words: cat dog.\nAnswer: The answer is cat dog."
    told = Request(0, messages=({"role": "user", "content": asked},), labels=tuple(map(str, range(1, 11))))
    (reply,) = teacher.weigh([told])
    held = [exp(weight) for weight in reply.weights]
    assert out["score_mass"][0] == pytest.approx(sum(held))
    assert out["score"][0] == pytest.approx(sum(i * p for i, p in enumerate(held, 1)) / sum(held))
    teacher.close()
