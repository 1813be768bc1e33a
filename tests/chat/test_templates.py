import pytest
from chat_forms import chatml, form

from attar.chat.templates import Prefix, Template, answer_end, bos, example_conversation, next_turn_prefix, prefix
from attar.core.errors import EngineError

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
CHATML = Template(chatml(), TOKENS)
STOPS = ("<|im_end|>", "<|im_start|>", "</s>")
LAST = (  # the system turn goes into the last user turn
    "{% if messages[0].role == 'system' %}{% set said = messages[0].content %}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>"
    "{% if loop.last and said is defined %}{{ said }} {% endif %}{{ m.content }}{% endfor %}"
)


def test_an_empty_system_turn_silences_the_default_one():
    assert prefix(Template(chatml(default=True)), "").text == "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n"


def test_a_system_turn_that_is_trimmed_is_not_dropped():
    trimming = Template(form("<u>@<e>", "<a>@<e>", "<s>@<e>", trim=True))
    assert prefix(trimming, "Be brief.\n").text == "<s>Be brief.<e><u>"


def test_without_an_end_token_the_marks_alone_stop():
    assert prefix(Template(chatml())).stops == STOPS[:2]


def test_what_ends_the_last_answer_alone_is_a_stop_too():
    last = "{{ '<last>' if loop.last else '<e>' }}"
    source = f"{{% for m in messages %}}<{{{{ m.role }}}}>{{{{ m.content }}}}{last}{{% endfor %}}"
    assert prefix(Template(source)).stops == ("<e>", "<assistant>", "<user>", "<last>")


def test_a_prefix_is_what_stands_there_when_an_answer_is_asked_for():
    assert prefix(Template("{% if add_generation_prompt %}<live>{% endif %}" + chatml())).text == "<live><|im_start|>user\n"


def test_a_mark_that_is_the_end_token_stands_once():
    assert prefix(Template(chatml(), {"eos_token": "<|im_end|>"})).stops == STOPS[:2]


def test_marks_that_look_like_nothing_are_known_from_the_tokenizer():
    source = form("]~b]user\n@[e~[\n", "]~b]ai\n@[e~[\n", "]~b]system\n@[e~[\n", "]~!b[", "]~b]ai\n")
    assert prefix(Template(source, {"eos_token": "[e~["}, special=("]~b]", "]~!b["))) == Prefix(
        "]~!b[]~b]user\n", ("[e~[", "]~b]")
    )
    assert prefix(Template(source)).stops == ("[e~[",)


def test_a_refused_system_turn_opens_the_first_user_turn():
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('No system!') }}{% endif %}" + chatml()
    assert prefix(Template(source), "Be brief.").text == "<|im_start|>user\nBe brief.\n\n"
    steered = [{"role": "system", "content": "Be brief."}, *TALK]
    said = "<|im_start|>user\nBe brief.\n\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\n"
    assert next_turn_prefix(Template(source), steered).text == said


def test_a_template_that_will_not_go_without_a_system_turn_says_so():
    source = "{% if messages[0].role != 'system' %}{{ raise_exception('Who am I?') }}{% endif %}" + chatml()
    with pytest.raises(EngineError, match=r"Who am I\?; it needs a system turn: give one"):
        prefix(Template(source))
    assert prefix(Template(source), "Be brief.").text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"


def test_a_template_that_refuses_everything_says_what_to_give_instead():
    with pytest.raises(EngineError, match=r"refuses this conversation: Never\.; give the model's own default template"):
        prefix(Template("{{ raise_exception('Never.') }}"))


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}<e>{% endfor %}"
        "{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{{ m.content | lower if m.role == 'system' else m.content }}<e>{% endfor %}",
    ],
    ids=["behind the user's text", "changed"],
)
def test_a_system_turn_that_does_not_come_whole_before_the_users_text_is_told(source):
    with pytest.raises(EngineError, match="does not put the system turn, as it is, before the user's text: ask without"):
        prefix(Template(source), "Be brief.")


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}<{{ m.role }}>{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{{ m.content[:5] }}{% endfor %}",
        "{% for m in messages if m.role == 'assistant' %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages[-1:] %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages | reverse %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}|{{ m.content }}{% endfor %}",
        "{{ messages[0].content }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    ],
    ids=["shouts", "cuts", "drops users", "keeps the last", "turns round", "doubles", "repeats the first"],
)
def test_no_prefix_is_cut_where_the_text_is_not_kept_whole(source):
    with pytest.raises(EngineError, match="no prefix can be cut; give the model's own default template"):
        prefix(Template(source))


def test_a_template_with_nothing_before_the_users_text_is_refused():
    with pytest.raises(EngineError, match="puts nothing before the user's text"):
        prefix(Template("{% for m in messages %}{{ m.content }}<e>{% endfor %}"))


def test_a_text_put_behind_the_users_is_no_mark():
    source = form("<u>@ Think it over, step by step, before you say a word.<e>", "<a>@<e>", "<s>@<e>")
    with pytest.raises(EngineError, match="puts no mark after the user's text, only ' Think it over"):
        prefix(Template(source))


def test_a_system_turn_that_goes_into_the_last_user_turn_is_part_of_both_prefixes():
    system = {"role": "system", "content": "Be brief."}
    assert prefix(Template(LAST), "Be brief.").text == "<user>Be brief. "
    assert next_turn_prefix(Template(LAST), [system, *TALK]).text == "<user>Q<assistant>A<user>Be brief. "


def test_a_last_answer_that_is_not_shown_yet_costs_no_stop():
    shown = "{% if m.role == 'user' or not loop.last %}<{{ m.role }}>{{ m.content }}<e>{% endif %}"
    source = f"{{% for m in messages %}}{shown}{{% endfor %}}"
    assert prefix(Template(source)).stops == ("<e>", "<assistant>", "<user>")


def test_the_next_turn_starts_after_all_that_was_said():
    said = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\n"
    assert next_turn_prefix(CHATML, TALK) == Prefix(said, STOPS)


def test_old_reasoning_goes_from_the_next_turns_prefix_where_the_template_drops_it():
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}<e>{% endfor %}"
    thought = [TALK[0], {"role": "assistant", "content": "<think>hm</think>A"}]
    assert next_turn_prefix(Template(source), thought).text == "<user>Q<e><assistant>A<e><user>"


@pytest.mark.parametrize("talk", [[], TALK[:1], [*TALK, TALK[0]]])
def test_a_next_turn_needs_an_answer_before_it(talk):
    with pytest.raises(EngineError, match="the conversation must end with one"):
        next_turn_prefix(CHATML, talk)


def test_no_next_turn_is_cut_where_the_users_text_is_changed():
    with pytest.raises(EngineError, match="does not keep the user's text"):
        next_turn_prefix(Template("{% for m in messages %}[{{ m.content | upper }}]{% endfor %}"), TALK)


def test_what_ends_an_answer_is_all_that_follows_the_last_one():
    assert answer_end(CHATML.render(example_conversation())) == "<|im_end|>"
    assert answer_end(Template(form("<u>@", "<a>@\n<e>\n<f>", "@")).render(example_conversation())) == "<e>\n<f>"


@pytest.mark.parametrize(
    ("source", "adds", "writer"),
    [
        ("{{ bos_token }}" + chatml(), None, "template"),
        ("{{ bos_token }}" + chatml(), True, "template"),
        (chatml("<s>"), False, "template"),
        (chatml(), True, "tokenizer"),
        (chatml(), False, "none"),
        (chatml(), None, "unknown"),
    ],
)
def test_the_bos_is_written_by_the_template_or_the_tokenizer_and_never_by_both(source, adds, writer):
    assert bos(Template(source, TOKENS, adds_bos=adds)) == writer
