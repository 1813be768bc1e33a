from itertools import product
from math import exp, inf, log, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaced_for_tests import joining, llama_like, save_model

from attar.chat.templates import Template
from attar.engines.base import Request, Spec, in_order
from attar.engines.label_tokens import (
    answer_space,
    label_logprobs,
    spell_labels,
    split_shared,
    texts_to_encode,
    tokenize_labels,
)
from attar.engines.local.engine import Local

DIGITS = tuple("123456")


@pytest.fixture(scope="module")
def llama():
    return llama_like()


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Local(Spec("local", str(save_model(tmp_path_factory.mktemp("llama") / "model")), {"threads": 1}))


def pieces(tokenizer, text, labels, space=""):
    """What is read in the end, and each label's tokens, as pieces."""
    prompt, ways = tokenize_labels(tokenizer, tokenizer.encode(text), text, labels, space)
    return tokenizer.convert_ids_to_tokens(prompt), [[tokenizer.convert_ids_to_tokens(way) for way in own] for own in ways]


@pytest.mark.parametrize("text", ["Score: ", "Score:\n", "Score:"])
def test_behind_a_space_or_a_line_a_digit_is_one_token_though_alone_it_is_two(llama, text):
    assert llama.convert_ids_to_tokens(llama.encode("1", add_special_tokens=False)) == ["▁", "1"]
    whole = llama.convert_ids_to_tokens(llama.encode(text))
    assert pieces(llama, text, DIGITS) == (whole, [[[digit]] for digit in DIGITS])


def test_a_space_that_the_template_writes_before_an_answer_belongs_to_it(llama):
    assert pieces(llama, "ask ", ("1",)) == (["<s>", "▁a", "s", "k", "▁"], [[["1"]]])
    assert pieces(llama, "ask", ("1",), " ") == (["<s>", "▁a", "s", "k"], [[["▁", "1"]]])


def test_where_a_label_would_join_the_text_s_last_token_the_text_gives_it_up():
    tokenizer = joining()
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("a: ")) == ["▁", "a", ":", "▁"]
    one, two, ten = [["▁1"], ["▁", "1"]], [["▁", "2"]], [["▁10"], ["▁1", "0"], ["▁", "1", "0"]]
    assert pieces(tokenizer, "a: ", ("1", "2", "10")) == (["▁", "a", ":"], [one, two, ten])


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.lists(st.integers(0, 2), max_size=8), min_size=1, max_size=4))
def test_text_and_label_together_are_always_the_whole(before, wholes):
    given_up, ways = split_shared(before, wholes)
    assert [before[: len(before) - given_up] + way for way in ways] == wholes


TOKENS = {"1": 1, "0": 2, "10": 3, "00": 4, "100": 5, "\n": 6, "q": 7}


def longest_first(text):
    """A tokenizer that always takes the longest token it knows."""
    out = []
    while text:
        part = next(part for part in sorted(TOKENS, key=len, reverse=True) if text.startswith(part))
        out.append(TOKENS[part])
        text = text[len(part) :]
    return out


def spellings(*labels):
    return spell_labels("q", "", labels, {text: longest_first(text) for text in texts_to_encode("q", "", labels)})


def test_a_number_is_spelt_in_every_way_that_the_tokens_allow():
    assert spellings("1", "10", "100") == (0, [[(1,)], [(3,), (1, 2)], [(5,), (3, 2), (1, 2, 2), (1, 4)]])


def test_a_long_label_is_spelt_as_the_tokenizer_does():
    assert spellings("1000") == (0, [[(5, 2)]])


def test_a_label_is_the_chance_that_its_text_is_written_and_no_longer_label_s():
    chances = {(1,): 0.5, (3,): 0.125, (1, 2): 0.25, (5,): 0.0625, (3, 2): 0.03125, (1, 4): 0.03125, (1, 2, 2): 0.125}
    ways = [[(1,)], [(3,), (1, 2)], [(5,), (3, 2), (1, 4), (1, 2, 2)]]
    weights = label_logprobs(ways, {way: log(chance) for way, chance in chances.items()})
    one = 0.5 - 0.25 - 0.03125  # "1", not "10" nor "1" and "00"; "1", "0", "0" is within "1", "0"
    ten = (0.125 - 0.03125) + (0.25 - 0.125)
    assert [exp(weight) for weight in weights] == pytest.approx([one, ten, 0.0625 + 0.03125 + 0.03125 + 0.125])


def test_a_label_that_is_never_the_end_weighs_nothing_and_what_is_not_told_weighs_nothing():
    assert label_logprobs([[(1,)], [(1, 2)], [(3,), (4, 5)]], {(1,): -1.0, (1, 2): -1.0, (3,): -inf, (4, 5): -inf}) == (
        -inf,
        -1.0,
        -inf,
    )


TEXTS = {number: text for text, number in TOKENS.items()}
CHANCES = st.lists(st.integers(1, 9), min_size=6, max_size=6).map(lambda own: [each / sum(own) for each in own])


@settings(max_examples=30)
@given(labels=st.lists(st.sampled_from(["1", "0", "10", "00", "100"]), min_size=1, max_size=5, unique=True), chances=CHANCES)
def test_labels_weigh_what_a_count_of_all_that_could_be_written_says(labels, chances):
    chance = dict(zip((1, 2, 3, 4, 5, 7), chances, strict=True))  # of each next token, whatever came before
    truth = dict.fromkeys(labels, 0.0)
    for written in product(chance, repeat=3):
        begun = ["".join(TEXTS[token] for token in written[:count]) for count in (1, 2, 3)]
        if said := [text for text in begun if text in labels]:
            truth[said[-1]] += prod(chance[token] for token in written)
    _, ways = spellings(*labels)
    weights = label_logprobs(ways, {way: log(prod(chance[token] for token in way)) for own in ways for way in own})
    assert [exp(weight) for weight in weights] == pytest.approx(list(truth.values()), abs=1e-12)


@pytest.mark.parametrize(("between", "found"), [("", ""), (" ", " "), ("<think>\n\n</think>\n\n", ""), ("\n", "\n")])
def test_the_space_before_an_answer_is_read_off_the_template(between, found):
    source = "{% for turn in messages %}{% if turn.role == 'user' %}[{{ turn.content }}]{% else %}" + (
        f"{{{{ {between!r} }}}}{{{{ turn.content }}}}!{{% endif %}}{{% endfor %}}"
    )
    assert answer_space(Template(source)) == found


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
    assert (replies[1].error or "").endswith("the model takes at most 128")


def test_where_all_questions_are_longer_than_the_model_reads_each_says_so(engine):
    (reply,) = engine.weigh([Request(0, text="a " * 200 + "\n", labels=DIGITS)])
    assert reply.weights is None
    assert (reply.error or "").endswith("the model takes at most 128")


def test_a_template_that_refuses_an_answer_has_no_space_before_it():
    assert (
        answer_space(Template("{% if messages|length > 1 %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}"))
        == ""
    )
