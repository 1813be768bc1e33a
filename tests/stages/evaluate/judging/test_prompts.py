import json

import pytest

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.judging import prompts

OWN = prompts.ours("You judge.", prompts.HISTORY + prompts.REQUEST + prompts.text_block("The answer", "response") + "Good?")


def fill(wording, kind=None, **places):
    return wording.fill({"history": None, **places}, kind)[-1]["content"]


def test_places_are_filled_in_one_pass_and_no_text_fills_another():
    wording = prompts.read("{instruction} | {output} | {unknown} | {json: 1}", OWN, ("prompt", "response"))
    assert fill(wording, prompt="say {response}", response="{prompt}!") == "say {response} | {prompt}! | {unknown} | {json: 1}"


def test_what_published_prompts_call_the_answers_are_our_places():
    for text in ("{output_1}-{output_2}", "{answer_a}-{answer_b}", "{candidate_A}-{$candidate_B}", "{first}-{second}"):
        assert fill(prompts.read(text, OWN, ("first", "second")), first="one", second="two") == "one-two"


def test_our_own_words_leave_out_a_paragraph_about_what_a_row_lacks():
    said = fill(OWN, prompt="Why?", response="So.")
    assert said == (
        "The request, between the lines:\n-----\nWhy?\n-----\n\nThe answer, between the lines:\n-----\nSo.\n-----\n\nGood?"
    )
    assert fill(OWN, prompt="Why?", response="So.", history="Hi").startswith("What was said before, between the lines:")


def test_the_line_about_a_text_is_longer_than_any_in_it():
    said = fill(OWN, prompt="-" * 9, response="So.")
    assert said.count("\n" + "-" * 10 + "\n") == 4


def test_the_hash_says_whether_all_words_are_ours_and_changes_with_any_of_them():
    theirs = prompts.read("{prompt}", OWN, ("prompt",))
    mixed = prompts.Wording(OWN.turns, ours=True, by_kind=(("math", theirs),))
    assert [wording.words_hash.startswith("ours:") for wording in (OWN, theirs, mixed)] == [True, False, False]
    other = prompts.ours("You judge.", "Another {prompt}")
    assert len({wording.words_hash for wording in (OWN, other, theirs, mixed)}) == 4


def test_chat_marks_in_a_file_are_turns_and_without_them_all_is_the_users(tmp_path):
    file = tmp_path / "judge.txt"
    file.write_text("<|im_start|>system\nBe fair.\n<|im_end|>\n<|im_start|>user\n {prompt} \n<|im_end|>")
    assert prompts.read(str(file), OWN, ("prompt",)).turns == (("system", "Be fair."), ("user", "{prompt}"))
    assert prompts.read("Rate {prompt}", OWN, ("prompt",)).turns == (("user", "Rate {prompt}"),)
    assert prompts.read("ours", OWN, ("prompt",)) is OWN


def test_a_file_is_pinned_by_all_that_it_says(tmp_path):
    file = tmp_path / "judge.txt"
    file.write_text("Rate {prompt}\n")
    assert [prompts.wording_text(named) for named in (str(file), "Rate {prompt}", "ours")] == ["Rate {prompt}"] * 2 + ["ours"]
    with pytest.raises(RecipeError, match="wording 'theirs' is neither 'ours' nor a file"):
        prompts.wording_text("theirs")
    file.write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match="not valid UTF-8 text"):
        prompts.wording_text(str(file))


def test_a_prompt_that_would_not_show_a_text_is_refused_by_the_place_that_it_lacks():
    with pytest.raises(DataError, match=r"'Rate \{prompt\}' has no placeholder \{response\}"):
        prompts.read("Rate {prompt}", OWN, ("prompt", "response"))
    assert prompts.read("{question_2} {answer_2}", OWN, ("prompt", "response")).turns  # of two turns the last


def test_each_kind_of_row_has_its_own_prompt_of_a_file_in_fastchats_form():
    book = [{"name": name, "system_prompt": name, "prompt_template": f"{name}: {{question}}"} for name in ("plain", "math-v1")]
    kinds = {"": "plain", "math": "math-v1"}
    wording = prompts.read("\n".join(map(json.dumps, book)), OWN, ("prompt",), kinds)
    assert [fill(wording, kind, prompt="1+1?") for kind in ("math", "other", None)] == [
        "math-v1: 1+1?",
        "plain: 1+1?",
        "plain: 1+1?",
    ]
    with pytest.raises(DataError, match=r"not in FastChat's format.*with the names plain, math-v1"):
        prompts.read(json.dumps(book[0]), OWN, ("prompt",), kinds)


def test_what_was_said_before_the_last_prompt_is_shown_turn_by_turn():
    turns = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Yes?"), ("user", "Why?"))]
    assert prompts.format_history(turns, "Why?") == "----- user\nHi\n\n----- assistant\nYes?"
    assert [
        prompts.format_history(turns[:1], "Hi"),
        prompts.format_history(None, "Hi"),
        prompts.format_history(turns, None),
    ] == [None] * 3
