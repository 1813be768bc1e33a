"""Against a real vLLM: make vllm test-real (a CPU will do; a minute or two).

It computes in bfloat16, the local engine in float32. Measured with vLLM 0.32: the same greedy answers on 200 of 200 tasks;
log-probabilities up to 0.1 apart above -8 and 0.6 apart at -51; rewards from -7 to 6 up to 0.21 apart.
"""

import json
from dataclasses import replace

import pytest
from servers.vllm import MISSING, PYTHON, serving

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.http.engine import Http
from attar.engines.local.engine import Local
from attar.stages.evaluate.benchmarks import pocket_exam

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason=MISSING)]
COMPACT = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})  # else so small a model writes blanks for ever
SCORE = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["score"]}
TURNS = [({"role": "user", "content": question},) for question in pocket_exam.tasks(count=20)["prompt"]]
TALKS = [(*turn, {"role": "assistant", "content": f"The answer is {i % 3}."}) for i, turn in enumerate(TURNS)]
LONG = "cat " * 600


def untold(engine):  # as on a server that was started without --enable-tokenizer-info-endpoint
    engine._server = replace(engine.server, template=None)
    return engine


SENTENCES = tuple(f"The answer is {number}." for number in range(10))
DIGITS = tuple("0123456789")
LABELS = [(DIGITS, False), (("1", "10"), False), (SENTENCES, False), (("1", "10"), True)]
TOLD = "pocket:rewarder"
REWARDS = [{"tokenizer": TOLD}, {"tokenizer": TOLD, "rewards": "pooling"}, {}]


@pytest.fixture(scope="module")
def teacher():
    with serving("teacher", "--enable-tokenizer-info-endpoint", "--structured-outputs-config", COMPACT) as connect:
        yield connect


@pytest.fixture(scope="module")
def rewarder():
    with serving("rewarder", "--runner", "pooling") as connect:
        yield connect


def local(name="teacher"):
    return Local(Spec("local", f"pocket:{name}", {"dtype": "float32", "threads": 1}))


def calls_of(engine):
    calls, post = [], engine._post
    engine._post = lambda path, body: calls.append((path, body)) or post(path, body)
    return calls


def answers(engine, most=100, schema=None):
    asked = (Request(i, turn, sampling=Sampling(max_tokens=most, schema=schema)) for i, turn in enumerate(TURNS))
    return in_order(engine.generate(asked), 20)


def drawn(engine, count=40, schema=None):
    start = prefix(engine.template)
    sampling = Sampling(1.0, max_tokens=100, stop=start.stops, schema=schema)
    return in_order(engine.generate(Request(i, text=start.text, sampling=sampling, seed=i) for i in range(count)), count)


def weights(engine, labels):
    return [reply.weights for reply in in_order(engine.weigh(Request(i, t, labels=labels) for i, t in enumerate(TURNS)), 20)]


def test_the_server_is_found_to_be_vllm_and_a_wrong_model_is_one_error(teacher):
    assert (teacher().server.dialect, teacher().server.models, teacher().server.context) == ("vllm", ("teacher",), 512)
    with pytest.raises(EngineError, match=r"^http engine teachr at \S+: the server has no model 'teachr'; did you mean"):
        list(Http(replace(teacher().spec, model="teachr")).generate([Request(0, TURNS[0])]))


@pytest.mark.parametrize("most", [100, 1024])
def test_greedy_answers_are_the_local_engines_even_if_more_is_allowed_than_the_model_takes(most, teacher):
    pairs = list(zip(answers(teacher(), most), answers(local()), strict=True))
    assert sum(one.text == other.text for one, other in pairs) >= 18
    assert all(one.tokens_in == other.tokens_in for one, other in pairs)


@pytest.mark.parametrize("remote", [False, True], ids=["told", "remote"])
def test_instructions_end_by_themselves_and_repeat_with_their_seeds(remote, teacher):
    engine = untold(teacher()) if remote else teacher()
    assert prefix(engine.template) == prefix(local().template)
    replies = drawn(engine)
    assert {reply.finish for reply in replies} == {"stop"}
    assert len({reply.text for reply in replies}) > 35
    assert [reply.text for reply in drawn(engine)] == [reply.text for reply in replies]


def test_raw_prompts_go_as_the_ids_of_the_models_own_tokenizer(teacher):
    engine, text = teacher(), "<|im_start|>user\nHow is a café spelt?<|im_end|>\n"
    calls, ids = calls_of(engine), local().tokens(text)
    assert next(engine.generate([Request(0, text=text, sampling=Sampling(max_tokens=5))])).tokens_in == len(ids)
    assert calls[-1][1]["prompt"] == ids


@pytest.mark.parametrize(("labels", "remote"), LABELS)
def test_labels_weigh_what_they_weigh_in_the_local_engine(labels, remote, teacher):
    engine = untold(teacher()) if remote else teacher()
    calls = calls_of(engine)
    for found, expected in zip(weights(engine, labels), weights(local(), labels), strict=True):
        assert found == pytest.approx(expected, abs=0.2, rel=0.025)
    assert ("chat/completions" in dict(calls)) == (labels == DIGITS)  # one call does where each is one token


def test_requests_that_differ_in_their_seeds_only_go_in_one_call(teacher):
    engine = teacher(n=4)
    calls = calls_of(engine)
    replies, alone = drawn(engine, 4), drawn(teacher(), 4)
    assert [body["n"] for path, body in calls if path == "completions"] == [4]
    assert [(reply.text, reply.tokens_in) for reply in replies] == [(r.text, 0 if r.index else 3) for r in alone]


def test_a_schema_is_followed(teacher):
    for reply in [*answers(teacher(), schema=SCORE), *drawn(teacher(), schema=SCORE)]:
        assert json.loads(reply.text)["score"] in range(10)


def test_a_prompt_that_is_too_long_fails_alone(teacher):
    asked = [Request(0, ({"role": "user", "content": LONG},)), Request(1, text=LONG), Request(2, TURNS[0])]
    long, raw, fits = in_order(teacher().generate(replace(request, sampling=Sampling(max_tokens=5)) for request in asked), 3)
    assert "maximum context length is 512" in long.error
    assert "601 input tokens" in raw.error
    assert fits.text


@pytest.mark.parametrize("options", REWARDS)
def test_rewards_are_the_bare_logits_of_the_local_engine(options, rewarder):
    engines = rewarder(**options), local("rewarder")
    found, expected = ([r.reward for r in in_order(e.reward(Request(i, t) for i, t in enumerate(TALKS)), 20)] for e in engines)
    assert found == pytest.approx(expected, abs=0.3)


def test_a_conversation_that_is_too_long_fails_alone(rewarder):
    replies = in_order(rewarder().reward(Request(i, text=text) for i, text in enumerate(["cat", LONG, "dog"])), 3)
    assert [reply.error is None for reply in replies] == [True, False, True]
