"""Models that think on a real vLLM: make vllm test-real (two servers, one after the other).

`thinker` marks its thoughts in plain text, and thoughts can be turned off by its template. `opener` opens a thought in every
prompt, its marks are tokens, it has a BOS, and vLLM parses its thoughts (`--reasoning-parser qwen3`); its server does not
report its template, as a vLLM started without flags.
"""

from dataclasses import replace

import pytest
from servers.vllm import MISSING, PYTHON, serving
from thinker_for_tests import OPENING, thinker

from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET
from attar.engines.thinking import separate
from attar.stages.evaluate.benchmarks import pocket_exam

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason=MISSING)]
TURNS = [({"role": "user", "content": question},) for question in pocket_exam.tasks(count=20)["prompt"]]
ALWAYS = OPENING.replace("enable_thinking is defined and not enable_thinking", "false")
SUM = ({"role": "user", "content": "What is 3 plus 4?"},)
DIGITS, TENS = tuple("0123456789"), ("1", "10")
SENTENCES = tuple(f"The answer is {number}." for number in range(10))
OFF = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False, "thinking_budget": 0}}
BUDGET = {"thinking_token_budget": 3}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {"thinker": thinker(place / "thinker", OPENING), "opener": opener(place / "opener")}


def opener(place):
    """The pocket teacher with two tokens more, which it never writes by itself, and a BOS."""
    import torch
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "teacher", bos_token="<|endoftext|>")
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in ("<think>", "</think>")])
    start = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = start
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[-2:] = 0
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    (place / "chat_template.jinja").write_text(ALWAYS)
    return place


@pytest.fixture(scope="module")
def thinking(models):
    with serving(models["thinker"], "--enable-tokenizer-info-endpoint") as connect:
        yield connect


@pytest.fixture(scope="module")
def parsed(models):
    with serving(models["opener"], "--reasoning-parser", "qwen3") as connect:
        yield connect


@pytest.fixture(params=[False, True], ids=["told", "remote"])
def connect(request, thinking):
    """Engines on the thinker, which know its template or only have it rendered by the server."""

    def open_one(**options):
        engine = thinking(**options)
        if request.param:
            engine._server = replace(engine.server, template=None)
        return engine

    return open_one


def local(models, name="thinker", **options):
    return Local(Spec("local", str(models[name]), {"dtype": "float32", "threads": 1, **options}))


def calls_of(engine):
    calls, post = [], engine._post
    engine._post = lambda path, body: calls.append((path, body)) or post(path, body)
    return calls


def answers(engine, most=60):
    asked = (Request(i, turn, sampling=Sampling(max_tokens=most)) for i, turn in enumerate(TURNS))
    return [separate(reply) for reply in in_order(engine.generate(asked), len(TURNS))]


def weights(engine, labels, turns=TURNS):
    replies = in_order(engine.weigh(Request(i, turn, labels=labels) for i, turn in enumerate(turns)), len(turns))
    return [reply.weights for reply in replies]


def test_thinking_off_goes_as_template_arguments_and_the_answers_are_the_local_engines(connect, models):
    engine = connect(thinking=False)
    calls = calls_of(engine)
    found, expected = answers(engine), answers(local(models, thinking=False))
    assert {path for path, body in calls if "max_tokens" in body} == {"chat/completions"}
    assert calls[-1][1].items() >= OFF.items()
    assert (
        sum(reply.text is not None and not reply.reasoning for reply in found) >= 17
    )  # so small a model may think all the same
    assert [reply.tokens_in for reply in found] == [reply.tokens_in for reply in expected]
    assert sum(one.text == other.text for one, other in zip(found, expected, strict=True)) >= 17


@pytest.mark.parametrize("how", ["auto", "on"])
def test_a_thought_that_the_prompt_opens_and_its_answer_are_those_of_the_local_engine(how, connect, models):
    found, expected = answers(connect(thinking=how)), answers(local(models, thinking=how))
    same = [(a, b) for a, b in zip(found, expected, strict=True) if (a.text, a.reasoning) == (b.text, b.reasoning)]
    assert len(same) >= 17
    assert sum(bool(reply.reasoning and reply.text) for reply in found) >= 17
    assert {a.tokens_out - b.tokens_out for a, b in same if a.finish == "stop"} == {1}  # vLLM counts the end's token


def test_a_thought_is_not_taken_for_an_answer_where_it_is_cut_off(connect):
    for reply in answers(connect(thinking=True, thinking_tokens=2), most=2):
        assert (reply.text, reply.error, reply.tokens_out) == (None, "thought cut off", 4)


def test_a_budget_of_vllms_own_is_refused_where_it_parses_no_thoughts(connect):
    assert "thinking_token_budget is set but reasoning_config is not configured" in answers(connect(extra=BUDGET))[0].error


@pytest.mark.parametrize("labels", [DIGITS, TENS, SENTENCES])
@pytest.mark.parametrize("how", ["auto", "on", "off"])
def test_labels_are_read_after_an_empty_thought_whatever_is_set(how, labels, connect, models):
    for found, expected in zip(weights(connect(thinking=how), labels), weights(local(models), labels), strict=True):
        assert found == pytest.approx(expected, abs=0.3, rel=0.04)


def test_a_reasoning_parser_and_a_budget_of_vllms_own_keep_thought_and_answer_apart(parsed):
    replies = answers(parsed(thinking=True, extra=BUDGET))
    assert sum(bool(reply.text and reply.reasoning) for reply in replies) >= 18
    assert all(len(reply.reasoning.split()) <= 3 for reply in replies)
    assert not any("think>" in f"{reply.text}{reply.reasoning}" for reply in replies)


def test_where_no_argument_turns_thoughts_off_an_empty_one_goes_in_a_raw_prompt_of_token_ids(parsed, models):
    engine, own = parsed(thinking=False), local(models, "opener")
    calls = calls_of(engine)
    replies = answers(engine)
    assert {path for path, body in calls if "max_tokens" in body} == {"completions"}
    prompts = [
        f"<|im_start|>user\n{turn['content']}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n" for (turn,) in TURNS
    ]
    sent = sorted(body["prompt"] for path, body in calls if path == "completions")
    assert sent == sorted(own.tokens(prompt) for prompt in prompts)
    assert [reply.tokens_in for reply in replies] == [len(own.tokens(prompt)) for prompt in prompts]
    assert not any(reply.reasoning or reply.error for reply in replies)
    assert sum(reply.text.startswith("The answer is ") for reply in replies) >= 10


@pytest.mark.parametrize("text", ["Is it so?", "<|endoftext|>Is it so?"])
def test_a_raw_prompt_has_exactly_one_bos(text, parsed):
    engine = parsed()
    calls = calls_of(engine)
    [reply] = engine.generate([Request(0, text=text, sampling=Sampling(max_tokens=2))])
    sent = calls[-1][1]["prompt"]
    assert (sent[0], sent.count(1), reply.tokens_in) == (1, 1, len(sent))


@pytest.mark.parametrize("labels", [DIGITS, SENTENCES])
def test_labels_of_a_model_that_always_thinks_are_read_after_an_empty_thought_too(labels, parsed, models):
    for found, expected in zip(weights(parsed(), labels), weights(local(models, "opener"), labels), strict=True):
        assert found == pytest.approx(expected, abs=0.3, rel=0.04)
