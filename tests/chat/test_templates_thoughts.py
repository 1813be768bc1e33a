"""Thoughts, token ids and system turns of this year's families."""

import pytest
from chat_families import FAMILIES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from attar.chat.templates import Template, example_conversation, next_turn_prefix, prefix

THINKING = [name for name, family in FAMILIES.items() if family.thoughts]
SWITCHED = [name for name in THINKING if FAMILIES[name].thoughts.off]
QUESTION = {"role": "user", "content": "Is 91 prime?"}
ANSWER = example_conversation()[-1]["content"]


def template_of(name, **arguments):
    family = FAMILIES[name]
    return Template(family.source, family.tokens, name, family.special, family.bos == "tokenizer", arguments)


def byte_level_tokenizer(name):
    """A token for every byte, and the family's special tokens."""
    family = FAMILIES[name]
    marks = family.thoughts.marks if family.thoughts else ()
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    plain = [mark for mark in marks if mark.count("<") < 2]  # harmony's opening mark is three tokens
    tokenizer.add_special_tokens([*dict.fromkeys([*family.special, *family.stops, *family.tokens.values(), *plain])])
    return tokenizer


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def test_every_family_of_this_year_has_a_file_and_every_file_a_family():
    from chat_families import FOLDER

    sources = {file.read_text(encoding="utf-8") for file in FOLDER.glob("*.jinja")}
    assert sources == {family.source for family in FAMILIES.values()}
    assert len(sources) == len(FAMILIES) == 18


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prefix_is_the_templates_own_rendering_up_to_a_marker(name):
    whole = template_of(name).render([{"role": "user", "content": "MARKER"}], ask=True)
    assert prefix(template_of(name)).text == whole.partition("MARKER")[0] == FAMILIES[name].plain


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prefix_and_a_text_are_the_tokens_of_the_whole_conversation(name):
    tokenizer, start = byte_level_tokenizer(name), prefix(template_of(name))
    whole = template_of(name).render([QUESTION], ask=True)
    rest = whole.removeprefix(start.text + QUESTION["content"])
    assert rest != whole
    parts = [start.text, QUESTION["content"], rest]
    assert [each for part in parts for each in ids(tokenizer, part)] == ids(tokenizer, whole)
    assert tokenizer.decode(ids(tokenizer, whole), skip_special_tokens=False) == whole


@pytest.mark.parametrize("name", FAMILIES)
def test_every_stop_is_one_token_and_the_first_one_ends_the_users_text(name):
    tokenizer, family = byte_level_tokenizer(name), FAMILIES[name]
    assert [len(ids(tokenizer, stop)) for stop in family.stops] == [1] * len(family.stops)
    rest = template_of(name).render([QUESTION], ask=True).partition(QUESTION["content"])[2].strip()
    assert ids(tokenizer, rest)[0] == ids(tokenizer, family.stops[0])[0]


@pytest.mark.parametrize("name", THINKING)
def test_no_thought_is_open_where_a_user_writes(name):
    opening, closing = FAMILIES[name].thoughts.marks
    start, after = prefix(template_of(name)), next_turn_prefix(template_of(name), example_conversation())
    assert {opening, closing}.isdisjoint({*start.stops, *after.stops} - {"<|end|>"})
    for text in (start.text, after.text.partition(ANSWER)[2], prefix(template_of(name), "Be brief.").text):
        assert text.rpartition(opening)[2].count(closing) >= text.count(opening)


@pytest.mark.parametrize("name", THINKING)
def test_an_answer_starts_where_the_family_starts_it(name):
    text = template_of(name).render([QUESTION], ask=True).partition(QUESTION["content"])[2]
    thoughts = FAMILIES[name].thoughts
    assert text == thoughts.start
    on = thoughts.without if name == "DeepSeek V3.1" else text
    assert on.rstrip().endswith(thoughts.marks[0]) == (thoughts.opener == "prompt")


@pytest.mark.parametrize("name", SWITCHED)
def test_the_templates_own_argument_turns_thinking_off_and_leaves_the_prefix(name):
    thoughts, template = FAMILIES[name].thoughts, template_of(name, **FAMILIES[name].thoughts.off)
    assert template.render([QUESTION], ask=True).partition(QUESTION["content"])[2] == thoughts.without
    if name not in ("SmolLM 3", "Seed-OSS"):  # these say it in the system turn
        assert prefix(template).text == FAMILIES[name].plain


def test_glms_switch_behind_the_users_text_stops_it():
    assert prefix(template_of("GLM 4.6", enable_thinking=False)).stops == ("/nothink", *FAMILIES["GLM 4.6"].stops)


@pytest.mark.parametrize("name", THINKING)
def test_the_last_answers_thought_is_shown_or_dropped(name):
    thoughts = FAMILIES[name].thoughts
    text = template_of(name).render([QUESTION, {"role": "assistant", "content": "No.", thoughts.field: "7 times 13."}])
    opening, closing = thoughts.marks
    assert ("7 times 13." in text) == thoughts.shown
    if thoughts.shown:
        assert text.partition(opening)[2].partition(closing)[0].strip() == "7 times 13."
        assert text.index("7 times 13.") < text.index("No.")


def test_a_system_text_chooses_smollm3s_mode():
    start = template_of("SmolLM 3").render([{"role": "system", "content": "Be brief. /no_think"}, QUESTION], ask=True)
    assert "Reasoning Mode: /no_think\n\n## Custom Instructions\n\nBe brief.\n\n<|im_end|>" in start
    assert start.endswith("<|im_start|>assistant\n<think>\n\n</think>\n")


def test_ministrals_thought_is_a_part_of_the_answer():
    parts = [{"type": "thinking", "thinking": "7 times 13."}, {"type": "text", "text": "No."}]
    text = template_of("Ministral 3 Reasoning").render([QUESTION, {"role": "assistant", "content": parts}])
    assert text.endswith("[INST]Is 91 prime?[/INST][THINK]7 times 13.[/THINK]No.</s>")
