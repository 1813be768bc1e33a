"""Larger real models, after `make models`: Qwen2.5-Coder 0.5B and 1.5B, and Gemma-3-270M, a base without a chat template."""

import math

import pytest

from attar.api.judge_check import check_judge
from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, in_order
from attar.engines.doctor import server
from attar.stages.evaluate.judging import judge_check
from attar.stages.synth import magpie

pytestmark = pytest.mark.slow
DIGITS = ("1", "2", "3", "4", "5")
QUESTION = (
    "Question: How many legs does a spider have?\nAnswer: {}\n\nRate the answer from 1 (bad) to 5 (good). Only the digit."
)
ANSWERS = ("A spider has eight legs.", "A spider has four legs, and it is a kind of bird.", "Banana, banana.")
RATED = "Question: {}\nAnswer: {}\nScore from 0 to 10:"
TWO_RATED = f"{RATED.format('How many days has a week?', 'seven')} 10\n\n{RATED.format('2 + 2?', '4')}"


def ask(text, most=12):
    return Request(0, ({"role": "user", "content": text},), sampling=Sampling(max_tokens=most))


def mass(weights):
    return sum(map(math.exp, weights))


def expected_score(weights):
    return sum(value * math.exp(weight) for value, weight in enumerate(weights, 1)) / mass(weights)


def test_qwen_half_a_billion_answers_behind_its_own_template(qwen_05b_server, connect):
    engine = connect(qwen_05b_server, "qwen-0.5b")
    system = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    assert prefix(engine.template).text == f"{system}<|im_start|>user\n"
    (reply,) = engine.generate([ask("What is the capital of France?")])
    assert (reply.text, reply.finish, reply.tokens_out) == ("The capital of France is Paris.", "stop", 8)


def test_a_label_that_is_several_tokens_is_weighed_as_a_whole(qwen_05b_server, connect):
    engine = connect(qwen_05b_server, "qwen-0.5b", logprobs=1000)
    labels = ("Paris", "Berlin", "Kuala Lumpur")
    (reply,) = engine.weigh(
        [Request(0, ask("What is the capital of France? Answer with the name alone.").messages, labels=labels)]
    )
    assert reply.weights.index(max(reply.weights)) == 0
    assert math.exp(reply.weights[0]) > 0.5


def test_qwen_one_and_a_half_billion_puts_its_probability_on_the_labels_and_rates_the_right_answer_best(
    qwen_15b_server, connect
):
    engine = connect(qwen_15b_server, "qwen-1.5b", logprobs=1000)
    asked = [Request(i, ask(QUESTION.format(answer)).messages, labels=DIGITS) for i, answer in enumerate(ANSWERS)]
    weights = [reply.weights for reply in in_order(engine.weigh(asked), len(asked))]
    assert min(map(mass, weights)) > 0.95
    right, *wrong = map(expected_score, weights)
    assert right > max(wrong) + 0.5


def test_a_base_has_no_prefix_though_llama_cpp_shows_a_template_for_it(gemma_base_server, connect):
    engine = connect(gemma_base_server, "gemma-base")
    with pytest.raises(EngineError, match=r"'<\|im_end\|>', which is no token of the model \(it is \d tokens\)"):
        magpie.ask(magpie.draws(count=1), engine=engine)
    checks = dict(server.checks(engine, 1))
    for what in ("chat template", "prefix", "sampling"):
        with pytest.raises(EngineError, match="a base model that has none"):
            checks[what]()
    assert checks["raw prompts"]().endswith("the tokenizer adds BOS 2")


def test_a_base_goes_on_with_a_text_behind_its_bos(gemma_base_server, connect):
    engine = connect(gemma_base_server, "gemma-base")
    texts = ("one two three one two three one two", "Hi")
    replies = engine.generate(Request(i, text=text, sampling=Sampling(max_tokens=1)) for i, text in enumerate(texts))
    counted, greeting = in_order(replies, 2)
    assert (counted.text, counted.tokens_in) == (" three", 9)
    assert greeting.tokens_in == 2


@pytest.mark.parametrize(("end", "low", "high"), [("", 0.0, 0.01), (" ", 0.98, 1.0001)], ids=["no space", "space"])
def test_a_base_has_its_numbers_behind_a_space_only(end, low, high, gemma_base_server, connect):
    """Its tokens for digits have no space: behind `10:` comes the space first."""
    engine = connect(gemma_base_server, "gemma-base", logprobs=1000)
    (reply,) = engine.weigh([Request(0, text=TWO_RATED + end, labels=tuple(map(str, range(11))))])
    assert low <= mass(reply.weights) <= high


def test_smollm2_is_no_judge_because_its_probability_is_on_no_label(smollm2):
    told = judge_check.plain(check_judge(smollm2))
    assert told["able"] == {"pointwise": False, "pairwise": False}
    assert all("its probability is on no label (median " in reason for reason in told["reasons"])


def test_qwen_one_and_a_half_billion_can_rate_but_picks_the_second_of_two_in_every_pair(qwen_15b_server, connect):
    """Nine minutes on two cores."""
    check = check_judge(connect(qwen_15b_server, "qwen-1.5b", logprobs=1000))
    assert judge_check.plain(check)["able"] == {"pointwise": True, "pairwise": False}
    values = {(row["way"], row["figure"]): row["value"] for row in check.to_dicts()}
    assert values["pairwise", "disagrees"] > 0.9
    assert values["pairwise", "first_shown"] < 0.05
