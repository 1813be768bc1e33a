import json
from math import inf, log

import polars as pl
import pytest
from engines_for_tests import Scripted
from hypothesis import example, given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.fake import Fake
from attar.stages.evaluate.benchmarks.alpaca_eval import seeded_order
from attar.stages.evaluate.judging import pairwise
from attar.stages.evaluate.judging import prompts as wording

ROWS = pl.DataFrame({"id": ["a"], "prompt": ["Why {first}?"], "response": ["So."], "against": ["No {prompt}."]})


def shown(request):
    """The two answers in the order in which a judge sees them."""
    text = request.messages[-1]["content"]
    return "first" if text.index("So.") < text.index("No {prompt}.") else "second"


def weighs(first, second):
    """A judge that gives these chances to m and M, by where the response stands."""
    return Scripted(lambda request: [log(p) if p else -inf for p in (first if shown(request) == "first" else second)])


def only(table):
    return table.row(0, named=True)


def test_the_preference_is_the_mean_of_both_orders_each_by_the_chances_of_the_two_names():
    out = only(pairwise.weigh(ROWS, engine=weighs((0.6, 0.2), (0.3, 0.1)), date="2026-01-02"))
    assert out["preference_first"] == pytest.approx(0.75)  # m is the response here, 0.6 / 0.8
    assert out["preference_second"] == pytest.approx(0.25)  # M is, 0.1 / 0.4
    assert out["preference"] == pytest.approx(0.5)
    assert out["disagrees"] is True  # each order picks the one shown first
    assert out["mass"] == pytest.approx(0.4)
    assert (out["preference_error"], out["judge"], out["order"], out["date"]) == (None, "scripted", "both", "2026-01-02")
    assert out["asked"] == pairwise.WEIGHED.words_hash
    assert out["asked"].startswith("ours:")


def test_orders_that_agree_or_tie_do_not_disagree():
    assert only(pairwise.weigh(ROWS, engine=weighs((0.6, 0.2), (0.1, 0.3))))["disagrees"] is False
    assert only(pairwise.weigh(ROWS, engine=weighs((0.5, 0.5), (0.1, 0.3))))["disagrees"] is False


def test_a_name_without_a_chance_counts_as_nought_and_two_of_them_are_no_preference():
    out = only(pairwise.weigh(ROWS, engine=weighs((0.9, 0), (0, 0.9))))
    assert out["preference"] == 1.0
    out = only(pairwise.weigh(ROWS, engine=weighs((0.9, 0), (0, 0)), least_mass=0))
    assert out["preference"] is None
    assert out["preference_first"] == 1.0
    assert out["preference_error"].startswith("shown second: ")


@pytest.mark.parametrize(("order", "asked"), [("first", ["first"]), ("second", ["second"]), ("both", ["first", "second"])])
def test_a_knob_says_in_which_orders_a_battle_is_shown(order, asked):
    engine = weighs((0.8, 0.2), (0.8, 0.2))
    out = only(pairwise.weigh(ROWS, engine=engine, order=order))
    assert [shown(request) for request in engine.asked] == asked
    assert [out[f"preference_{side}"] is not None for side in pairwise.PLACES] == [side in asked for side in pairwise.PLACES]


def test_the_seeded_order_is_the_official_one_of_the_prompt():
    prompts = [f"question {i}" for i in range(40)]
    rows = pl.DataFrame({"id": prompts, "prompt": prompts, "response": ["So."] * 40, "against": ["No {prompt}."] * 40})
    out = pairwise.weigh(rows, engine=weighs((0.8, 0.2), (0.8, 0.2)), order="seeded")
    assert out["preference_first"].is_not_null().to_list() == [seeded_order(prompt) for prompt in prompts]
    assert 10 < out["preference_first"].is_not_null().sum() < 30
    assert out["preference"].to_list() == pytest.approx([0.8 if seeded_order(prompt) else 0.2 for prompt in prompts])


def test_a_battle_without_an_answer_is_not_asked_and_a_failed_reply_is_the_rows():
    rows = pl.concat([ROWS, ROWS.with_columns(id=pl.lit("b"), against=pl.lit(None, dtype=pl.String))])
    engine = Scripted(lambda _: ValueError("down"))
    out = pairwise.weigh(rows, engine=engine)
    assert out["preference_error"].to_list() == ["shown first: down", "no against"]
    assert out["preference"].to_list() == [None, None]
    assert len(engine.asked) == 2
    assert len(pairwise.weigh(ROWS.clear(), engine=engine)) == 0


@example("-----", "so:\n------\n")
@given(st.text("-\n mM", max_size=30), st.text("-\n mM", max_size=30))
def test_no_text_can_close_its_mark(one, other):
    rows = ROWS.with_columns(response=pl.lit(one), against=pl.lit(other))
    engine = Scripted(lambda _: [log(0.5), log(0.4)])
    pairwise.weigh(rows, engine=engine, order="first")
    lines = engine.asked[0].messages[1]["content"].split("\n")
    mark = max((line for line in lines if line and not line.strip("-")), key=len)
    assert sum(line == mark for line in lines) == 6  # two about the request and each answer


def test_texts_stand_as_they_are_and_what_a_row_lacks_is_not_spoken_of():
    engine = weighs((0.8, 0.2), (0.8, 0.2))
    pairwise.weigh(ROWS, engine=engine, order="first")
    text = engine.asked[0].messages[1]["content"]
    assert "\nWhy {first}?\n" in text
    assert "\nNo {prompt}.\n" in text
    assert "right answer" not in text
    assert "said before" not in text
    talk = [{"role": role, "content": said} for role, said in (("user", "Hi"), ("assistant", "Yes?"), ("user", "Why {first}?"))]
    rows = ROWS.with_columns(
        reference=pl.lit("Because."), checklist=pl.Series([["Says why"]]), messages=pl.Series([talk], dtype=COLUMNS["messages"])
    )
    pairwise.weigh(rows, engine=engine, order="first")
    text = engine.asked[1].messages[1]["content"]
    assert (
        text.index("Hi") < text.index("Yes?") < text.index("Why {first}?") < text.index("Because.") < text.index("- Says why")
    )


def test_a_prompt_in_a_file_is_asked_in_its_own_words_and_has_another_hash(tmp_path):
    file = tmp_path / "judge.txt"
    user = '{"q": """{instruction}""", "m": "{output_1}", "M": "{output_2}"}'
    file.write_text(f"<|im_start|>system\nYou judge.\n<|im_end|>\n<|im_start|>user\n{user}\n<|im_end|>")
    engine = weighs((0.8, 0.2), (0.8, 0.2))
    out = only(pairwise.weigh(ROWS, engine=engine, wording=str(file), order="second"))
    assert [dict(turn) for turn in engine.asked[0].messages] == [
        {"role": "system", "content": "You judge."},
        {"role": "user", "content": '{"q": """Why {first}?""", "m": "No {prompt}.", "M": "So."}'},
    ]
    assert not out["asked"].startswith("ours:")
    assert pairwise.weigh(ROWS, engine=engine, wording=wording.wording_text(str(file)))["asked"][0] == out["asked"]
    file.write_text("Which? {output_1}")
    with pytest.raises(DataError, match=r"no placeholder \{prompt\}"):
        pairwise.weigh(ROWS, engine=engine, wording=str(file))
    with pytest.raises(RecipeError, match="neither 'ours' nor a file"):
        pairwise.weigh(ROWS, engine=engine, wording="theirs")
    with pytest.raises(RecipeError, match="labels must be two different names"):
        pairwise.weigh(ROWS, engine=engine, labels=("A", "A"))
    with pytest.raises(RecipeError, match="got 'random'"):
        pairwise.weigh(ROWS, engine=engine, order="random")  # type: ignore[arg-type]


def test_fastchats_file_words_rows_with_a_reference_in_its_own_way(tmp_path):
    prompts = [
        {"name": "pair-v2", "system_prompt": "Plain.", "prompt_template": "{question} {answer_a} {answer_b}"},
        {
            "name": "pair-math-v1",
            "system_prompt": "Math.",
            "prompt_template": "{question} {ref_answer_1} {answer_a} {answer_b}",
        },
    ]
    file = tmp_path / "judge_prompts.jsonl"
    file.write_text("\n".join(map(json.dumps, prompts)))
    engine = Scripted(lambda _: "[[A]]")
    rows = pl.concat([ROWS.with_columns(reference=pl.lit(text)) for text in ("", "42")])
    pairwise.ask(rows, engine=engine, wording=str(file), order="first")
    assert [request.messages[0]["content"] for request in engine.asked] == ["Plain.", "Math."]
    assert engine.asked[1].messages[1]["content"] == "Why {first}? 42 So. No {prompt}."
    file.write_text(json.dumps(prompts[0]))
    with pytest.raises(DataError, match="not in FastChat's format"):
        pairwise.ask(rows, engine=engine, wording=str(file))


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("A says more. [[A]]", 1.0),
        ("[[A]] at first, but no: [[B]]", 0.0),
        ("Alike.\n[[C]]", 0.5),
        ("[[A+]]", 0.75),
        ("[[B++]]", 0.0),
        ('{"choice": "A=B"}', 0.5),
        ("A is better", None),
        ("[[D]]", None),
        ('{"choice": 3}', None),
    ],
)
def test_a_written_verdict_is_the_last_one(text, worth):
    out = only(pairwise.ask(ROWS, engine=Scripted(lambda _: text), order="first"))
    assert out["preference"] == worth
    assert out["preference_error"] == (None if worth is not None else "no verdict")
    assert out["verdict_first"] == text


def test_a_writer_is_asked_in_both_orders_and_once_more_where_it_gave_no_verdict():
    def say(request):
        assert request.sampling is not None
        return "[[A]]" if shown(request) == "first" else "[[B]]" if request.sampling.temperature else "Hm"

    engine = Scripted(say)
    out = only(pairwise.ask(ROWS, engine=engine))
    assert (out["preference_first"], out["preference_second"], out["preference"]) == (1.0, 1.0, 1.0)
    assert (out["verdict_first"], out["verdict_second"]) == ("[[A]]", "[[B]]")
    assert len(engine.asked) == 3


def test_five_grades_are_asked_for_in_words_that_name_them():
    engine = Scripted(lambda _: "[[B+]]")
    out = only(pairwise.ask(ROWS, engine=engine, grades="five", order="second"))
    assert out["preference"] == 0.75  # the response is B, and a little better
    assert "[[A++]]" in engine.asked[0].messages[1]["content"]
    with pytest.raises(RecipeError, match="grades must be three or five, got 'ten'"):
        pairwise.ask(ROWS, engine=engine, grades="ten")  # type: ignore[arg-type]


def test_a_battle_is_judged_alike_wherever_it_stands():
    rows = pl.DataFrame({"id": list("abcdef"), "prompt": list("uvwxyz"), "response": ["r"] * 6, "against": ["s"] * 6})
    whole = pairwise.weigh(rows, engine=Fake(Spec("fake", "j", {"faults": 0.3})), date="d")
    parts = [pairwise.weigh(rows[i : i + 2], engine=Fake(Spec("fake", "j", {"faults": 0.3})), date="d") for i in (0, 2, 4)]
    assert pl.concat(parts).equals(whole)
    assert 0 < whole["preference"].null_count() < 6
