import json
from contextlib import ExitStack

import pytest
from servers.running_llama import serving

from attar.chat.templates import prefix
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.describe import LABELS
from attar.engines.doctor.engine import examine
from attar.engines.http.engine import Http
from attar.engines.local.engine import Local
from attar.pocket.speech import parse
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.synth import magpie

SEVEN = ({"role": "user", "content": "What is 3 plus 4?"},)


@pytest.fixture(scope="module")
def start(gguf):
    """Starts llama.cpp's server on the pocket teacher; its url."""
    with ExitStack() as servers:
        yield lambda *flags: servers.enter_context(serving(gguf, "-a", "teacher", *flags))


@pytest.fixture(scope="module")
def url(start):
    return start()


@pytest.fixture(scope="module")
def engine(url):
    return Http(Spec("http", "teacher", {"url": url}))


@pytest.fixture(scope="module")
def local():
    return Local(Spec("local", "pocket:teacher", {"dtype": "float32", "threads": 1}))


def test_the_server_says_what_it_is_and_what_its_template_is(engine, local):
    assert (engine.server.dialect, engine.server.models) == ("llamacpp", ("teacher",))
    assert prefix(engine.template) == prefix(local.template)


def test_greedy_answers_are_those_of_the_same_model_in_this_process(engine, local):
    tasks = pocket_exam.tasks(count=24, seed=5)["messages"].to_list()
    asked = [Request(i, messages=tuple(talk), sampling=Sampling(max_tokens=100)) for i, talk in enumerate(tasks)]
    ours, theirs = in_order(local.generate(asked), 24), in_order(engine.generate(asked), 24)
    assert [reply.text for reply in ours] == [reply.text for reply in theirs]
    assert [reply.tokens_in for reply in ours] == [reply.tokens_in for reply in theirs]


def test_what_it_draws_from_the_prefix_are_tasks_of_its_world(engine):
    drawn = magpie.ask(magpie.draws(count=60, seed=3), engine=engine, max_tokens=80)
    good = [prompt for prompt, error in zip(drawn["prompt"], drawn["prompt_error"], strict=True) if error is None]
    assert len(good) >= 55
    assert len(set(good)) >= 50
    assert sum(parse(prompt) is not None for prompt in good) >= 50


def test_the_same_seed_draws_the_same_and_another_seed_another(engine):
    found = prefix(engine.template)
    hot = Sampling(1.0, 1.0, 80, found.stops)
    asked = [Request(i, text=found.text, sampling=hot, seed=seed) for i, seed in enumerate([1, 1, 2])]
    texts = [next(engine.generate([request])).text for request in asked]
    assert texts[0] == texts[1] != texts[2]


def test_label_weights_are_those_of_the_same_model_in_this_process(engine, local):
    for labels in (("7", "3", "4"), ("3 + 4", "4", "7")):
        request = Request(0, messages=SEVEN, labels=labels)
        (ours,), (theirs,) = local.weigh([request]), engine.weigh([request])
        assert ours.weights
        assert theirs.weights == pytest.approx(ours.weights, abs=0.02)


def test_label_weights_behind_raw_text_are_those_of_the_same_model_in_this_process(engine, local):
    text = "<|im_start|>user\nWhat is 3 plus 4?<|im_end|>\n<|im_start|>assistant\n"
    request = Request(0, text=text, labels=("7", "3", "4"))
    (ours,), (theirs,) = local.weigh([request]), engine.weigh([request])
    assert ours.weights
    assert theirs.weights == pytest.approx(ours.weights, abs=0.02)


def test_a_json_schema_is_kept_to_raw_and_in_chat(engine):
    cold = Sampling(max_tokens=40, schema={"enum": ["north", "south"]})
    for request in (Request(0, messages=SEVEN, sampling=cold), Request(0, text="<|im_start|>user\n", sampling=cold)):
        (reply,) = engine.generate([request])
        assert json.loads(reply.text or "") in ("north", "south")


def test_a_prompt_that_is_too_long_fails_alone(engine):
    asked = [Request(i, text="word " * length, sampling=Sampling(max_tokens=4)) for i, length in enumerate([5, 900, 5])]
    replies = in_order(engine.generate(asked), 3)
    assert (replies[1].error or "").startswith("400: ")
    assert [reply.error for reply in replies[::2]] == [None, None]


def test_embeddings_are_unit_vectors_and_like_texts_lie_close(start):
    engine = Http(Spec("http", "teacher", {"url": start("--embeddings")}))
    asked = [Request(i, text=text) for i, text in enumerate(["What is 3 plus 4?", "What is 5 plus 4?", "Write dog 8 times."])]
    vectors = [reply.vector or () for reply in in_order(engine.embed(asked), 3)]
    assert [sum(x * x for x in vector) for vector in vectors] == pytest.approx([1.0] * 3)
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert near > far


def test_the_doctor_finds_what_it_can_do_and_what_not(url):
    found = {finding.what: finding for finding in examine(Spec("http", "teacher", {"url": url}), rows=8)}
    good = {what for what, finding in found.items() if finding.good}
    assert good == {
        "identity", "server", "chat", "chat template", "raw prompts", *LABELS, "sampling",
        "label log-probs", "structured output", "speed",
    }  # fmt: skip
    assert found["prefix"].told.endswith(" = [2, 605, 202]")
    assert found["stops"].told == "'<|im_end|>' (3), '<|im_start|>' (2)"
    assert "taken unchanged; the tokenizer adds no BOS" in found["raw prompts"].told
    assert "Start it with `--embeddings`" in found["embeddings"].told
