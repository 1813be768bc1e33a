"""Prefixes under real tokenizers: SmolLM2's and Qwen's with their own templates, Gemma's with ours (its base has none)."""

import pytest
from chat_families import FAMILIES
from chat_older_families import OLDER
from real.conftest import model

from attar.chat.templates import Template, next_turn_prefix, prefix

OPT_IN = [("qwen-0.5b", "Qwen 2.5"), ("gemma-base", "Gemma 2"), ("gemma-base", "Gemma 3")]
CASES = [("smollm2", "SmolLM 2"), *(pytest.param(case, marks=pytest.mark.slow) for case in OPT_IN)]
TEXTS = ["Is 91 prime?", "Wie geht's?\n\nGut?", "¿Qué? 你好 🙂"]


@pytest.fixture(params=CASES, ids=str, scope="module")
def case(request):
    """A tokenizer, its own template or ours, and our family."""
    from transformers import AutoTokenizer

    weights, name = request.param
    file, family = model(weights), {**FAMILIES, **OLDER}[name]
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    source = tokenizer.chat_template if weights != "gemma-base" else family.source
    return (
        tokenizer,
        Template(source, {key: text for key, text in tokenizer.special_tokens_map.items() if "token" in key}),
        family,
    )


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("text", TEXTS)
def test_a_prefix_and_a_text_are_the_tokens_of_the_whole_conversation(case, text):
    tokenizer, template, _ = case
    start = prefix(template).text
    whole = template.render([{"role": "user", "content": text}], ask=True)
    rest = whole.removeprefix(start + text)
    assert rest != whole
    assert [*ids(tokenizer, start), *ids(tokenizer, text), *ids(tokenizer, rest)] == ids(tokenizer, whole)


def test_a_rendering_is_transformers_own(case):
    tokenizer, template, _ = case
    talk = [
        {"role": "user", "content": TEXTS[0]},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": TEXTS[1]},
    ]
    theirs = tokenizer.apply_chat_template(talk, chat_template=template.source, tokenize=False, add_generation_prompt=True)
    assert template.render(talk, ask=True) == theirs
    assert next_turn_prefix(template, talk[:2]).text == theirs.partition(TEXTS[1])[0]


def test_the_stops_are_the_familys_and_a_token_each(case):
    tokenizer, template, family = case
    stops = prefix(template).stops
    assert set(family.stops) - {"<eos>"} <= set(stops)
    assert [len(ids(tokenizer, stop)) for stop in stops] == [1] * len(stops)


def test_a_system_turn_and_a_text_are_the_tokens_of_the_whole_conversation(case):
    tokenizer, template, family = case
    steered = prefix(template, "Be brief.").text
    assert steered.endswith(family.steered.partition("Be brief.")[2])
    whole = template.render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXTS[0]}], ask=True)
    rest = whole.removeprefix(steered + TEXTS[0])
    assert [*ids(tokenizer, steered), *ids(tokenizer, TEXTS[0]), *ids(tokenizer, rest)] == ids(tokenizer, whole)
