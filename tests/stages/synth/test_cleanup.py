import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.stages.synth.cleanup import repair, unwrap

GOOD = [
    "What is 2 + 2? And what is 3 + 3?\nShow your work.",
    "Write an assistant that helps a user.\n\nuser: hello\nassistant: hi",
    "def f(x):\n    return {'a': x}\n\nWhat does this print?\n- one\n- two",
    "Explain the # in C#.",
    "“To be” is a quote; where is it from?",
    "Übersetze: „Guten Tag“ — ins 日本語",
    "Is 3 < 5 </i> or not",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_text_is_left_as_it_is(text):
    assert repair(text, ("<|im_end|>", "<|endoftext|>")) == text
    assert unwrap(text) == text


def test_what_stands_behind_a_mark_of_the_template_is_another_turns():
    assert repair("How?<|im_end|>\n<|im_start|>assistant\nSo.", ("<|im_end|>",)) == "How?"


def test_line_breaks_of_other_systems_and_broken_characters_are_mended():
    assert repair("a\r\nb\rc\x00\ufeffd\u200b ") == "a\nb\ncd"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Instruction: Build a bridge.", "Build a bridge."),
        ("**Question:** Why?", "Why?"),
        ('"Why is the sky blue?"', "Why is the sky blue?"),
        ("“Why?”", "Why?"),
        ('"Yes" and "no" differ how?', '"Yes" and "no" differ how?'),
        ('"a" or "b"', '"a" or "b"'),
        ("Question: ", "Question:"),
        ("Tasked: go", "Tasked: go"),
    ],
)
def test_a_label_before_the_whole_and_quotes_around_it_go_and_nothing_else(text, told):
    assert unwrap(text) == told


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp", "Zs"]), min_size=1))
def test_a_text_without_marks_or_broken_characters_keeps_every_character(text):
    assert repair(text, ("<|im_end|>",)) == text.partition("<|im_end|>")[0].strip()


@given(st.text(), st.sampled_from([(), ("<end>",)]))
def test_mending_twice_is_mending_once(text, marks):
    assert repair(repair(text, marks), marks) == repair(text, marks)
