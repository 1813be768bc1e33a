import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaced_for_tests import joining, llama_like, save_model

from attar.chat import Template
from attar.engines.base import Request, Spec, in_order
from attar.engines.labels import behind, closed, lead, posed
from attar.engines.local import Local

DIGITS = tuple("123456")


@pytest.fixture(scope="module")
def llama():
    return llama_like()


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Local(Spec("local", str(save_model(tmp_path_factory.mktemp("llama") / "model")), {"threads": 1}))


def pieces(tokenizer, text, labels, space=""):
    """What is read in the end, and each label's tokens, as pieces."""
    prompt, ways = posed(tokenizer, tokenizer.encode(text), text, labels, space)
    return tokenizer.convert_ids_to_tokens(prompt), [tokenizer.convert_ids_to_tokens(way) for way in ways]


@pytest.mark.parametrize("text", ["Score: ", "Score:\n", "Score:"])
def test_behind_a_space_or_a_line_a_digit_is_one_token_though_alone_it_is_two(llama, text):
    assert llama.convert_ids_to_tokens(llama.encode("1", add_special_tokens=False)) == ["▁", "1"]
    whole = llama.convert_ids_to_tokens(llama.encode(text))
    assert pieces(llama, text, DIGITS) == (whole, [[digit] for digit in DIGITS])


def test_a_space_that_the_template_writes_before_an_answer_belongs_to_it(llama):
    assert pieces(llama, "ask ", ("1",)) == (["<s>", "▁a", "s", "k", "▁"], [["1"]])
    assert pieces(llama, "ask", ("1",), " ") == (["<s>", "▁a", "s", "k"], [["▁", "1"]])


def test_where_a_label_would_join_the_text_s_last_token_the_text_gives_it_up():
    tokenizer = joining()
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("a: ")) == ["▁", "a", ":", "▁"]
    assert pieces(tokenizer, "a: ", ("1", "2", "10")) == (["▁", "a", ":"], [["▁1"], ["▁", "2"], ["▁10"]])


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.lists(st.integers(0, 2), max_size=8), min_size=1, max_size=4))
def test_text_and_label_together_are_always_the_whole(before, wholes):
    given_up, ways = behind(before, wholes)
    assert [before[: len(before) - given_up] + way for way in ways] == wholes


def test_only_a_label_that_another_goes_on_from_is_closed():
    assert closed([[1], [1, 0], [3]], 9) == [[1, 9], [1, 0], [3]]
    assert closed([[1], [1, 0], [3]], None) == [[1], [1, 0], [3]]


@pytest.mark.parametrize(("between", "found"), [("", ""), (" ", " "), ("<think>\n\n</think>\n\n", ""), ("\n", "\n")])
def test_the_space_before_an_answer_is_read_off_the_template(between, found):
    source = "{% for turn in messages %}{% if turn.role == 'user' %}[{{ turn.content }}]{% else %}" + (
        f"{{{{ {between!r} }}}}{{{{ turn.content }}}}!{{% endif %}}{{% endfor %}}"
    )
    assert lead(Template(source)) == found


@pytest.mark.parametrize("text", ["How hard is it? a b c\n##Score: ", "How hard is it? a b c\nScore:\n"])
def test_the_weights_of_digits_behind_raw_text_are_the_model_s_own(engine, text):
    import torch

    asked = [Request(0, text=text, labels=DIGITS)]
    (reply,) = engine.weigh(asked)
    ids = torch.tensor([engine.tokenizer(text).input_ids])  # as one would by hand: with its BOS, and nothing behind the text
    assert ids[0, 0] == 1
    with torch.no_grad():
        logs = engine.causal()(ids).logits[0, -1].log_softmax(-1)
    own = [logs[engine.tokenizer.convert_tokens_to_ids(digit)].item() for digit in DIGITS]
    assert reply.weights == pytest.approx(own, abs=1e-5)


def test_a_question_that_is_longer_than_the_model_reads_fails_alone(engine):
    asked = [Request(i, text="a " * count + "\n", labels=DIGITS) for i, count in enumerate((20, 200, 21))]
    replies = in_order(engine.weigh(asked), 3)
    assert [reply.error for reply in replies[::2]] == [None, None]
    assert (replies[1].error or "").endswith("the model takes 128")


def test_a_template_that_refuses_an_answer_has_no_space_before_it():
    assert lead(Template("{% if messages|length > 1 %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}")) == ""
