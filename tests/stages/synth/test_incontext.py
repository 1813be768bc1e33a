import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError
from attar.stages.synth import incontext


def rows(*prompts):
    return pl.DataFrame(
        {"id": [f"q{i}" for i in range(len(prompts))], "prompt": pl.Series(prompts, dtype=pl.String)},
    )


def answered(say, *prompts, **knobs):
    engine = Scripted(say)
    return incontext.answer(rows(*prompts), engine=engine, **knobs), engine.asked


def test_a_base_goes_on_from_answered_questions_and_no_template_is_used():
    _, (asked,) = answered(lambda _: "So.", "Why is {it} so?")
    assert asked.messages == ()
    assert "<|im_" not in asked.text
    assert asked.text.endswith("\n\n# Question\nWhy is {it} so?\n\n# Answer\n")
    assert asked.text.count("# Question\n") == asked.text.count("# Answer\n") == 4
    assert all(f"# Question\n{question}\n\n# Answer\n{told}\n\n" in asked.text for question, told in incontext.SHOTS)


def test_what_follows_a_shown_answer_stops_the_base_and_nothing_within_one_does():
    _, (asked,) = answered(lambda _: "So.", "Why?")
    stops = asked.sampling.stop
    for question, told in incontext.SHOTS:
        behind = asked.text.partition(f"{question}\n\n# Answer\n{told}")[2]
        assert any(behind[:20].find(stop) in (0, 1) for stop in stops)
        assert not any(stop in told for stop in stops)


def test_the_base_answers_greedily_and_as_long_as_it_is_let():
    _, (asked,) = answered(lambda _: "So.", "Why?", max_tokens=33)
    assert (asked.sampling.temperature, asked.sampling.max_tokens) == (0.0, 33)


def test_an_answer_that_is_cut_off_is_kept_and_no_answer_is_a_failure_of_its_row():
    said = iter(["It goes on ...", "  \n", ValueError("down"), "Yes.\n"])
    out, asked = answered(lambda _: next(said), "a", "b", None, "c", "", "d")
    assert out["base_response"].to_list() == ["It goes on ...", None, None, None, None, "Yes."]
    assert out["base_response_error"].to_list() == [None, "empty answer", "no prompt", "down", "no prompt", None]
    assert [request.text.splitlines()[-3] for request in asked] == ["a", "b", "c", "d"]
    assert out.select("id", "prompt").equals(rows("a", "b", None, "c", "", "d"))


def test_its_column_can_have_another_name():
    out, _ = answered(lambda _: "So.", "Why?", into="small_response")
    assert out.columns == ["id", "prompt", "small_response", "small_response_error"]


def test_a_table_without_prompts_is_refused_by_name():
    with pytest.raises(DataError, match="column 'prompt' is missing"):
        incontext.answer(rows("a").drop("prompt"), engine=Scripted(lambda _: "x"))
