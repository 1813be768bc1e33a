import os
import re
from pathlib import Path

import pytest
from chat_families import FAMILIES
from chat_forms import form
from chat_older_families import OLDER
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError

from attar.chat.jinja_env import as_parts, render_template
from attar.chat.templates import Template, bos, example_conversation, next_turn_prefix, prefix
from attar.core.errors import EngineError

ALL = {**FAMILIES, **OLDER}
BRIEF = "Be brief."
ANSWER = example_conversation()[-1]["content"]


def template_of(name, source=None):
    family = ALL[name]
    return Template(source or family.source, family.tokens, name, family.special, adds_bos=family.bos == "tokenizer")


def between(template):
    return next_turn_prefix(template, example_conversation()).text.partition(ANSWER)[2]


def test_there_are_families_enough():
    assert len(ALL) >= 45
    assert len(ALL) == len(FAMILIES) + len(OLDER)


@pytest.mark.parametrize("name", ALL)
def test_a_prefix_is_all_that_stands_before_the_users_text(name):
    assert prefix(template_of(name)).text == ALL[name].plain


@pytest.mark.parametrize("name", ALL)
def test_a_system_turn_is_in_its_place(name):
    assert prefix(template_of(name), BRIEF).text == ALL[name].steered


@pytest.mark.parametrize("name", ALL)
def test_a_template_without_a_place_for_a_system_turn_refuses_or_drops_it(name):
    talk = [{"role": "system", "content": BRIEF}, {"role": "user", "content": "Q"}]
    family, folded = ALL[name], [{"role": "user", "content": f"{BRIEF}\n\nQ"}]
    try:
        parts = [as_parts(turn) for turn in talk] if name == "LLaVA 1.5" else talk
        made = "own" if BRIEF in render_template(family.source, family.tokens, parts, ask=True) else "dropped"
    except TemplateError:
        made = "refused"
    same = template_of(name).render(talk, ask=True) == template_of(name).render(folded, ask=True)
    assert (made, same) == {"folded": ("own", True), "own": ("own", False)}.get(family.system, (family.system, True))


@pytest.mark.parametrize("name", ALL)
def test_a_next_turn_starts_behind_the_answer(name):
    assert between(template_of(name)) == ALL[name].between


@pytest.mark.parametrize("name", ALL)
def test_a_text_stops_at_every_mark_of_a_turn_and_at_nothing_else(name):
    assert prefix(template_of(name)).stops == ALL[name].stops
    assert next_turn_prefix(template_of(name), example_conversation()).stops == ALL[name].stops


@pytest.mark.parametrize("name", ALL)
def test_the_one_bos_has_one_writer(name):
    assert bos(template_of(name)) == ALL[name].bos


TALKS = [
    [{"role": "user", "content": " Why? <b>\n"}],
    [
        {"role": "user", "content": "Hm"},
        {"role": "assistant", "content": "<think>\nwell\n</think>\n\nSo."},
        {"role": "user", "content": "Bye"},
    ],
]


@pytest.mark.parametrize("talk", TALKS, ids=["one turn", "three turns"])
@pytest.mark.parametrize("name", [name for name in ALL if name != "LLaVA 1.5"])
def test_a_familys_template_renders_here_as_in_transformers(name, talk):
    from transformers.utils.chat_template_utils import render_jinja_template

    tokens = dict(ALL[name].tokens)
    (theirs,), _ = render_jinja_template([talk], chat_template=ALL[name].source, add_generation_prompt=True, **tokens)
    assert template_of(name).render(talk, ask=True) == theirs


REAL = sorted(Path(os.environ["ATTAR_TEMPLATES"]).glob("*.jinja")) if "ATTAR_TEMPLATES" in os.environ else []
PAIRS = [(name, file) for name, family in ALL.items() for file in REAL if re.search(family.real, file.stem.lower())]


@pytest.mark.skipif(not REAL, reason="ATTAR_TEMPLATES names no folder of real templates")
@pytest.mark.parametrize(("name", "file"), PAIRS, ids=[f"{name}: {file.stem}" for name, file in PAIRS])
def test_a_real_template_gives_what_the_table_says_of_its_family(name, file):
    family, template = ALL[name], template_of(name, file.read_text(encoding="utf-8"))
    found = prefix(template)
    opening = re.sub(r"^(<[^<>]+>|\[[^\]]+\])\s*", "", family.between)  # without what ends the answer
    assert found.text.endswith(opening) if family.own else found.text == family.plain
    assert found.stops == family.stops
    assert between(template) == family.between
    assert bos(template) == family.bos
    steered = prefix(template, BRIEF).text
    assert BRIEF in steered
    assert steered.endswith(opening) if family.own else steered == family.steered


TOKEN = st.from_regex(r"<\|?[a-z_]{1,12}\|?>|\[/?[A-Z]{1,10}\]|\[\|[a-z]{1,9}\|\]", fullmatch=True)
TOKENS = TOKEN.filter(lambda token: not re.search("think|thought|reason", token, re.IGNORECASE))
GAP = st.sampled_from(["", "\n", " ", "\n\n"])
LINES = st.sampled_from(["Answer:", "### Reply:", ">>", "**Assistant**"])
WORDS = st.text(alphabet="ab :!?\n", min_size=1, max_size=30).map(lambda text: f"x{text}y")
MARKS = st.lists(TOKENS, min_size=5, max_size=5, unique_by=lambda token: re.sub(r"\W", "", token))


@given(marks=MARKS, gap=GAP, trim=st.booleans(), default=st.booleans(), text=WORDS)
def test_a_text_lies_between_its_prefix_and_a_stop_whatever_the_marks(marks, gap, trim, default, text):
    opens, closes, answers, ends, system = marks
    turns = (f"{opens}{gap}@{gap}{closes}\n", f"{answers}@{ends}\n", f"{system}@\n")
    template = Template(form(*turns, ask=answers, default=default, trim=trim))
    found = prefix(template)
    assert found.text.endswith(f"{opens}{gap}")
    assert found.stops == (closes, answers, ends, opens)
    said = template.render([{"role": "user", "content": f" {text} "}], ask=True)
    assert said.startswith(found.text)
    assert said.removeprefix(found.text).partition(closes)[0].strip() == text
    talk = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    assert next_turn_prefix(template, talk).text == template.render(talk) + f"{opens}{gap}"


@given(line=LINES, gap=st.sampled_from(["\n", " ", "\n\n"]), text=WORDS)
def test_a_line_is_the_mark_where_there_is_no_token(line, gap, text):
    template = Template(form(f"Q: @{gap}", f"{line} @\n", "@\n", ask=line), {"eos_token": "<end>"})
    assert prefix(template).stops == (line, "<end>")
    assert next_turn_prefix(template, [{"role": "user", "content": text}, {"role": "assistant", "content": "z"}]).text == (
        f"Q: {text}{gap}{line} z\nQ: "
    )


@given(word=st.sampled_from(["", "assistant", "answer", "\n\n", "Say it in a few words and no more, my dear friend. Bot:"]))
def test_a_template_with_no_mark_after_the_users_text_is_refused(word):
    with pytest.raises(EngineError, match=r"puts no mark after the user's text, only .*give a template that ends turns"):
        prefix(Template(form("Q: @\n", f"{word}\n@<end>\n", "@\n"), {"eos_token": "<end>"}))
