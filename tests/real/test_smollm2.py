"""SmolLM2-135M-Instruct: on llama.cpp's server, in 4 bits, and dequantised in this process.

Its BOS is the mark that opens every turn, and its template has a system turn of its own. llama.cpp computes on quantised
activations: log-probabilities differ by up to 0.3, so an answer may differ where two tokens are as good.
"""

import json
import math
import shutil
import sys

import pytest
from gguf import GGUFReader
from processes_for_tests import children, ended
from servers.counting import counting
from servers.running_llama import LLAMA

from attar.chat.templates import prefix
from attar.core.table import read
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.doctor.engine import examine
from attar.engines.http.managed_server import ManagedServer
from attar.engines.local.engine import Local
from attar.runtime.flow import recipe
from attar.stages.synth import magpie, respond

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
PREFIX = SYSTEM + "<|im_start|>user\n"
SPIDER = ({"role": "user", "content": "How many legs has a spider?"},)
RATE = "Rate this question. Answer with one of {}.\n\nName three colours."
LABELS = [("1", "2", "3", "4", "5"), ("yes", "no"), tuple(map(str, range(1, 11)))]
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "green", "blue"]}}, "required": ["colour"]}


@pytest.fixture(scope="module")
def local(smollm2_folder):
    return Local(Spec("local", str(smollm2_folder), {"dtype": "float32", "threads": 1}))


@pytest.fixture(scope="module")
def pieces(smollm2_gguf):
    """The vocabulary as the GGUF file itself has it: spaces and line ends are written as G and C with a dot or caron."""
    field = GGUFReader(smollm2_gguf).fields["tokenizer.ggml.tokens"]
    return [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece in field.contents()]


@recipe()
def instructions_and_answers(flow, *, teacher: Spec, count: int = 6):
    asked = flow(magpie.ask, flow(magpie.draws, count=count, seed=3), engine=teacher, max_tokens=48)
    return {"answers": flow(respond.sample, asked, engine=teacher, max_tokens=16)}


def test_the_prefix_is_the_models_own_from_the_server_and_from_the_folder(smollm2, local):
    expected = (PREFIX, {"<|im_start|>", "<|im_end|>"})
    for template in (smollm2.template, local.template):
        found = prefix(template)
        assert (found.text, set(found.stops)) == expected


def test_a_system_turn_of_the_users_own_replaces_the_models(smollm2):
    expected = "<|im_start|>system\nYou teach.<|im_end|>\n<|im_start|>user\n"
    assert prefix(smollm2.template, "You teach.").text == expected


def test_the_prefix_has_the_bos_that_opens_its_turns_and_no_other(smollm2, local, pieces):
    ids = local.tokens(PREFIX)
    assert "".join(pieces[token] for token in ids) == PREFIX
    assert [i for i, token in enumerate(ids) if token == 1] == [0, ids.index(2) + 2]  # behind the end of the turn, a line end
    (reply,) = smollm2.generate([Request(0, text=PREFIX, sampling=Sampling(max_tokens=1))])
    assert reply.tokens_in == len(ids) == 24


def test_an_answer_ends_by_itself_and_each_token_is_counted(smollm2, local):
    """A digit is a token: The| answer| is| |8|.| A| spider| has| |8| legs|. are 13; a server counts the end too."""
    (reply,) = smollm2.generate([Request(0, SPIDER, sampling=Sampling(max_tokens=40))])
    (ours,) = local.generate([Request(0, SPIDER, sampling=Sampling(max_tokens=40))])
    question = f"{PREFIX}How many legs has a spider?<|im_end|>\n<|im_start|>assistant\n"
    assert (reply.text, reply.finish) == (ours.text, ours.finish) == ("The answer is 8. A spider has 8 legs.", "stop")
    assert reply.tokens_in == ours.tokens_in == len(local.tokens(question)) == 37
    assert (reply.tokens_out, ours.tokens_out) == (14, 13)


def test_an_answer_that_is_cut_off_says_so(smollm2):
    (reply,) = smollm2.generate([Request(0, SPIDER, sampling=Sampling(max_tokens=3))])
    assert (reply.text, reply.finish, reply.tokens_out) == ("The answer is", "length", 3)


@pytest.mark.parametrize("labels", LABELS, ids=" ".join)
def test_label_weights_are_those_of_the_same_model_in_this_process(labels, smollm2, local):
    request = Request(0, ({"role": "user", "content": RATE.format(", ".join(labels))},), labels=labels)
    (ours,), (theirs,) = local.weigh([request]), smollm2.weigh([request])
    assert theirs.weights == pytest.approx(ours.weights, abs=0.6)
    assert sum(map(math.exp, theirs.weights)) <= 1


def test_what_it_draws_are_instructions_most_of_them_whole(smollm2):
    drawn = magpie.ask(magpie.draws(count=12, seed=3), engine=smollm2, max_tokens=96)
    whole = [row["prompt"] for row in drawn.to_dicts() if row["prompt_error"] is None]
    assert len(set(whole)) == len(whole) >= 6
    assert all(prompt.strip() and "<|im_" not in prompt for prompt in whole)
    assert all(row["prompt_tokens"] == 96 for row in drawn.to_dicts() if row["prompt_error"] is not None)


def test_a_json_schema_is_followed(smollm2):
    asked = Request(0, ({"role": "user", "content": "Name a colour."},), sampling=Sampling(max_tokens=40, schema=COLOUR))
    (reply,) = smollm2.generate([asked])
    assert json.loads(reply.text)["colour"] in ("red", "green", "blue")


def test_the_doctor_finds_what_it_can_do_and_what_not(smollm2_server):
    found = {f.what: f for f in examine(Spec("http", "smollm2", {"url": smollm2_server, "logprobs": 1000}), rows=1)}
    assert {what for what, finding in found.items() if not finding.good} == {"embeddings", "rewards"}
    assert found["BOS"].told == "'<|im_start|>' (1), written by the template"
    assert " = [1, 9690, 198," in found["prefix"].told
    assert found["stops"].told == "'<|im_end|>' (2), '<|im_start|>' (1)"
    assert "taken unchanged; the tokenizer adds no BOS" in found["raw prompts"].told


def test_a_second_run_asks_the_server_for_nothing(smollm2_server, home, do):
    with counting(smollm2_server) as (url, posted):
        teacher = Spec("http", "smollm2", {"url": url})
        first = read(do(instructions_and_answers, teacher=teacher)["answers"])
        asked = [path for path in posted if path.endswith("completions")]
        posted.clear()
        shutil.rmtree(home.steps)  # so that the replies come from the journal
        again = read(do(instructions_and_answers, teacher=teacher)["answers"])
    assert len(asked) == 6 + first["prompt"].count()
    assert [path for path in posted if path.endswith("completions")] == []
    assert again.equals(first)


def test_a_server_that_attar_starts_itself_answers_and_ends_with_the_engine(smollm2_gguf):
    command = [sys.executable, str(LLAMA)]
    engine = ManagedServer(
        Spec("llamacpp", str(smollm2_gguf), {"command": command, "server": {"ctx-size": 1024, "parallel": 1}})
    )
    try:
        (reply,) = engine.generate([Request(0, SPIDER, sampling=Sampling(max_tokens=3))])
        assert reply.text == "The answer is"
        assert engine.http.server.context == 1024
        assert engine._child
        (server,) = children(engine._child.pid)
    finally:
        engine.close()
    assert ended(server)


def test_many_at_once_are_each_answered_with_their_own(smollm2):
    """A text that repeats a word goes on with it; now and then it ends instead, but never with the word of another."""
    words = ["apple", "river", "candle", "stone", "garden", "window", "thunder", "pencil"] * 2
    asked = [Request(i, text=f"{i}:{f' {word}' * 8}", sampling=Sampling(max_tokens=2)) for i, word in enumerate(words)]
    found = [{word for word in words if word in (reply.text or "")} for reply in in_order(smollm2.generate(asked), 16)]
    assert all(own <= {word} for own, word in zip(found, words, strict=True))
    assert sum(map(len, found)) >= 12
