"""Where a text is cut into thought and answer, in every style that models of this year have."""

import pytest
from chat_families import FAMILIES
from hypothesis import given
from hypothesis import strategies as st

from attar.chat.thoughts import CHANNELS, KNOWN, Parts, close_thought, find_marks, opened_thought, split_thought

THINK = ("<think>", "</think>")
FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes."),
        ("\n <think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("Hm, so it is.\n</think>\n\nYes.", "Hm, so it is.", "Yes."),
        ("[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        ("<seed:think>Hm.</seed:think>Yes.", "Hm.", "Yes."),
        ("<|channel>thought\nHm.\n<channel|>Yes.", "Hm.", "Yes."),
        ("<|START_THINKING|>Hm.<|END_THINKING|>Yes.", "Hm.", "Yes."),
        ("◁think▷Hm.◁/think▷Yes.", "Hm.", "Yes."),
        (f"{CHANNELS[0]}Hm.{FINAL}Yes.<|return|>", "Hm.", "Yes."),
        (f"{CHANNELS[0]}One.<|end|><|start|>assistant<|channel|>commentary<|message|>Two.{FINAL}Yes.", "One.\n\nTwo.", "Yes."),
        ("<|channel|>final<|message|>Yes.", None, "Yes."),
        ("analysisHm.assistantfinalYes.", "Hm.", "Yes."),
        ("<think></think>Yes.", "", "Yes."),
        ("<think></think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("Hm.</think>\n</think>\nYes.", "Hm.", "Yes."),
        ("<think>One.</think><think>Two.</think>Yes.", "One.\n\nTwo.", "Yes."),
        ("<think>One.</think>Yes,\n<think>Two.</think>\nand no.", "One.\n\nTwo.", "Yes,\n\nand no."),
        ("Well:\n<think>Hm.</think>\nYes.", "Hm.", "Well:\n\nYes."),
    ],
)
def test_a_thought_and_an_answer_are_told_apart_by_their_marks(text, thought, answer):
    assert split_thought(text) == Parts(thought, answer)


@pytest.mark.parametrize(
    "text",
    [
        "<think>Hm, and so on",
        "<think>One.</think><think>Two",
        "[THINK]Hm",
        "<seed:think>Hm",
        "<|channel>thought\nHm",
        f"{CHANNELS[0]}Hm",
        f"{CHANNELS[0]}Hm<|end|>",
        "<think>One.</think>Yes,\n<think>and two",
    ],
)
def test_a_thought_that_is_never_closed_leaves_no_answer(text):
    parts = split_thought(text)
    assert parts.answer is None
    assert parts.thought


def test_a_thought_that_the_prompt_opened_goes_to_its_closing_mark_or_has_no_end():
    assert split_thought("Hm.\n</think>\n\nYes.", [THINK], "<think>") == Parts("Hm.", "Yes.")
    assert split_thought("Hm, and so on", [THINK], "<think>") == Parts("Hm, and so on", None)
    assert split_thought("<think>Hm.</think>Yes.", [THINK], "<think>") == Parts("Hm.", "Yes.")  # a server repeats the mark


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        " Yes, with spaces. \n",
        "Write <think> where a thought begins.",
        "Use it so:\n```\n<think>\nHm.\n</think>\n```\nThat is all.",
        "A closing `</think>` ends it, or '</think>'.",
        "```\n</think>\n```",
        "analysis of the assistant",
        "",
    ],
)
def test_a_text_without_a_thought_stays_as_it_is(text):
    assert split_thought(text) == Parts(None, text)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_marks_of_a_family_are_found_in_its_template_and_no_others(name):
    family = FAMILIES[name]
    found = find_marks(family.source, family.special)
    assert bool(found) == (family.thoughts is not None)
    if family.thoughts:
        opening, closing = (mark.strip() for mark in family.thoughts.marks)
        assert opening in {mark.strip() for mark, _ in found}
        assert closing.split("<|start|>")[0] in {mark for _, mark in found}


def test_marks_that_only_one_template_has_are_found_by_their_form():
    assert find_marks("{{ '<my:reasoning>' }}{{ '</my:reasoning>' }}") == (("<my:reasoning>", "</my:reasoning>"),)
    assert find_marks("{{ '<thinking>' }} but never closed") == ()
    assert find_marks("{{ '<|im_start|>assistant\n<think>\n' }}") == (THINK,)  # the prompt opens it, the model closes it
    assert find_marks("plain", ["<thought>", "</thought>", "<s>"]) == (("<thought>", "</thought>"),)


@pytest.mark.parametrize(
    ("prompt", "marks", "closed"),
    [
        ("<a>", [THINK], "<a><think>\n\n</think>\n\n"),
        ("<a><think>\n", [THINK], "<a><think>\n\n</think>\n\n"),
        ("<a><think>\n\n</think>\n\n", [THINK], "<a><think>\n\n</think>\n\n"),
        ("<a></think>", [THINK], "<a></think>"),
        ("<|start|>assistant", [CHANNELS], "<|start|>assistant<|channel|>final<|message|>"),
        ("<a>", [], "<a>"),
    ],
)
def test_a_prompt_is_closed_so_that_the_answer_comes_next(prompt, marks, closed):
    assert close_thought(prompt, marks) == closed
    assert close_thought(closed, marks) == closed or CHANNELS in marks
    assert not opened_thought(closed, marks)


PLAIN = st.text(st.characters(exclude_characters="<>[]◁▷|`", exclude_categories=["Cs"]))


@given(st.sampled_from(KNOWN[:-1]), st.lists(PLAIN, min_size=1, max_size=3), PLAIN)
def test_no_character_of_a_thought_gets_into_the_answer(marks, thoughts, answer):
    text = "".join(f"{marks[0]}{thought}{marks[1]}" for thought in thoughts) + answer
    assert split_thought(text) == Parts("\n\n".join(t.strip() for t in thoughts if t.strip()), answer.lstrip())
    assert split_thought(text.removeprefix(marks[0]), [marks], marks[0]) == split_thought(text)
