from datetime import datetime

import pytest

from attar.chat.jinja_env import render_template
from attar.chat.templates import Template
from attar.core.errors import EngineError

TALK = [
    {"role": "user", "content": "Hi <b>"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
]
STEERED = [{"role": "system", "content": "Be brief."}, *TALK]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Turn about!') }}{% endif %}"
    "[{{ m['content'] | trim }}]{% endfor %}"
)
ODD = """
{%- if tools is not none %}TOOLS{% endif %}
{%- if documents is none %}NODOCS {% endif %}
{%- for m in messages %}
    {%- if m.role == 'system' %}{% continue %}{% endif %}
    {%- if loop.index > 3 %}{% break %}{% endif %}
    {% generation %}{{ m | tojson }}{% endgeneration %}
    {{ m | tojson(indent=2) }}{{ {'b': 1, 'a': 'ü'} | tojson(sort_keys=true, separators=(',', ':'), ensure_ascii=true) }}
{% endfor %}
Year {{ strftime_now('%Y') }}
"""
ALL = {"plain": PLAIN, "alternate": ALTERNATE, "odd": ODD}
PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'image' %}<image>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
)
EITHER = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}!{% endif %}"
    "{% endfor %}"
)


@pytest.mark.parametrize("ask", [False, True])
@pytest.mark.parametrize("messages", [TALK, STEERED, TALK[:1]], ids=["plain", "steered", "one turn"])
@pytest.mark.parametrize("source", ALL.values(), ids=ALL)
def test_a_rendering_is_what_transformers_renders(source, messages, ask):
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        (theirs,), _ = render_jinja_template([messages], chat_template=source, add_generation_prompt=ask, **TOKENS)
    except TemplateError as error:
        with pytest.raises(TemplateError, match=str(error)):
            render_template(source, TOKENS, messages, ask=ask)
    else:
        assert render_template(source, TOKENS, messages, ask=ask) == theirs


def test_a_templates_own_arguments_reach_it():
    source = "{{ 'off' if enable_thinking is defined and not enable_thinking else 'on' }}"
    assert render_template(source, {}, TALK, ask=True) == "on"
    assert render_template(source, {}, TALK, ask=True, arguments={"enable_thinking": False}) == "off"
    assert Template(source, arguments={"enable_thinking": False}).render(TALK) == "off"


def test_a_template_that_wants_parts_gets_parts():
    assert Template(PARTS).render(STEERED) == "<system>Be brief.<user>Hi <b><assistant>Hello<user>Bye"


def test_a_template_that_takes_both_gets_texts():
    assert Template(EITHER).render(TALK[:1]) == "<user>Hi <b>"


@pytest.mark.parametrize("source", ["{{ messages }}", "{% for m in messages %}{{ m.content[:3] }}{% endfor %}"])
def test_parts_that_would_only_be_printed_as_they_are_do_not_count_as_kept(source):
    text = Template(source).render(TALK)
    assert "Hi" in text
    assert "type" not in text


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ strftime_now.__globals__['json'] }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ messages.append(1) }}",
        "{% set _ = messages[0].update(role='x') %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox_or_change_what_it_is_given(source):
    with pytest.raises(EngineError, match=r"refuses .*(unsafe|undefined)"):
        Template(source).render(TALK)


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}",
        "{{ nothing.at.all }}",
        "{{ messages | nofilter }}",
        "{{ 'a' + 1 }}",
        "{% for tool in tools %}{% endfor %}",
        "{{ 1 // 0 }}",
        "{{ 'x'.index('y') }}",
        "{{ {}.pop('k') }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_whatever_breaks_inside_a_template_is_one_engine_error(source):
    with pytest.raises(EngineError, match="the chat template refuses"):
        Template(source).render(TALK)


def test_what_a_token_is_called_cannot_stand_in_for_what_is_said():
    assert Template("{{ messages[0].content }}", {"messages": "x", "tools": "y"}).render(TALK) == "Hi <b>"


def test_time_is_now():
    years = {str(datetime.now().year)}
    years |= {Template("{{ strftime_now('%Y') }}").render([])}
    assert len(years | {str(datetime.now().year)}) <= 2
    assert Template("{{ strftime_now('at %%') }}").render([]) == "at %"
