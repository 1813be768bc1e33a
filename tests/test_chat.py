import json
from datetime import datetime

import pytest

from attar.chat import Prefix, Template, load_template, next_turn_prefix, prefix
from attar.errors import EngineError

TALK = [
    {"role": "user", "content": "Hi <b>"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
]
STEERED = [{"role": "system", "content": "Be brief."}, *TALK]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QWEN = "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Q.<|im_end|>\n{% endif %}" + CHATML
LLAMA = (
    "{% for m in messages %}{% set text = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim"
    " + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim"
    " + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{% if messages[0].role == 'system' %}{{ messages[0].content + ' ' }}{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}"
    "{% elif m.role == 'assistant' %}{{ 'ASSISTANT: ' + m.content + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
MERGED = (  # Gemma 3: the system turn goes into the first user turn
    "{% set first = messages[0].content + '\n\n' if messages[0].role == 'system' else '' %}"
    "{% for m in messages if m.role != 'system' %}"
    "<start_of_turn>{{ m.role }}\n{{ first if loop.first else '' }}{{ m.content }}<end_of_turn>\n{% endfor %}"
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
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
ALL = {"chatml": CHATML, "qwen": QWEN, "llama": LLAMA, "gemma": GEMMA, "mistral": MISTRAL, "vicuna": VICUNA}


@pytest.mark.parametrize("ask", [False, True])
@pytest.mark.parametrize("messages", [TALK, STEERED, TALK[:1]], ids=["plain", "steered", "one turn"])
@pytest.mark.parametrize("source", [*ALL.values(), MERGED, ODD], ids=[*ALL, "merged", "odd"])
def test_a_rendering_is_what_transformers_renders(source, messages, ask):
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        (theirs,), _ = render_jinja_template([messages], chat_template=source, add_generation_prompt=ask, **TOKENS)
    except TemplateError as error:
        with pytest.raises(EngineError, match=str(error)):
            Template(source, TOKENS).render(messages, ask=ask)
    else:
        assert Template(source, TOKENS).render(messages, ask=ask) == theirs


@pytest.mark.parametrize(
    ("name", "before", "stops"),
    [
        ("chatml", "<|im_start|>user\n", ("<|im_end|>", "</s>")),
        ("qwen", "<|im_start|>system\nYou are Q.<|im_end|>\n<|im_start|>user\n", ("<|im_end|>", "</s>")),
        ("llama", "<s><|start_header_id|>user<|end_header_id|>\n\n", ("<|eot_id|>", "</s>")),
        ("gemma", "<s><start_of_turn>user\n", ("<end_of_turn>", "</s>")),
        ("mistral", "<s>[INST] ", ("[/INST]", "</s>")),
        ("vicuna", "USER: ", ("ASSISTANT:", "</s>")),
    ],
)
def test_a_prefix_is_all_that_stands_before_the_first_user_text(name, before, stops):
    assert prefix(Template(ALL[name], TOKENS)) == Prefix(before, stops)


@pytest.mark.parametrize(
    ("source", "before"),
    [
        (CHATML, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"),
        (QWEN, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"),
        (
            LLAMA,
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
        ),
        (VICUNA, "Be brief. USER: "),
        (MERGED, "<start_of_turn>user\nBe brief.\n\n"),
    ],
    ids=["chatml", "qwen", "llama", "vicuna", "merged"],
)
def test_a_given_system_turn_takes_the_place_of_the_default_one(source, before):
    assert prefix(Template(source, TOKENS), "Be brief.").text == before


def test_a_system_turn_that_is_trimmed_is_not_dropped():
    assert prefix(Template(LLAMA, TOKENS), "Be brief.\n").text == prefix(Template(LLAMA, TOKENS), "Be brief.").text


def test_an_empty_system_turn_silences_the_default_one():
    assert prefix(Template(QWEN), "").text == "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n"


def test_without_an_end_token_only_the_mark_stops():
    assert prefix(Template(CHATML)).stops == ("<|im_end|>",)


def test_a_mark_that_is_the_end_token_stands_once():
    assert prefix(Template(CHATML, {"eos_token": "<|im_end|>"})).stops == ("<|im_end|>",)


def test_a_refused_system_turn_says_why():
    with pytest.raises(EngineError, match=r"the chat template of g refuses this conversation: System role not supported"):
        prefix(Template(GEMMA, TOKENS, name="the chat template of g"), "Be brief.")


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}",
        "{% for m in messages %}[{{ m.content[:5] }}]{% endfor %}",
        "{% for m in messages if m.role == 'assistant' %}[{{ m.content }}]{% endfor %}",
        "{% for m in messages[-1:] %}[{{ m.content }}]{% endfor %}",
        "{% for m in messages | reverse %}[{{ m.content }}]{% endfor %}",
        "{% for m in messages %}[{{ m.content }}|{{ m.content }}]{% endfor %}",
    ],
    ids=["shouts", "cuts", "drops users", "keeps the last", "turns round", "doubles"],
)
def test_no_prefix_is_cut_where_the_text_is_not_kept_whole(source):
    with pytest.raises(EngineError, match="no prefix can be cut"):
        prefix(Template(source))


def test_a_dropped_system_turn_is_told():
    with pytest.raises(EngineError, match="drops the system turn"):
        prefix(Template("{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"), "Be brief.")


@pytest.mark.parametrize(
    ("name", "before", "stops"),
    [
        (
            "chatml",
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\n",
            ("<|im_end|>", "</s>"),
        ),
        ("mistral", "<s>[INST] Q [/INST] A</s>[INST] ", ("[/INST]", "</s>")),
        ("vicuna", "USER: Q ASSISTANT: A</s>USER: ", ("ASSISTANT:", "</s>")),
    ],
)
def test_the_next_turn_starts_after_all_that_was_said(name, before, stops):
    talk = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    assert next_turn_prefix(Template(ALL[name], TOKENS), talk) == Prefix(before, stops)


def test_no_next_turn_is_cut_where_the_users_text_is_changed():
    with pytest.raises(EngineError, match="does not keep the user's text"):
        next_turn_prefix(Template("{% for m in messages %}[{{ m.content | upper }}]{% endfor %}"), TALK[:2])


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


@pytest.mark.parametrize("source", ["{% for m in messages %}", "{{ nothing.at.all }}", "{{ messages | nofilter }}"])
def test_a_broken_template_is_an_engine_error(source):
    with pytest.raises(EngineError, match="the chat template refuses"):
        Template(source).render(TALK)


def test_time_is_now():
    years = {str(datetime.now().year)}
    years |= {Template("{{ strftime_now('%Y') }}").render([])}
    assert len(years | {str(datetime.now().year)}) <= 2
    assert Template("{{ strftime_now('at %%') }}").render([]) == "at %"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()

    def fill(jinja=None, **config):
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        if jinja is not None:
            (path / "chat_template.jinja").write_text(jinja)
        return load_template(path)

    return fill


def test_a_template_is_found_in_the_config_or_in_a_file_of_its_own_which_wins(folder):
    assert folder(chat_template="C").source == "C"
    assert folder(chat_template=[{"name": "rag", "template": "R"}, {"name": "default", "template": "D"}]).source == "D"
    assert folder("F", chat_template="C").source == "F"


def test_special_tokens_are_texts_however_they_are_kept(folder):
    given = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None, "model_max_length": 9}
    template = folder("F", **given)
    assert template.tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert template.name == "the chat template of model"


def test_a_model_without_a_template_is_a_base_model(folder):
    with pytest.raises(EngineError, match="model has no chat template: it is a base model"):
        folder(bos_token="<s>")
    with pytest.raises(EngineError, match="no chat template"):
        folder(chat_template=[{"name": "rag", "template": "R"}])
